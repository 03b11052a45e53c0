/* apply_mask_f32.h - dx[i] = bit first + i of the mask ? dy[i] : 0, lowest bit of a word first. dx may be dy. */
#pragma once
#include "wb_kernel.h"

WB_KERNEL void apply_mask_f32(int count, int first, const float *dy, const uint32_t *restrict mask, float *dx)
{
    mask += first / 32;
    for (int done = 0, bit = first % 32; done < count; bit = 0) {
        const int here = wb_min(count - done, 32 - bit);
        uint32_t bits = *mask++ >> bit;
        for (int i = 0; i < here; ++i, bits >>= 1, ++dy)
            *dx++ = bits & 1u ? *dy : 0.0f;
        done += here;
    }
}
