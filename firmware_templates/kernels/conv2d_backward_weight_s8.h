/* conv2d_backward_weight_s8.h - dw = x_scale * sum of dy * (x - zero), x being int8: one channel of it at a time as floats;
 * of 1x1 windows some. */
#pragma once
#include "conv2d_backward_weight_f32.h"
#include "sgd_s8.h"

/* images: of the batch. */
typedef struct {
    wb_conv2d_backward_weight convolution;
    float x_scale;
    int x_zero_point, images;
} wb_conv2d_backward_weight_s8;

/* One channel of several images of x, side by side. */
WB_KERNEL void centred_s8(int images, int plane, int image, int zero, const int8_t *restrict x, float *restrict wide)
{
    for (int n = 0; n < images; ++n) {
        const int8_t *from = x + n * image;
        for (int i = 0; i < plane / 4 * 4; i += 4)
            wide = wb_put_floats(wide, from[i] - zero, from[i + 1] - zero, from[i + 2] - zero, from[i + 3] - zero);
        for (int i = plane / 4 * 4; i < plane; ++i)
            *wide++ = (float)(from[i] - zero);
    }
}

/* Where elements of dw go: into memory, to a sum, or into the int8 weights at once. */
typedef struct {
    float *store, *add;
    int8_t *w;
    const float *s;
    wb_update_s8 update;
} wb_sink_s8;

/* The rate of filter o, once for some of its elements: a division. */
WB_KERNEL float sink_rate_s8(wb_sink_s8 sink, int o) { return sink.w ? wb_rate_of(sink.update, sink.s[o]) : 0.0f; }

WB_KERNEL void sink_s8(wb_sink_s8 sink, float rate, int o, int at, int in_filter, float g)
{
    if (sink.store)
        sink.store[at] = g;
    if (sink.add)
        sink.add[at] += g;
    if (sink.w)
        sink.w[at] = (int8_t)wb_updated(sink.update, rate, sink.w[at], g, o, in_filter);
}

/* Of channel c in `count` filters from o on; dy: the first of their channels. A function of its own for `restrict`: what is
 * stored through a sink is not told from dy otherwise. */
WB_KERNEL void weight_gradients_s8(wb_conv2d_backward_weight_s8 q, int images, int o, int count, int c, int dy_image,
                                   const float *restrict dy, const float *restrict wide, wb_sink_s8 sink)
{
    const wb_conv2d_backward_weight p = q.convolution;
    const int kh = p.window.kh, kw = p.window.kw, taps = kh * kw;
    const int in_plane = p.in_height * p.in_width, out_plane = p.out_height * p.out_width;
    const int some = weight_filters(p, count), columns = weight_taps(p);
    for (int i = 0; i < count; i += some)
        for (int ky = 0; ky < kh; ++ky)
            for (int kx = 0; kx < kw; kx += columns) {
                float s[16];
                weight_gradients_f32(p, images, some, ky, kx, out_plane, dy_image, in_plane, dy + i * out_plane, wide, s);
#pragma GCC unroll 1
                for (int f = 0; f < some; ++f) {
                    const float rate = sink_rate_s8(sink, o + i + f);
#pragma GCC unroll 1
                    for (int k = 0; k < columns; ++k) {
                        const int in_filter = c * taps + ky * kw + kx + k;
                        sink_s8(sink, rate, o + i + f, (o + i + f) * p.channels * taps + in_filter, in_filter,
                                s[f * columns + k] * q.x_scale);
                    }
                }
            }
}

/* Channels of so many pixels, of all images together, that are floats at a time where windows are 1x1. */
WB_KERNEL int weight_channels_s8(int pixels) { return wb_max(1, wb_min(4, 128 / pixels)); }

/* Channels [c, c + channels) of 1x1 windows, of which x is in `wide`, and some filters. */
WB_KERNEL void conv2d_backward_weight_pixels_s8(wb_conv2d_backward_weight_s8 q, int images, int first, int filters, int c,
                                                int channels, int dy_image, const float *dy, const float *wide,
                                                wb_sink_s8 sink)
{
    const int pixels = q.convolution.in_height * q.convolution.in_width;
    float s[16];
    if (images == 1)
        weight_gradients_tile_f32(filters, channels, 1, pixels, 0, 0, q.convolution.fused, dy, wide, s);
    else /* a channel of all images lies side by side */
#pragma GCC unroll 4
        for (int f = 0; f < filters; ++f)
            for (int i = 0; i < channels; ++i)
                s[4 * f + i] = weight_gradient_f32(q.convolution, images, 0, 0, dy_image, pixels, dy + f * pixels,
                                                   wide + i * images * pixels);
#pragma GCC unroll 1
    for (int f = 0; f < filters; ++f) {
        const float rate = sink_rate_s8(sink, first + f);
#pragma GCC unroll 1
        for (int i = 0; i < channels; ++i)
            sink_s8(sink, rate, first + f, (first + f) * q.convolution.channels + c + i, c + i, s[4 * f + i] * q.x_scale);
    }
}

