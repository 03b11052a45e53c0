/* relu_f32.h - y[i] = x[i] > 0 ? x[i] : 0. y may be x. */
#include "wb_kernel.h"

WB_KERNEL void relu_f32(int count, const float *x, float *y)
{
#pragma GCC unroll 4
    for (int i = 0; i < count; ++i)
        y[i] = x[i] > 0.0f ? x[i] : 0.0f;
}
