/* slice_f32.h - slice: y is a part of x; pad: x is such a part of y, the rest is `value`. The part begins at element `first`
 * of the larger array; the loops go through the part's axes, with steps in the larger array. */
#pragma once
#include "transpose_f32.h"

typedef struct {
    int first;
    wb_loops loops;
} wb_slice;

/* elements: of y. */
typedef struct {
    int elements, first;
    wb_loops loops;
    float value;
} wb_pad;

WB_KERNEL void slice_f32(wb_slice p, const float *restrict x, float *restrict y)
{
    transpose_f32(p.loops, x + p.first, y);
}

WB_KERNEL void slice_s8(wb_slice p, const int8_t *restrict x, int8_t *restrict y)
{
    transpose_s8(p.loops, x + p.first, y);
}

WB_KERNEL void pad_f32(wb_pad p, const float *restrict x, float *restrict y)
{
    for (int i = 0; i < p.elements; ++i)
        y[i] = p.value;
    WB_FOR_OUTER(p.loops, a, b, c, d, e) {
        float *to = y + p.first + wb_in_loops(p.loops, a, b, c, d, e);
#pragma GCC unroll 4
        for (int f = 0; f < p.loops.n[5]; ++f)
            to[f * p.loops.step[5]] = *x++;
    }
}

WB_KERNEL void pad_s8(wb_pad p, const int8_t *restrict x, int8_t *restrict y)
{
    for (int i = 0; i < p.elements; ++i)
        y[i] = (int8_t)p.value;
    WB_FOR_OUTER(p.loops, a, b, c, d, e) {
        int8_t *to = y + p.first + wb_in_loops(p.loops, a, b, c, d, e);
#pragma GCC unroll 4
        for (int f = 0; f < p.loops.n[5]; ++f)
            to[f * p.loops.step[5]] = *x++;
    }
}
