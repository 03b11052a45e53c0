/* naive_matmul_f32.h - matmul_f32 as a textbook has it: one product at a time. Its bits are those of matmul_f32. */
#pragma once
#include "matmul_f32.h"

/* Element (r, c), c one of the `columns` of b. */
WB_KERNEL float naive_element_f32(wb_matmul p, int columns, const float *a, const float *b, int r, int c)
{
    float sum = 0.0f;
    for (int i = 0; i < p.inner; ++i)
        sum += a[p.transpose_a ? i * p.rows + r : r * p.inner + i] * b[p.transpose_b ? c * p.inner + i : i * columns + c];
    return sum;
}

WB_KERNEL void naive_matmul_f32(wb_matmul p, const float *restrict a, const float *restrict b, const float *restrict rest,
                                float *restrict y)
{
    const int others = p.columns - p.kept;
    for (int r = 0; r < p.rows; ++r) {
        for (int c = 0; c < p.kept; ++c)
            y[r * p.columns + c] = naive_element_f32(p, p.kept, a, b, r, c);
        for (int c = 0; c < others; ++c)
            y[r * p.columns + p.kept + c] = naive_element_f32(p, others, a, rest, r, c);
    }
}
