/* sum_f32.h - y[c] = sum over n and i of x[n][c][i]. */
#pragma once
#include "wb_kernel.h"

WB_KERNEL void sum_f32(int batch, int channels, int plane, const float *restrict x, float *restrict y)
{
    for (int c = 0; c < channels; ++c) {
        float sum = 0.0f;
        for (int n = 0; n < batch; ++n) {
            const float *p = x + (n * channels + c) * plane;
#pragma GCC unroll 4
            for (int i = 0; i < plane; ++i)
                sum += p[i];
        }
        y[c] = sum;
    }
}