WB_KERNEL void conv2d_backward_weight_tiles_s8(wb_conv2d_backward_weight_s8 q, wb_tile t, wb_view_f32 dy, wb_view_s8 x,
                                               wb_sink_s8 sink, float *restrict wide)
{
    const int images = t.image_end - t.image, pixels = q.convolution.in_height * q.convolution.in_width;
    const int channels = q.convolution.channels, count = t.channel_end - t.channel, four = count / 4 * 4;
    const int at_once = weight_channels_s8(images * pixels), tiled = channels / at_once * at_once;
    for (int c = 0; c < channels; c += at_once) {
        const int some = channels % at_once && c == tiled ? channels % at_once : at_once;
        for (int i = 0; i < some; ++i)
            centred_s8(images, pixels, x.image, q.x_zero_point, wb_row_of_s8(x, t.image, c + i, 0),
                       wide + i * images * pixels);
        for (int f = 0; f < four; f += 4)
            conv2d_backward_weight_pixels_s8(q, images, t.channel + f, 4, c, some, dy.image,
                                             wb_row_of_f32(dy, t.image, t.channel + f, 0), wide, sink);
        if (count % 4)
            conv2d_backward_weight_pixels_s8(q, images, t.channel + four, count % 4, c, some, dy.image,
                                             wb_row_of_f32(dy, t.image, t.channel + four, 0), wide, sink);
    }
}

WB_KERNEL void conv2d_backward_weight_into_s8(wb_conv2d_backward_weight_s8 q, wb_tile t, wb_view_f32 dy, wb_view_s8 x,
                                              wb_sink_s8 sink, float *restrict wide)
{
    const wb_conv2d_backward_weight p = q.convolution;
    const wb_filters filters = filters_in(p, t);
    const int images = t.image_end - t.image;
    if (weight_is_pointwise(p)) {
        conv2d_backward_weight_tiles_s8(q, t, dy, x, sink, wide);
        return;
    }
    for (int g = filters.group; g < filters.group_end; ++g)
        for (int c = 0; c < p.channels; ++c) {
            const int8_t *from = wb_row_of_s8(x, t.image, g * p.channels + c, 0);
            const int first = filters.first + g * p.filters;
            centred_s8(images, p.in_height * p.in_width, x.image, q.x_zero_point, from, wide);
            weight_gradients_s8(q, images, first, filters.count, c, dy.image, wb_row_of_f32(dy, t.image, first, 0), wide,
                                sink);
        }
}

/* Adds the products of a tile of rows; with the last row of all, the sums are multiplied by the scale of x. Of one channel
 * the rows of x under the taps of one row of dy are floats at a time. */
WB_KERNEL void conv2d_backward_weight_by_rows_s8(wb_conv2d_backward_weight_s8 q, wb_tile t, wb_view_f32 dy, wb_view_s8 x,
                                                 float *restrict dweight, float *restrict wide)
{
    const wb_conv2d_backward_weight p = q.convolution;
    const wb_window w = p.window;
    const int filters = p.groups * p.filters, per_filter = p.channels * w.kh * w.kw;
    for (int n = t.image; n < t.image_end; ++n)
        for (int oy = t.row; oy < t.row_end; ++oy)
            for (int g = 0; g < p.groups; ++g)
                for (int c = 0; c < p.channels; ++c)
#pragma GCC unroll 3
                    for (int ky = 0; ky < w.kh; ++ky) {
                        const int iy = row_under_tap(p, oy, ky);
                        if (iy < 0)
                            continue;
                        centred_s8(1, p.in_width, 0, q.x_zero_point, wb_row_of_s8(x, n, g * p.channels + c, iy), wide);
                        for (int o = g * p.filters; o < (g + 1) * p.filters; ++o)
                            weight_gradients_row_f32(p, wb_row_of_f32(dy, n, o, oy), wide,
                                                     dweight + o * per_filter + (c * w.kh + ky) * w.kw);
                    }
    if (t.row < t.row_end && t.row_end == p.out_height && t.image_end == q.images)
        for (int i = 0; i < filters * per_filter; ++i)
            dweight[i] = dweight[i] * q.x_scale;
}

WB_KERNEL void conv2d_backward_weight_s8(wb_conv2d_backward_weight_s8 p, wb_tile t, wb_view_f32 dy, wb_view_s8 x,
                                         float *restrict dweight, void *scratch)
{
    if (t.begun)
        conv2d_backward_weight_by_rows_s8(p, t, dy, x, dweight, scratch);
    else
        conv2d_backward_weight_into_s8(p, t, dy, x, (wb_sink_s8){ .store = dweight }, scratch);
}
