/* sum_update_s8.h - the gradient of an int32 bias that is never in memory: each element goes straight into the bias. */
#pragma once
#include "sgd_s8.h"
#include "sum_f32.h"

typedef struct {
    wb_sum gradient;
    wb_integer_rule rule;
} wb_sum_sgd_s8;

WB_KERNEL void sum_sgd_s8(wb_sum_sgd_s8 p, wb_tile t, int32_t *restrict b, wb_view_f32 x, const float *restrict s,
                          const float *restrict lr, const int32_t *restrict seed, const int32_t *restrict step)
{
    const wb_update_s8 update = wb_update_of(p.rule, 1 << 30, lr, seed, step);
    for (int c = t.channel; c < t.channel_end; ++c)
        b[c] = wb_updated(update, wb_rate_of(update, s[c]), b[c], channel_sum_f32(p.gradient, t, x, c, 0.0f), c, 0);
}

typedef struct {
    wb_sum gradient;
    wb_delta_rule rule;
} wb_sum_sgd_delta_s8;

WB_KERNEL void sum_sgd_delta_s8(wb_sum_sgd_delta_s8 p, wb_tile t, int16_t *restrict delta, wb_view_f32 x,
                                const int32_t *restrict b, const float *restrict s, const float *restrict lr,
                                const int32_t *restrict seed, const int32_t *restrict step)
{
    const wb_update_s8 to = wb_update_of(p.rule.bias, 1 << 30, lr, seed, step);
    for (int c = t.channel; c < t.channel_end; ++c)
        wb_update_delta(to, p.rule.wide, delta, b, s[c], channel_sum_f32(p.gradient, t, x, c, 0.0f), c);
}
