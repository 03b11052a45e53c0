/* conv2d_backward_weight_s8.h - dw = x_scale * sum of dy * (x - zero), x being int8: one channel of it at a time as floats. */
#pragma once
#include "conv2d_backward_weight_f32.h"

/* Channel c of all images of x, side by side. */
WB_KERNEL void centred_s8(int batch, int plane, int image, int zero, const int8_t *restrict x, float *restrict wide)
{
    for (int n = 0; n < batch; ++n)
#pragma GCC unroll 4
        for (int i = 0; i < plane; ++i)
            *wide++ = (float)(x[n * image + i] - zero);
}

WB_KERNEL void conv2d_backward_weight_s8(int batch, int groups, int channels, int in_height, int in_width,
                                         int filters, int out_height, int out_width,
                                         int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw,
                                         float x_scale, int zero,
                                         const float *restrict dy, const int8_t *restrict x, float *restrict dweight,
                                         void *scratch)
{
    const int in_plane = in_height * in_width, out_plane = out_height * out_width, taps = kh * kw;
    float *wide = scratch;
    for (int g = 0; g < groups; ++g)
        for (int c = 0; c < channels; ++c) {
            centred_s8(batch, in_plane, groups * channels * in_plane, zero, x + (g * channels + c) * in_plane, wide);
            for (int o = g * filters; o < (g + 1) * filters; ++o)
#pragma GCC unroll 3
                for (int ky = 0; ky < kh; ++ky)
#pragma GCC unroll 3
                    for (int kx = 0; kx < kw; ++kx)
                        dweight[(o * channels + c) * taps + ky * kw + kx] = x_scale
                            * weight_gradient_f32(batch, in_height, in_width, out_height, out_width, ky, kx, sh, sw, pt, pl,
                                                  dh, dw, groups * filters * out_plane, in_plane, dy + o * out_plane, wide);
        }
}
