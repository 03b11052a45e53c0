/* global_avg_pool2d_f32.h - y[p] = the mean of plane p; the gradient gives each of its elements dy[p] / size. */
#pragma once
#include "wb_kernel.h"

WB_KERNEL void global_avg_pool2d_f32(int planes, int size, const float *restrict x, float *restrict y)
{
    for (int p = 0; p < planes; ++p, x += size) {
        float sum = 0.0f;
#pragma GCC unroll 8
        for (int i = 0; i < size; ++i)
            sum += x[i];
        y[p] = sum * (1.0f / (float)size);
    }
}

WB_KERNEL void global_avg_pool2d_grad_f32(int planes, int size, const float *restrict dy, float *restrict dx)
{
    for (int p = 0; p < planes; ++p, dx += size) {
        const float share = dy[p] * (1.0f / (float)size);
#pragma GCC unroll 8
        for (int i = 0; i < size; ++i)
            dx[i] = share;
    }
}
