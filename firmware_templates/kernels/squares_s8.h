/* squares_s8.h - squares_f32.h of an int8 convolution's weight gradient: filters grow side by side, channel by channel. */
#pragma once
#include "conv2d_backward_weight_s8.h"
#include "squares_f32.h"

typedef struct {
    wb_conv2d_backward_weight_s8 gradient;
    float unit;
} wb_conv2d_backward_weight_squares_s8;

WB_KERNEL void conv2d_backward_weight_squares_s8(wb_conv2d_backward_weight_squares_s8 q, wb_tile t, wb_view_f32 dy,
                                                 wb_view_s8 x, const float *restrict s, float *restrict y, void *scratch)
{
    const wb_conv2d_backward_weight p = q.gradient.convolution;
    const int images = t.image_end - t.image, in_plane = p.in_height * p.in_width;
    float *wide = scratch, *own = wide + images * in_plane;
    float sum = 0.0f;
    for (int group = 0; group < p.groups; ++group) {
        for (int o = 0; o < p.filters; ++o)
            own[o] = 0.0f;
        for (int c = 0; c < p.channels; ++c) {
            centred_s8(images, in_plane, x.image, q.gradient.x_zero_point,
                       wb_row_of_s8(x, t.image, group * p.channels + c, 0), wide);
            for (int o = 0; o < p.filters; ++o)
#pragma GCC unroll 3
                for (int ky = 0; ky < p.window.kh; ++ky)
#pragma GCC unroll 3
                    for (int kx = 0; kx < p.window.kw; ++kx) {
                        const float g = weight_gradient_f32(p, images, ky, kx, dy.image, in_plane,
                                                            wb_row_of_f32(dy, t.image, group * p.filters + o, 0), wide)
                                        * q.gradient.x_scale;
                        own[o] += g * g;
                    }
        }
        for (int o = 0; o < p.filters; ++o)
            sum += filter_squares_f32(own[o], q.unit, s, group * p.filters + o);
    }
    *y = sum;
}
