/* relu6_grad_f32.h - dx[i] = y[i] <= 0 or y[i] >= 6 ? 0 : dy[i]. dx may be dy. */
#pragma once
#include "activation_f32.h"

WB_KERNEL void relu6_grad_f32(int count, const float *dy, const float *restrict y, float *dx)
{
#pragma GCC unroll 4
    for (int i = 0; i < count; ++i)
        dx[i] = wb_passes_f32(WB_RELU6, y[i]) ? dy[i] : 0.0f;
}
