/* relu_f32.h - y[i] = x[i] <= 0 ? 0 : x[i]. y may be x. The mask holds a bit an element, set where x is kept. */
#pragma once
#include "activation_f32.h"

WB_KERNEL void relu_f32(int count, const float *x, float *y)
{
#pragma GCC unroll 4
    for (int i = 0; i < count; ++i)
        y[i] = wb_clipped_f32(WB_RELU, x[i]);
}

/* Lowest bit first. */
WB_KERNEL void relu_mask_f32(int count, const float *x, float *y, uint32_t *restrict mask)
{
    for (int start = 0; start < count; start += 32) {
        uint32_t bits = 0;
        for (int i = start; i < wb_min(start + 32, count); ++i) {
            bits |= wb_passes_f32(WB_RELU, x[i]) << (i - start);
            y[i] = wb_clipped_f32(WB_RELU, x[i]);
        }
        *mask++ = bits;
    }
}
