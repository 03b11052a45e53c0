/* squares_s8.h - squares_f32.h of an int8 convolution's weight gradient: filters grow side by side, channel by channel. */
#pragma once
#include "conv2d_backward_weight_s8.h"
#include "squares_f32.h"

WB_KERNEL void conv2d_backward_weight_squares_s8(int batch, int groups, int channels, int in_height, int in_width,
                                                 int filters, int out_height, int out_width,
                                                 int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw,
                                                 float x_scale, int zero, float unit, const float *restrict dy,
                                                 const int8_t *restrict x, const float *restrict s,
                                                 float *restrict y, void *scratch)
{
    const int in_plane = in_height * in_width, out_plane = out_height * out_width;
    float *wide = scratch, *own = wide + batch * in_plane;
    float sum = 0.0f;
    for (int group = 0; group < groups; ++group) {
        for (int o = 0; o < filters; ++o)
            own[o] = 0.0f;
        for (int c = 0; c < channels; ++c) {
            centred_s8(batch, in_plane, groups * channels * in_plane, zero, x + (group * channels + c) * in_plane, wide);
            for (int o = 0; o < filters; ++o)
#pragma GCC unroll 3
                for (int ky = 0; ky < kh; ++ky)
#pragma GCC unroll 3
                    for (int kx = 0; kx < kw; ++kx) {
                        const float g = weight_gradient_f32(batch, in_height, in_width, out_height, out_width, ky, kx,
                                                            sh, sw, pt, pl, dh, dw, groups * filters * out_plane,
                                                            in_plane, dy + (group * filters + o) * out_plane, wide)
                                        * x_scale;
                        own[o] += g * g;
                    }
        }
        for (int o = 0; o < filters; ++o)
            sum += filter_squares_f32(own[o], unit, s, group * filters + o);
    }
    *y = sum;
}
