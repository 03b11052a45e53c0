/* sum_update_f32.h - a bias gradient that is never in memory: each element goes straight to the sum over several batches,
 * or into the bias. */
#pragma once
#include "sum_f32.h"

typedef struct {
    wb_sum gradient;
    wb_sgd_rule rule;
} wb_sum_sgd;

WB_KERNEL void sum_accumulate_f32(wb_sum p, wb_tile t, float *restrict sum, wb_view_f32 x)
{
    sum_into_f32(p, t, x, (wb_sink){ .kind = WB_ADD }, sum, 0);
}

WB_KERNEL void sum_sgd_f32(wb_sum_sgd p, wb_tile t, float *restrict b, wb_view_f32 x, const float *restrict lr)
{
    sum_into_f32(p.gradient, t, x, (wb_sink){ WB_SGD, p.rule, *lr }, b, 0);
}

WB_KERNEL void sum_sgd_momentum_f32(wb_sum_sgd p, wb_tile t, float *restrict b, wb_view_f32 x, float *restrict v,
                                    const float *restrict lr)
{
    sum_into_f32(p.gradient, t, x, (wb_sink){ WB_MOMENTUM, p.rule, *lr }, b, v);
}
