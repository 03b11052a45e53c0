/* matmul_update_f32.h - a dense layer's weight gradient a * b that is never in memory: each element goes straight to the
 * sum over several batches, or into the weight. */
#pragma once
#include "matmul_f32.h"
#include "sink_f32.h"

typedef struct {
    wb_matmul gradient;
    wb_sgd_rule rule;
} wb_matmul_sgd;

WB_KERNEL void matmul_into_f32(wb_matmul p, const float *restrict a, const float *restrict b, wb_sink sink,
                               float *restrict to, float *restrict v)
{
    for (int r = 0; r < p.rows; ++r)
        for (int c = 0; c < p.columns; ++c)
            sink_f32(sink, r * p.columns + c, to, v, matmul_element_f32(p, p.columns, a, b, r, c));
}

WB_KERNEL void matmul_accumulate_f32(wb_matmul p, float *restrict sum, const float *restrict a, const float *restrict b)
{
    matmul_into_f32(p, a, b, (wb_sink){ .kind = WB_ADD }, sum, 0);
}

WB_KERNEL void matmul_sgd_f32(wb_matmul_sgd p, float *restrict w, const float *restrict a, const float *restrict b,
                              const float *restrict lr)
{
    matmul_into_f32(p.gradient, a, b, (wb_sink){ WB_SGD, p.rule, *lr }, w, 0);
}

WB_KERNEL void matmul_sgd_momentum_f32(wb_matmul_sgd p, float *restrict w, const float *restrict a,
                                       const float *restrict b, float *restrict v, const float *restrict lr)
{
    matmul_into_f32(p.gradient, a, b, (wb_sink){ WB_MOMENTUM, p.rule, *lr }, w, v);
}
