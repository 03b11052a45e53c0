/* matmul_f32.h - y = a * b, rows x inner times inner x columns; a transposed operand is stored the other way round. */
#pragma once
#include "wb_kernel.h"

/* kept: the columns of b in its first array; all of them where it is one. */
typedef struct {
    int rows, columns, inner, kept, transpose_a, transpose_b;
} wb_matmul;

WB_KERNEL float matmul_dot_f32(int count, const float *p, int p_step, const float *q, int q_step)
{
    float sum = 0.0f;
#pragma GCC unroll 4
    for (int i = 0; i < count; ++i)
        sum += p[i * p_step] * q[i * q_step];
    return sum;
}

/* Element (r, c), c one of the `columns` of b. */
WB_KERNEL float matmul_element_f32(wb_matmul p, int columns, const float *a, const float *b, int r, int c)
{
    const int a_row = p.transpose_a ? 1 : p.inner, a_step = p.transpose_a ? p.rows : 1;
    const int b_column = p.transpose_b ? p.inner : 1, b_step = p.transpose_b ? 1 : columns;
    return matmul_dot_f32(p.inner, a + r * a_row, a_step, b + c * b_column, b_step);
}

WB_KERNEL void matmul_f32(wb_matmul p, const float *restrict a, const float *restrict b, const float *restrict rest,
                          float *restrict y)
{
    const int others = p.columns - p.kept;
    for (int r = 0; r < p.rows; ++r) {
        for (int c = 0; c < p.kept; ++c)
            *y++ = matmul_element_f32(p, p.kept, a, b, r, c);
        for (int c = 0; c < others; ++c)
            *y++ = matmul_element_f32(p, others, a, rest, r, c);
    }
}
