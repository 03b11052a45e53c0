/* clip_four_s8.h - four results of a quantized operator at a time: clipped, stored as one word, and their bits of the clip's
 * mask set.
 *
 * Where the clip is all of int8 and there is a mask, values come 128 higher: then one passes if it is a uint8, and a carry
 * tells so. */
#pragma once
#include "dsp.h"
#include "requantize_s8.h"

/* How much higher values are to come. */
WB_KERNEL int clip_raise(int low, int high, const uint32_t *mask) { return mask && low == -128 && high == 127 ? 128 : 0; }

/* Sets four bits of the mask, from `bit` on, where `passes` has them. */
WB_KERNEL void clip_set_bits(uint32_t passes, uint32_t *mask, int bit)
{
    mask[bit / 32] |= passes << bit % 32;
    if (bit % 32 > 28 && passes >> (32 - bit % 32))
        mask[bit / 32 + 1] |= passes >> (32 - bit % 32);
}

/* The first `count` are stored, and all from four on; `bit`: of the first in the mask. */
WB_KERNEL void clip_four_s8(int low, int high, int count, int v0, int v1, int v2, int v3, int8_t *y, uint32_t *mask, int bit)
{
    const int v[4] = { v0, v1, v2, v3 }, raised = clip_raise(low, high, mask);
    uint32_t c[4], passes = 0u;
#pragma GCC unroll 4
    for (int p = 3; p >= 0; --p) {
        c[p] = raised ? wb_saturated_u8(v[p]) : (uint32_t)wb_saturated_s8(low, high, v[p]);
        if (mask)
            passes = raised ? wb_and_a_bit(passes, c[p], (uint32_t)v[p]) : 2u * passes + (v[p] == (int)c[p]);
    }
    uint32_t word = wb_bytes(c[0], c[1], c[2], c[3]) ^ (raised ? 0x80808080u : 0u);
    if (count >= 4)
        wb_put_four(y, word);
    else
        for (int p = 0; p < count; ++p, word >>= 8)
            y[p] = (int8_t)(uint8_t)word;
    if (mask)
        clip_set_bits(count < 4 ? passes & ((1u << count) - 1u) : passes, mask, bit);
}
