/* squares_s8.h - squares_f32.h of an int8 convolution's weight gradient: filters grow side by side, channel by channel. */
#pragma once
#include "conv2d_backward_weight_s8.h"
#include "squares_f32.h"

typedef struct {
    wb_conv2d_backward_weight_s8 gradient;
    float unit;
} wb_conv2d_backward_weight_squares_s8;

WB_KERNEL void conv2d_backward_weight_squares_s8(wb_conv2d_backward_weight_squares_s8 q, const float *restrict dy,
                                                 const int8_t *restrict x, const float *restrict s,
                                                 float *restrict y, void *scratch)
{
    const wb_conv2d_backward_weight p = q.gradient.convolution;
    const int in_plane = p.in_height * p.in_width, out_plane = p.out_height * p.out_width;
    const int in_image = p.groups * p.channels * in_plane, out_image = p.groups * p.filters * out_plane;
    float *wide = scratch, *own = wide + p.batch * in_plane;
    float sum = 0.0f;
    for (int group = 0; group < p.groups; ++group) {
        for (int o = 0; o < p.filters; ++o)
            own[o] = 0.0f;
        for (int c = 0; c < p.channels; ++c) {
            centred_s8(p.batch, in_plane, in_image, q.gradient.x_zero_point, x + (group * p.channels + c) * in_plane,
                       wide);
            for (int o = 0; o < p.filters; ++o)
#pragma GCC unroll 3
                for (int ky = 0; ky < p.window.kh; ++ky)
#pragma GCC unroll 3
                    for (int kx = 0; kx < p.window.kw; ++kx) {
                        const float g = weight_gradient_f32(p, ky, kx, out_image, in_plane,
                                                            dy + (group * p.filters + o) * out_plane, wide)
                                        * q.gradient.x_scale;
                        own[o] += g * g;
                    }
        }
        for (int o = 0; o < p.filters; ++o)
            sum += filter_squares_f32(own[o], q.unit, s, group * p.filters + o);
    }
    *y = sum;
}
