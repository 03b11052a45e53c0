/* matmul_f32.h - y = a * b, rows x inner times inner x columns; a transposed operand is stored the other way round. */
#pragma once
#include "wb_kernel.h"

WB_KERNEL float matmul_dot_f32(int count, const float *p, int p_step, const float *q, int q_step)
{
    float sum = 0.0f;
#pragma GCC unroll 4
    for (int i = 0; i < count; ++i)
        sum += p[i * p_step] * q[i * q_step];
    return sum;
}

WB_KERNEL void matmul_f32(int rows, int columns, int inner, int transpose_a, int transpose_b,
                          const float *restrict a, const float *restrict b, float *restrict y)
{
    const int a_row = transpose_a ? 1 : inner, a_step = transpose_a ? rows : 1;
    const int b_column = transpose_b ? inner : 1, b_step = transpose_b ? 1 : columns;
    for (int r = 0; r < rows; ++r)
        for (int c = 0; c < columns; ++c)
            *y++ = matmul_dot_f32(inner, a + r * a_row, a_step, b + c * b_column, b_step);
}

/* y = a * [b rest]: the first `kept` columns of the right factor are one array, the others another. */
WB_KERNEL void matmul_split_f32(int rows, int columns, int inner, int kept, const float *restrict a,
                                const float *restrict b, const float *restrict rest, float *restrict y)
{
    for (int r = 0; r < rows; ++r, a += inner) {
        for (int c = 0; c < kept; ++c)
            *y++ = matmul_dot_f32(inner, a, 1, b + c, kept);
        for (int c = 0; c < columns - kept; ++c)
            *y++ = matmul_dot_f32(inner, a, 1, rest + c, columns - kept);
    }
}
