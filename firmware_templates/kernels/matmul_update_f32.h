/* matmul_update_f32.h - a dense layer's weight gradient a * b that is never in memory: each element goes straight to the
 * sum over several batches, or into the weight. */
#pragma once
#include "matmul_f32.h"
#include "sink_f32.h"

WB_KERNEL void matmul_into_f32(int rows, int columns, int inner, int transpose_a, int transpose_b,
                               const float *restrict a, const float *restrict b,
                               wb_sink sink, float *restrict to, float *restrict v)
{
    const int a_row = transpose_a ? 1 : inner, a_step = transpose_a ? rows : 1;
    const int b_column = transpose_b ? inner : 1, b_step = transpose_b ? 1 : columns;
    for (int r = 0; r < rows; ++r)
        for (int c = 0; c < columns; ++c)
            sink_f32(sink, r * columns + c, to, v, matmul_dot_f32(inner, a + r * a_row, a_step, b + c * b_column, b_step));
}

WB_KERNEL void matmul_accumulate_f32(int rows, int columns, int inner, int transpose_a, int transpose_b,
                                     float *restrict sum, const float *restrict a, const float *restrict b)
{
    const wb_sink sink = { .kind = WB_ADD };
    matmul_into_f32(rows, columns, inner, transpose_a, transpose_b, a, b, sink, sum, 0);
}

WB_KERNEL void matmul_sgd_f32(int rows, int columns, int inner, int transpose_a, int transpose_b,
                              float scale, float weight_decay,
                              float *restrict w, const float *restrict a,
                              const float *restrict b, const float *restrict lr)
{
    const wb_sink sink = { .kind = WB_SGD, .rate = *lr, .scale = scale, .weight_decay = weight_decay };
    matmul_into_f32(rows, columns, inner, transpose_a, transpose_b, a, b, sink, w, 0);
}

WB_KERNEL void matmul_sgd_momentum_f32(int rows, int columns, int inner, int transpose_a, int transpose_b,
                                       float momentum, float scale, float weight_decay,
                                       float *restrict w, const float *restrict a,
                                       const float *restrict b, float *restrict v, const float *restrict lr)
{
    const wb_sink sink = { .kind = WB_MOMENTUM, .rate = *lr,
                           .momentum = momentum, .scale = scale, .weight_decay = weight_decay };
    matmul_into_f32(rows, columns, inner, transpose_a, transpose_b, a, b, sink, w, v);
}
