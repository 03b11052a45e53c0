/* apply_mask_f32.h - dx[i] = bit i of the mask ? dy[i] : 0, lowest bit of a word first. dx may be dy. */
#pragma once
#include "wb_kernel.h"

WB_KERNEL void apply_mask_f32(int count, const float *dy, const uint32_t *restrict mask, float *dx)
{
    for (int start = 0; start < count; start += 32) {
        uint32_t bits = *mask++;
        for (int i = start; i < wb_min(start + 32, count); ++i, bits >>= 1)
            dx[i] = bits & 1u ? dy[i] : 0.0f;
    }
}
