/* naive_conv2d_backward_weight_update_s8.h - the textbook's loops, each gradient going straight to the sum over several
 * batches, or into the int8 weight. */
#pragma once
#include "conv2d_backward_weight_update_s8.h"
#include "naive_conv2d_backward_weight_s8.h"

WB_KERNEL void naive_conv2d_backward_weight_accumulate_s8(wb_conv2d_backward_weight_s8 p, wb_tile t, float *restrict sum,
                                                          wb_view_f32 dy, wb_view_s8 x)
{
    naive_conv2d_backward_weight_into_s8(p, t, dy, x, (wb_sink_s8){ .add = sum });
}

WB_KERNEL void naive_conv2d_backward_weight_sgd_s8(wb_conv2d_backward_weight_sgd_s8 p, wb_tile t, int8_t *restrict w,
                                                   wb_view_f32 dy, wb_view_s8 x, const float *restrict s,
                                                   const float *restrict lr, const int32_t *restrict seed,
                                                   const int32_t *restrict step)
{
    const wb_sink_s8 sink = { .w = w, .s = s, .update = wb_update_of(p.rule, 127, lr, seed, step) };
    naive_conv2d_backward_weight_into_s8(p.gradient, t, dy, x, sink);
}
