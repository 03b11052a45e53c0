/* relu6_grad_f32.h - dx[i] = 0 < y[i] < 6 ? dy[i] : 0. dx may be dy. */
#pragma once
#include "wb_kernel.h"

WB_KERNEL void relu6_grad_f32(int count, const float *dy, const float *restrict y, float *dx)
{
#pragma GCC unroll 4
    for (int i = 0; i < count; ++i)
        dx[i] = y[i] > 0.0f && y[i] < 6.0f ? dy[i] : 0.0f;
}
