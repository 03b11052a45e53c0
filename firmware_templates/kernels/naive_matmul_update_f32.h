/* naive_matmul_update_f32.h - the textbook's product of matrices, each element going straight to the sum over several batches,
 * or into the weight. */
#pragma once
#include "matmul_update_f32.h"
#include "naive_matmul_f32.h"

WB_KERNEL void naive_matmul_into_f32(wb_matmul p, const float *restrict a, const float *restrict b, wb_sink sink,
                                     float *restrict to, float *restrict v)
{
    for (int r = 0; r < p.rows; ++r)
        for (int c = 0; c < p.columns; ++c)
            sink_f32(sink, r * p.columns + c, to, v, naive_element_f32(p, p.columns, a, b, r, c));
}

WB_KERNEL void naive_matmul_accumulate_f32(wb_matmul p, float *restrict sum, const float *restrict a, const float *restrict b)
{
    naive_matmul_into_f32(p, a, b, (wb_sink){ .kind = WB_ADD }, sum, 0);
}

WB_KERNEL void naive_matmul_sgd_f32(wb_matmul_sgd p, float *restrict w, const float *restrict a, const float *restrict b,
                                    const float *restrict lr)
{
    naive_matmul_into_f32(p.gradient, a, b, (wb_sink){ WB_SGD, p.rule, *lr }, w, 0);
}

WB_KERNEL void naive_matmul_sgd_momentum_f32(wb_matmul_sgd p, float *restrict w, const float *restrict a,
                                             const float *restrict b, float *restrict v, const float *restrict lr)
{
    naive_matmul_into_f32(p.gradient, a, b, (wb_sink){ WB_MOMENTUM, p.rule, *lr }, w, v);
}
