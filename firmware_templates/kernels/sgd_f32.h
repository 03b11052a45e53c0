/* sgd_f32.h - w[i] -= lr * dw[i]. */
#include "wb_kernel.h"

WB_KERNEL void sgd_f32(int count, float *restrict w, const float *restrict dw, const float *restrict lr)
{
    const float rate = *lr;
#pragma GCC unroll 4
    for (int i = 0; i < count; ++i)
        w[i] -= rate * dw[i];
}
