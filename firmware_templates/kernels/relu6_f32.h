/* relu6_f32.h - y[i] = x[i] clipped to 0..6. y may be x. The mask holds a bit an element, 0 < y[i] < 6. */
#pragma once
#include "wb_kernel.h"

WB_KERNEL void relu6_f32(int count, const float *x, float *y)
{
#pragma GCC unroll 4
    for (int i = 0; i < count; ++i) {
        const float positive = x[i] > 0.0f ? x[i] : 0.0f;
        y[i] = positive < 6.0f ? positive : 6.0f;
    }
}

WB_KERNEL void relu6_mask_f32(int count, const float *x, float *y, uint32_t *restrict mask)
{
    for (int start = 0; start < count; start += 32) {
        uint32_t bits = 0;
        for (int i = start; i < wb_min(start + 32, count); ++i) {
            const float positive = x[i] > 0.0f ? x[i] : 0.0f;
            const uint32_t passes = positive > 0.0f && positive < 6.0f;
            y[i] = positive < 6.0f ? positive : 6.0f;
            bits |= passes << (i - start);
        }
        *mask++ = bits;
    }
}
