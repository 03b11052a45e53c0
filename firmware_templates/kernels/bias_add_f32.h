/* bias_add_f32.h - y[n][c][i] = x[n][c][i] + b[c]. y may be x. */
#pragma once
#include "wb_kernel.h"

WB_KERNEL void bias_add_f32(int batch, int channels, int plane, const float *x, const float *restrict b, float *y)
{
    for (int n = 0; n < batch; ++n)
        for (int c = 0; c < channels; ++c) {
            const float bias = b[c];
#pragma GCC unroll 4
            for (int i = 0; i < plane; ++i)
                *y++ = *x++ + bias;
        }
}
