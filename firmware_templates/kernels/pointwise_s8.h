/* pointwise_s8.h - int8 convolution with one tap, or a dense layer: tiles of some filters by some pixels in registers.
 *
 *     for each channel: load 4 pixels and 2 weights, multiply all with all: 8 sums of 6 loads */
#pragma once
#include "biases_s8.h"
#include "windows_s8.h"

enum { WB_TILE = 8 };

/* Pixels in a row: how many, and elements from one channel to the next in x, in y, and in the mask. */
typedef struct {
    int count, x_plane, y_plane, bit_plane;
} wb_pixels;

/* Adds the channels that lie in one array of weights, whose filters are w_row apart, to the sums of a tile. */
WB_KERNEL void pointwise_add_s8(int filters, int pixels, int channels, int plane, int w_row, int zero,
                                const int8_t *restrict x, const int8_t *restrict w, int *restrict sums)
{
    for (int c = 0; c < channels; ++c) {
        int at[4];
#pragma GCC unroll 4
        for (int p = 0; p < pixels; ++p)
            at[p] = x[c * plane + p] - zero;
#pragma GCC unroll 4
        for (int f = 0; f < filters; ++f) {
            const int weight = w[f * w_row + c];
#pragma GCC unroll 4
            for (int p = 0; p < pixels; ++p)
                sums[f * pixels + p] += at[p] * weight;
        }
    }
}

/* y and its bit: element (first filter, first pixel) of the tile. */
WB_KERNEL void pointwise_tile_s8(int filters, int pixels, int channels, wb_pixels all, int zero,
                                 const wb_factor *factor, const int *bias, const int8_t *restrict x, wb_filter_s8 f,
                                 int8_t *restrict y, uint32_t *restrict mask, int bit)
{
    int sums[WB_TILE];
#pragma GCC unroll 8
    for (int i = 0; i < filters * pixels; ++i)
        sums[i] = bias[i / pixels];
    pointwise_add_s8(filters, pixels, f.kept, all.x_plane, f.kept, zero, x, f.w, sums);
    if (f.rest)
        pointwise_add_s8(filters, pixels, channels - f.kept, all.x_plane, channels - f.kept, zero,
                         x + f.kept * all.x_plane, f.rest, sums);
#pragma GCC unroll 8
    for (int i = 0; i < filters * pixels; ++i) {
        const int f_at = i / pixels, p = i % pixels;
        y[f_at * all.y_plane + p] = wb_requantize_s8(factor[f_at], sums[i], mask, bit + f_at * all.bit_plane + p);
    }
}

/* Some filters from the first on, all pixels. Where pixels are many, what zero adds is summed once a filter. */
WB_KERNEL void pointwise_filters_s8(int first, int filters, int tile, int channels, wb_pixels pixels,
                                    wb_quantized q, int all, const int32_t *restrict m, wb_biases_s8 b,
                                    const int8_t *restrict x, wb_filter_s8 f,
                                    int8_t *restrict y, uint32_t *restrict mask, int bit)
{
    const int fold = pixels.count >= 16;
    wb_factor factor[4];
    int bias[4];
#pragma GCC unroll 4
    for (int i = 0; i < filters; ++i) {
        factor[i] = wb_factor_of(q, all, m, i);
        bias[i] = wb_bias(b, first + i);
        if (fold)
            bias[i] -= q.zero_x * (sum_s8(f.kept, f.w + i * f.kept)
                                   + (f.rest ? sum_s8(channels - f.kept, f.rest + i * (channels - f.kept)) : 0));
    }
    const int tiled = pixels.count - pixels.count % tile;
    for (int p = 0; p < tiled; p += tile)
        pointwise_tile_s8(filters, tile, channels, pixels, fold ? 0 : q.zero_x, factor, bias, x + p, f,
                          y + p, mask, bit + p);
    for (int p = tiled; p < pixels.count; ++p)
        pointwise_tile_s8(filters, 1, channels, pixels, fold ? 0 : q.zero_x, factor, bias, x + p, f,
                          y + p, mask, bit + p);
}

/* `few`: so few pixels that filters are tiled instead. bit: of the first pixel of the first filter. */
WB_KERNEL void pointwise_s8(int channels, int few, wb_pixels pixels, int filters, wb_quantized q,
                            const int8_t *restrict x, wb_filter_s8 f, wb_biases_s8 b,
                            const int32_t *restrict m, int8_t *restrict y, uint32_t *restrict mask, int bit)
{
    const int tile = few ? 1 : 4, together = few ? 4 : 2, left = filters % together;
    for (int o = 0; o < filters - left; o += together) {
        const wb_filter_s8 part = { f.w + o * f.kept, f.rest ? f.rest + o * (channels - f.kept) : 0, f.kept };
        pointwise_filters_s8(o, together, tile, channels, pixels, q, filters, m + o, b, x, part,
                             y + o * pixels.y_plane, mask, bit + o * pixels.bit_plane);
    }
    for (int i = 0; i < left; ++i) {
        const int o = filters - left + i;
        const wb_filter_s8 part = { f.w + o * f.kept, f.rest ? f.rest + o * (channels - f.kept) : 0, f.kept };
        pointwise_filters_s8(o, 1, tile, channels, pixels, q, filters, m + o, b, x, part,
                             y + o * pixels.y_plane, mask, bit + o * pixels.bit_plane);
    }
}
