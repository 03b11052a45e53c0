/* transposed_conv2d_s8.h - y[n][o][i][j] = clip(zero_y + factor[o] * (b[o] + sum (x[n][c][u][v] - zero_x) * w[o][c][ky][kx]))
 * over u*sh + ky - pt = i, v*sw + kx - pl = j: each y is gathered, by the phases of conv2d_transpose_f32.h.
 * b: in part in delta, where that is not 0 (biases_s8.h). */
#pragma once
#include "biases_s8.h"
#include "conv2d_transpose_f32.h"
#include "windows_s8.h"

/* The sum of the weights at these taps of all channels: what each unit of zero_x takes from a window inside the image. */
WB_KERNEL int taps_sum_s8(int channels, int w_channel, wb_axis v, wb_axis h, const int8_t *restrict w)
{
    int sum = 0;
    for (int c = 0; c < channels; ++c)
        for (int t = 0; t < v.taps; ++t)
            for (int u = 0; u < h.taps; ++u)
                sum += w[c * w_channel + t * v.weight + u * h.weight];
    return sum;
}

typedef struct {
    int batch, channels, in_height, in_width, filters, out_height, out_width;
    wb_window window;
    wb_quantized numbers;
    const int16_t *wide;
} wb_transposed_conv2d_s8;

WB_KERNEL void transposed_conv2d_s8(wb_transposed_conv2d_s8 p,
                                    const int8_t *restrict x, const int8_t *restrict w,
                                    const int32_t *restrict b, const int32_t *restrict m,
                                    const int16_t *restrict delta,
                                    int8_t *restrict y, uint32_t *restrict mask)
{
    const wb_window k = p.window;
    const int in_plane = p.in_height * p.in_width, out_plane = p.out_height * p.out_width, taps = k.kh * k.kw;
    wb_none_pass(p.batch * p.filters * out_plane, mask);
    for (int n = 0; n < p.batch; ++n)
#pragma GCC unroll 1
        for (int o = 0; o < p.filters; ++o) {
            const int bias = wb_bias((wb_biases_s8){ b, delta, p.wide }, o);
            const wb_factor factor = wb_factor_of(p.numbers, p.filters, m, o);
#pragma GCC unroll 2
            for (int py = 0; py < wb_min(k.sh, p.out_height); ++py)
#pragma GCC unroll 2
                for (int px = 0; px < wb_min(k.sw, p.out_width); ++px) {
                    int ky, kx;
                    const wb_axis v = transpose_axis(p.in_height, p.out_height, k.sh, py, k.kh, k.pt, k.dh, k.kw,
                                                     p.in_width, p.out_width, &ky);
                    const wb_axis h = transpose_axis(p.in_width, p.out_width, k.sw, px, k.kw, k.pl, k.dw, 1, 1, 1, &kx);
                    const int8_t *filter = w + o * p.channels * taps + ky + kx;
                    const int first = (n * p.filters + o) * out_plane + py * p.out_width + px;
                    const int inside = bias - p.numbers.zero_x * taps_sum_s8(p.channels, taps, v, h, filter);
                    const wb_end_s8 end = { bias, inside, factor, mask, first, v.y_next };
                    windows_s8(p.channels, in_plane, taps, v, h, p.numbers.zero_x, end, x + n * p.channels * in_plane,
                               filter, y + first);
                }
        }
}
