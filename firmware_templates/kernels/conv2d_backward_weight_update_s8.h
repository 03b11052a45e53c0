/* conv2d_backward_weight_update_s8.h - an int8 convolution's weight gradient that is never in memory: each element goes
 * straight to the sum over several batches, or into the int8 weight. */
#pragma once
#include "conv2d_backward_weight_s8.h"

typedef struct {
    wb_conv2d_backward_weight_s8 gradient;
    wb_integer_rule rule;
} wb_conv2d_backward_weight_sgd_s8;

WB_KERNEL void conv2d_backward_weight_accumulate_s8(wb_conv2d_backward_weight_s8 p, wb_tile t, float *restrict sum,
                                                    wb_view_f32 dy, wb_view_s8 x, void *scratch)
{
    conv2d_backward_weight_into_s8(p, t, dy, x, (wb_sink_s8){ .add = sum }, scratch);
}

WB_KERNEL void conv2d_backward_weight_sgd_s8(wb_conv2d_backward_weight_sgd_s8 p, wb_tile t, int8_t *restrict w,
                                             wb_view_f32 dy, wb_view_s8 x, const float *restrict s,
                                             const float *restrict lr, const int32_t *restrict seed,
                                             const int32_t *restrict step, void *scratch)
{
    const wb_sink_s8 sink = { .w = w, .s = s, .update = wb_update_of(p.rule, 127, lr, seed, step) };
    conv2d_backward_weight_into_s8(p.gradient, t, dy, x, sink, scratch);
}
