/* transpose_f32.h - y in its own order: the loops go through its axes, with steps in x. */
#pragma once
#include "loops.h"

WB_KERNEL void transpose_f32(wb_loops p, const float *restrict x, float *restrict y)
{
    WB_FOR_OUTER(p, a, b, c, d, e) {
        const float *from = x + wb_in_loops(p, a, b, c, d, e);
#pragma GCC unroll 4
        for (int f = 0; f < p.n[5]; ++f)
            *y++ = from[f * p.step[5]];
    }
}

WB_KERNEL void transpose_s8(wb_loops p, const int8_t *restrict x, int8_t *restrict y)
{
    WB_FOR_OUTER(p, a, b, c, d, e) {
        const int8_t *from = x + wb_in_loops(p, a, b, c, d, e);
#pragma GCC unroll 4
        for (int f = 0; f < p.n[5]; ++f)
            *y++ = from[f * p.step[5]];
    }
}
