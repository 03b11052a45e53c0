/* relu_f32.h - y[i] = x[i] > 0 ? x[i] : 0. y may be x. The mask holds a bit an element, y[i] > 0, lowest bit first. */
#pragma once
#include "wb_kernel.h"

WB_KERNEL void relu_f32(int count, const float *x, float *y)
{
#pragma GCC unroll 4
    for (int i = 0; i < count; ++i)
        y[i] = x[i] > 0.0f ? x[i] : 0.0f;
}

WB_KERNEL void relu_mask_f32(int count, const float *x, float *y, uint32_t *restrict mask)
{
    for (int start = 0; start < count; start += 32) {
        uint32_t bits = 0;
        for (int i = start; i < wb_min(start + 32, count); ++i) {
            const uint32_t passes = x[i] > 0.0f;
            y[i] = passes ? x[i] : 0.0f;
            bits |= passes << (i - start);
        }
        *mask++ = bits;
    }
}
