/* relu6_f32.h - y[i] = x[i] clipped to 0..6. y may be x. */
#include "wb_kernel.h"

WB_KERNEL void relu6_f32(int count, const float *x, float *y)
{
#pragma GCC unroll 4
    for (int i = 0; i < count; ++i) {
        const float positive = x[i] > 0.0f ? x[i] : 0.0f;
        y[i] = positive < 6.0f ? positive : 6.0f;
    }
}
