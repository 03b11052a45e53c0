/* naive_conv2d_backward_weight_update_f32.h - the textbook's loops, each gradient going straight to the sum over several
 * batches, or into the weight. */
#pragma once
#include "conv2d_backward_weight_update_f32.h"
#include "naive_conv2d_backward_weight_f32.h"

WB_KERNEL void naive_conv2d_backward_weight_accumulate_f32(wb_conv2d_backward_weight p, wb_tile t, float *restrict sum,
                                                           wb_view_f32 dy, wb_view_f32 x)
{
    naive_conv2d_backward_weight_into_f32(p, t, dy, x, (wb_sink){ .kind = WB_ADD }, sum, 0);
}

WB_KERNEL void naive_conv2d_backward_weight_sgd_f32(wb_conv2d_backward_weight_sgd p, wb_tile t, float *restrict w,
                                                    wb_view_f32 dy, wb_view_f32 x, const float *restrict lr)
{
    naive_conv2d_backward_weight_into_f32(p.gradient, t, dy, x, (wb_sink){ WB_SGD, p.rule, *lr }, w, 0);
}

WB_KERNEL void naive_conv2d_backward_weight_sgd_momentum_f32(wb_conv2d_backward_weight_sgd p, wb_tile t, float *restrict w,
                                                             wb_view_f32 dy, wb_view_f32 x, float *restrict v,
                                                             const float *restrict lr)
{
    naive_conv2d_backward_weight_into_f32(p.gradient, t, dy, x, (wb_sink){ WB_MOMENTUM, p.rule, *lr }, w, v);
}
