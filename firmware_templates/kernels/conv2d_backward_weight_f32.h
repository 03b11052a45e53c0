/* conv2d_backward_weight_f32.h - dw[o][c][ky][kx] = sum dy[n][o][oy][ox] * x[n][c][oy*sh + ky*dh - pt][ox*sw + kx*dw - pl].
 *
 * For each weight the pixels that see it form a rectangle, known before the loops: no test inside.
 * conv2d_backward_weight_into_f32 hands each element on to a sink (sink_f32.h). */
#pragma once
#include "sink_f32.h"

/* The gradient of tap (ky, kx) of one channel of one filter; dy_image, x_image: elements from one image to the next. No
 * `restrict` here: the caller's pointers have it, and a second one hides that from GCC 12 (half as many instructions). */
WB_KERNEL float weight_gradient_f32(int batch, int in_height, int in_width, int out_height, int out_width,
                                    int ky, int kx, int sh, int sw, int pt, int pl, int dh, int dw,
                                    int dy_image, int x_image, const float *dy, const float *x)
{
    const int top = ky * dh - pt, left = kx * dw - pl; /* the element of x under output (0, 0) */
    const int oy0 = wb_ceil_div(-top, sh), oy1 = wb_min(out_height, wb_ceil_div(in_height - top, sh));
    const int ox0 = wb_ceil_div(-left, sw), ox1 = wb_min(out_width, wb_ceil_div(in_width - left, sw));
    float sum = 0.0f;
    for (int n = 0; n < batch; ++n)
        for (int oy = oy0; oy < oy1; ++oy) {
            const float *drow = dy + n * dy_image + oy * out_width;
            const int row = n * x_image + (oy * sh + top) * in_width + left; /* may lie before x: a number, no address */
#pragma GCC unroll 8
            for (int ox = ox0; ox < ox1; ++ox)
                sum += drow[ox] * x[row + ox * sw];
        }
    return sum;
}

WB_KERNEL void conv2d_backward_weight_into_f32(int batch, int groups, int channels, int in_height, int in_width,
                                               int filters, int out_height, int out_width,
                                               int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw,
                                               const float *restrict dy, const float *restrict x,
                                               wb_sink sink, float *restrict to, float *restrict v)
{
    const int in_plane = in_height * in_width, out_plane = out_height * out_width;
    for (int g = 0; g < groups; ++g)
        for (int o = 0; o < filters; ++o)
            for (int c = 0; c < channels; ++c)
#pragma GCC unroll 3
                for (int ky = 0; ky < kh; ++ky)
#pragma GCC unroll 3
                    for (int kx = 0; kx < kw; ++kx)
                        sink_f32(sink, (((g * filters + o) * channels + c) * kh + ky) * kw + kx, to, v,
                                 weight_gradient_f32(batch, in_height, in_width, out_height, out_width, ky, kx, sh, sw,
                                                     pt, pl, dh, dw, groups * filters * out_plane,
                                                     groups * channels * in_plane, dy + (g * filters + o) * out_plane,
                                                     x + (g * channels + c) * in_plane));
}

WB_KERNEL void conv2d_backward_weight_f32(int batch, int groups, int channels, int in_height, int in_width,
                                          int filters, int out_height, int out_width,
                                          int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw,
                                          const float *restrict dy, const float *restrict x, float *restrict dweight)
{
    conv2d_backward_weight_into_f32(batch, groups, channels, in_height, in_width, filters, out_height, out_width,
                                    kh, kw, sh, sw, pt, pl, dh, dw, dy, x, (wb_sink){ .kind = WB_STORE }, dweight, 0);
}
