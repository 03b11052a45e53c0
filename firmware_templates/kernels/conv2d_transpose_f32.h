/* conv2d_transpose_f32.h - dx[n][c][iy][ix] = sum dy[n][o][oy][ox] * w[o][c][ky][kx] over oy*sh + ky*dh - pt = iy, the sum
 * beginning at onto[n][c][iy][ix] where there is one. dx may be onto. The record is that of the convolution whose adjoint
 * this is: dx is like its input, dy like its output.
 *
 * Gathered, so that each dx is written once. Pixels sh and sw apart are reached by the same taps, so each such phase is a
 * convolution of dy with some of the filter's taps, last tap first:
 *
 *     stride 2, kernel 3, padding 1:    pixels 0 2 4 …  tap 1        dx = dy[i] * w1
 *                                       pixels 1 3 5 …  taps 2, 0    dx = dy[i] * w2 + dy[i+1] * w0
 *
 * Where windows are the pixels in their places (1x1), all of dx is made in tiles of channels by pixels (gemm_f32.h). */
#pragma once
#include "gemm_f32.h"
#include "tiles.h"
#include "windows_f32.h"

WB_KERNEL int wb_gcd(int a, int b)
{
    while (b) {
        const int rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Pixels phase, phase + stride, … of an axis: `size` elements of dy, `pixels` of dx. weight: from tap to tap in memory.
 * first_tap is the smallest whose image falls on the phase; further ones follow every stride / gcd(stride, dilation). */
WB_KERNEL wb_axis transpose_axis(int size, int pixels, int stride, int phase, int kernel, int padding, int dilation,
                                 int weight, int x_next, int y_next, int *first_tap)
{
    const int common = stride == 1 || dilation == 1 ? 1 : wb_gcd(stride, dilation);
    const int tap_step = stride / common;
    int tap = dilation == 1 ? (phase + padding) % stride : 0;
    if (dilation != 1)
        while (tap < kernel && (phase + padding - tap * dilation) % stride != 0)
            ++tap;
    const int taps = tap < kernel ? (kernel - tap + tap_step - 1) / tap_step : 0;
    const int reach = dilation / common; /* elements of dy between taps */
    *first_tap = taps ? (tap + (taps - 1) * tap_step) * weight : 0;
    const int first = taps ? (phase + padding - tap * dilation) / stride - (taps - 1) * reach : 0;
    return (wb_axis){ size, (pixels - phase + stride - 1) / stride, first, 1, taps, reach,
                      -tap_step * weight, x_next, stride * y_next, 0 };
}

/* The rows of a tile that are of one phase (py, py + sh, …). first: which of the phase's rows comes first; skipped: where
 * each of them reads one row of dy, how many rows of dy's view lie before those. */
WB_KERNEL wb_axis transpose_rows(wb_axis v, int py, int sh, wb_tile t, wb_view_f32 dy, int *first, int *skipped)
{
    const int in_place = v.taps == 1 && windows_in_place(v);
    *first = wb_ceil_div(t.row - py, sh);
    *skipped = in_place ? *first - dy.row : 0;
    v.gaps = dy.gaps;
    v.outputs = wb_ceil_div(t.row_end - py, sh) - *first;
    v.size = in_place ? v.outputs : dy.row_end - dy.row;
    v.first += in_place ? 0 : *first - dy.row;
    return v;
}

/* How the sums of a tile begin: at 0, at what is in dx, or at `onto`, which is copied to dx unless it lies there. */
WB_KERNEL wb_epilogue wb_begun_f32(wb_tile t, int columns, wb_view_f32 onto, wb_view_f32 dx)
{
    if (!onto.at)
        return t.begun ? wb_onto(wb_plain) : wb_plain;
    const int joined = wb_min(wb_joined_f32(t, columns, onto), wb_joined_f32(t, columns, dx));
    const wb_runs_in_tile runs = wb_runs_in(t, columns, joined);
    if (onto.at != dx.at)
        WB_FOR_RUNS(runs, t, n, c, r)
            for (int i = 0; i < runs.length; ++i)
                wb_row_of_f32(dx, n, c, r)[i] = wb_row_of_f32(onto, n, c, r)[i];
    return wb_onto(wb_plain);
}

/* Whether each pixel's window is the pixel in its place. */
WB_KERNEL int transpose_is_pointwise(wb_conv2d p)
{
    const wb_window k = p.window;
    return k.kh * k.kw == 1 && k.sh == 1 && k.sw == 1 && k.pt == 0 && k.pl == 0 && p.in_height == p.out_height
           && p.in_width == p.out_width;
}

/* Some channels from `first` on, counted from the tile's own, of a tile of such pixels. Weights lie w_next from one of dy's
 * filters to the next, w_channel from one channel to the next. */
WB_KERNEL void transpose_pixels_f32(wb_conv2d p, int n, wb_tile t, int first, int channels, int w_next, int w_channel,
                                    wb_epilogue end, wb_view_f32 dy, const float *restrict w, wb_view_f32 dx)
{
    const int joined = dy.pitch == p.in_width && dx.pitch == p.in_width, here = t.row_end - t.row;
    const wb_gemm_f32 g = { dy.channel_end - dy.channel, dy.plane, w_next, w_channel, dx.plane, p.fused };
    for (int r = t.row; r < (joined ? t.row + (here > 0) : t.row_end); ++r)
        gemm_f32(g, channels, joined ? here * p.in_width : p.in_width, (wb_ends_f32){ end.activation, end.onto, 0 },
                 wb_row_of_f32(dy, n, dy.channel, r), w, wb_row_of_f32(dx, n, t.channel + first, r));
}

/* What a tile has of image n, where its channels are of one group. w: the weight of the first of them in dy's first filter;
 * filters are `apart` weights from one to the next. */
WB_KERNEL void conv2d_transpose_channels_f32(wb_conv2d p, int n, wb_tile t, int apart, wb_epilogue end,
                                             wb_view_f32 dy, const float *restrict w, wb_view_f32 dx)
{
    const wb_window k = p.window;
    if (transpose_is_pointwise(p)) {
        transpose_pixels_f32(p, n, t, 0, t.channel_end - t.channel, apart, 1, end, dy, w, dx);
        return;
    }
    const wb_windows_f32 s = { dy.channel_end - dy.channel, dy.plane, apart, t.channel_end - t.channel, k.kh * k.kw, dx.plane,
                               p.fused };
#pragma GCC unroll 2
    for (int py = 0; py < wb_min(k.sh, p.in_height); ++py)
#pragma GCC unroll 2
        for (int px = 0; px < wb_min(k.sw, p.in_width); ++px) {
            int ky, kx, first, skipped;
            const wb_axis all = transpose_axis(p.out_height, p.in_height, k.sh, py, k.kh, k.pt, k.dh, k.kw,
                                               dy.pitch, dx.pitch, &ky);
            const wb_axis h = transpose_axis(p.out_width, p.in_width, k.sw, px, k.kw, k.pl, k.dw, 1, 1, 1, &kx);
            const wb_axis v = transpose_rows(all, py, k.sh, t, dy, &first, &skipped);
            if (v.outputs > 0)
                windows_f32(s, v, h, (wb_ends_f32){ end.activation, end.onto, 0 },
                            wb_row_of_f32(dy, n, dy.channel, dy.row + skipped), w + ky + kx,
                            wb_row_of_f32(dx, n, t.channel, first * k.sh + py) + px);
        }
}

/* The groups that a tile touches. Where there are several, it holds whole ones, and dy's view all of their filters. */
WB_KERNEL int transpose_first_group(wb_conv2d p, wb_tile t) { return p.groups > 1 ? t.channel / p.channels : 0; }
WB_KERNEL int transpose_groups(wb_conv2d p, wb_tile t)
{
    return p.groups > 1 ? (t.channel_end - t.channel) / p.channels : 1;
}

/* What a tile has of group g, and the view of this group's filters. */
WB_KERNEL wb_tile transpose_tile(wb_conv2d p, wb_tile t, int g)
{
    if (p.groups > 1) {
        t.channel = g * p.channels;
        t.channel_end = t.channel + p.channels;
    }
    return t;
}

WB_KERNEL wb_view_f32 transpose_filters(wb_conv2d p, wb_view_f32 dy, int g)
{
    if (p.groups > 1) {
        dy.at += (g * p.filters - dy.channel) * dy.plane;
        dy.channel = g * p.filters;
        dy.channel_end = dy.channel + p.filters;
    }
    return dy;
}

/* Group g of image n, from a weight that may lie in two arrays. */
WB_KERNEL void conv2d_transpose_group_f32(wb_conv2d p, int n, int g, wb_tile t, wb_epilogue end, wb_view_f32 dy,
                                          const float *restrict w, const float *restrict rest, wb_view_f32 dx)
{
    const int taps = p.window.kh * p.window.kw, group = p.filters * p.channels * taps;
    const int in_w = rest ? p.kept : p.channels, in_rest = p.channels - in_w;
    if (p.groups > 1) {
        conv2d_transpose_channels_f32(p, n, t, p.channels * taps, end, dy,
                                      rest && g >= p.kept ? rest + (g - p.kept) * group : w + g * group, dx);
        return;
    }
    wb_tile first = t, second = t;
    first.channel_end = wb_min(t.channel_end, in_w);
    second.channel = wb_max(t.channel, in_w);
    if (first.channel < first.channel_end)
        conv2d_transpose_channels_f32(p, n, first, in_w * taps, end, dy, w + (dy.channel * in_w + first.channel) * taps, dx);
    if (rest && second.channel < second.channel_end)
        conv2d_transpose_channels_f32(p, n, second, in_rest * taps, end, dy,
                                      rest + (dy.channel * in_rest + second.channel - in_w) * taps, dx);
}

WB_KERNEL void conv2d_transpose_f32(wb_conv2d p, wb_tile t, wb_view_f32 dy, const float *restrict w,
                                    const float *restrict rest, wb_view_f32 onto, wb_view_f32 dx)
{
    const wb_epilogue end = wb_fused(p.fused, wb_begun_f32(t, p.in_width, onto, dx));
    for (int n = t.image; n < t.image_end; ++n)
        for (int i = 0; i < transpose_groups(p, t); ++i) {
            const int g = transpose_first_group(p, t) + i;
            conv2d_transpose_group_f32(p, n, g, transpose_tile(p, t, g), end, transpose_filters(p, dy, g), w, rest, dx);
        }
}
