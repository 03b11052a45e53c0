/* max_pool2d_grad_f32.h - dx gets each dy at its window's winner; windows that overlap add up. */
#pragma once
#include "wb_kernel.h"

#define WB_MAX_POOL2D_GRAD(NAME, PLACE)                                                                                \
    WB_KERNEL void NAME(int planes, int in_height, int in_width, int out_height, int out_width, int kw, int sh,       \
                        int sw, int pt, int pl, const float *restrict dy, const PLACE *restrict argmax,               \
                        float *restrict dx)                                                                           \
    {                                                                                                                  \
        for (int i = 0; i < planes * in_height * in_width; ++i)                                                       \
            dx[i] = 0.0f;                                                                                              \
        for (int p = 0; p < planes; ++p, dx += in_height * in_width)                                                  \
            for (int oy = 0; oy < out_height; ++oy)                                                                    \
                for (int ox = 0; ox < out_width; ++ox) {                                                               \
                    const int place = *argmax++;                                                                       \
                    dx[(oy * sh - pt + place / kw) * in_width + ox * sw - pl + place % kw] += *dy++;                   \
                }                                                                                                      \
    }

WB_MAX_POOL2D_GRAD(max_pool2d_grad_i8_f32, int8_t)
WB_MAX_POOL2D_GRAD(max_pool2d_grad_i32_f32, int32_t)
