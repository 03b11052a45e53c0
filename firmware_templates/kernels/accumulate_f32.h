/* accumulate_f32.h - sum[i] += x[i]; and sum[i] = 0. */
#pragma once
#include "wb_kernel.h"

WB_KERNEL void accumulate_f32(wb_count p, float *restrict sum, const float *restrict x)
{
#pragma GCC unroll 4
    for (int i = 0; i < p.count; ++i)
        sum[i] += x[i];
}

WB_KERNEL void clear_f32(wb_count p, float *restrict sum)
{
    for (int i = 0; i < p.count; ++i)
        sum[i] = 0.0f;
}
