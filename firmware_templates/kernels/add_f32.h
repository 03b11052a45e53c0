/* add_f32.h - y[i] = a[i] + b[i]. y may be a or b. */
#pragma once
#include "wb_kernel.h"

WB_KERNEL void add_f32(int count, const float *a, const float *b, float *y)
{
#pragma GCC unroll 4
    for (int i = 0; i < count; ++i)
        y[i] = a[i] + b[i];
}
