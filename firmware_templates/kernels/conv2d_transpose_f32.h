/* conv2d_transpose_f32.h - dx[n][c][iy][ix] = sum dy[n][o][oy][ox] * w[o][c][ky][kx] over oy*sh + ky*dh - pt = iy, the sum
 * beginning at onto[n][c][iy][ix] where there is one. dx may be onto.
 *
 * Gathered, so that each dx is written once. Pixels sh and sw apart are reached by the same taps, so each such phase is a
 * convolution of dy with some of the filter's taps, last tap first:
 *
 *     stride 2, kernel 3, padding 1:    pixels 0 2 4 …  tap 1        dx = dy[i] * w1
 *                                       pixels 1 3 5 …  taps 2, 0    dx = dy[i] * w2 + dy[i+1] * w0 */
#pragma once
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

/* How the `count` sums of dx begin: at 0, or where `onto` is, which is brought to dx unless it is there. */
WB_KERNEL wb_epilogue wb_begun_f32(int count, const float *onto, float *dx)
{
    if (!onto)
        return wb_plain;
    if (onto != dx)
        for (int i = 0; i < count; ++i)
            dx[i] = onto[i];
    return wb_onto(wb_plain);
}

/* The channels of one image, or of one group of it. Filters are `apart` weights from one to the next; `end` may let the
 * sums go on from those that are there. */
WB_KERNEL void conv2d_transpose_channels_f32(int channels, int apart, int in_height, int in_width,
                                             int filters, int out_height, int out_width,
                                             int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw,
                                             wb_epilogue end,
                                             const float *restrict dy, const float *restrict w, float *restrict dx)
{
    for (int c = 0; c < channels; ++c)
#pragma GCC unroll 2
        for (int py = 0; py < wb_min(sh, in_height); ++py)
#pragma GCC unroll 2
            for (int px = 0; px < wb_min(sw, in_width); ++px) {
                int ky, kx;
                const wb_axis v = transpose_axis(out_height, in_height, sh, py, kh, pt, dh, kw, out_width, in_width, &ky);
                const wb_axis h = transpose_axis(out_width, in_width, sw, px, kw, pl, dw, 1, 1, 1, &kx);
                windows_f32(filters, out_height * out_width, apart, v, h, end, dy,
                            w + c * kh * kw + ky + kx, dx + c * in_height * in_width + py * in_width + px);
            }
}

WB_KERNEL void conv2d_transpose_f32(int batch, int groups, int channels, int in_height, int in_width,
                                    int filters, int out_height, int out_width,
                                    int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw,
                                    const float *restrict dy, const float *restrict w, const float *onto, float *dx)
{
    const wb_epilogue end = wb_begun_f32(batch * groups * channels * in_height * in_width, onto, dx);
    for (int n = 0; n < batch; ++n)
        for (int g = 0; g < groups; ++g)
            conv2d_transpose_channels_f32(channels, channels * kh * kw, in_height, in_width, filters, out_height, out_width,
                                          kh, kw, sh, sw, pt, pl, dh, dw, end,
                                          dy + (n * groups + g) * filters * out_height * out_width,
                                          w + g * filters * channels * kh * kw,
                                          dx + (n * groups + g) * channels * in_height * in_width);
}

/* The same with w in two arrays: its first `kept` input channels (of a grouped convolution, groups) and the rest. */
WB_KERNEL void conv2d_transpose_split_f32(int batch, int groups, int channels, int in_height, int in_width,
                                          int filters, int out_height, int out_width,
                                          int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw, int kept,
                                          const float *restrict dy, const float *restrict w,
                                          const float *restrict rest, const float *onto, float *dx)
{
    const wb_epilogue end = wb_begun_f32(batch * groups * channels * in_height * in_width, onto, dx);
    const int in_plane = in_height * in_width, group = filters * channels * kh * kw;
    for (int n = 0; n < batch; ++n)
        for (int g = 0; g < groups; ++g) {
            const float *d = dy + (n * groups + g) * filters * out_height * out_width;
            float *image = dx + (n * groups + g) * channels * in_plane;
            if (groups > 1) {
                conv2d_transpose_channels_f32(channels, channels * kh * kw, in_height, in_width, filters, out_height, out_width,
                                              kh, kw, sh, sw, pt, pl, dh, dw, end,
                                              d, g < kept ? w + g * group : rest + (g - kept) * group, image);
            } else {
                conv2d_transpose_channels_f32(kept, kept * kh * kw, in_height, in_width, filters, out_height, out_width,
                                              kh, kw, sh, sw, pt, pl, dh, dw, end, d, w, image);
                conv2d_transpose_channels_f32(channels - kept, (channels - kept) * kh * kw, in_height, in_width, filters, out_height, out_width,
                                              kh, kw, sh, sw, pt, pl, dh, dw, end, d, rest,
                                              image + kept * in_plane);
            }
        }
}
