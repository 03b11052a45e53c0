/* bce_with_logits_f32.h - binary cross-entropy of logits x and targets t, the mean over all elements; with e = exp(-|x|):
 *
 *            loss                          dx, which may take x's place: sigmoid(x) - t, over count
 *   x >= 0    x * (1 - t) + log1p(e)       ((1 - t) - t * e) / (1 + e)
 *   x <  0   -x * t       + log1p(e)       ((1 - t) * e - t) / (1 + e)
 *
 * Nothing overflows, and where the network is sure nothing is taken from what is all but equal to it. */
#pragma once
#include "exp_log_f32.h"
#include "target.h"

WB_KERNEL void bce_with_logits_of(int count, const float *restrict x, wb_target t, float *restrict loss)
{
    float total = 0.0f;
    for (int i = 0; i < count; ++i) {
        const float size = __builtin_fabsf(x[i]), target = wb_target_at(t, i);
        total += size * (x[i] >= 0.0f ? 1.0f - target : target) + wb_log1p_f32(wb_exp_f32(-size));
    }
    *loss = total * (1.0f / (float)count);
}

WB_KERNEL void bce_with_logits_grad_of(int count, const float *x, wb_target t, float *dx)
{
    for (int i = 0; i < count; ++i) {
        const float e = wb_exp_f32(-__builtin_fabsf(x[i])), target = wb_target_at(t, i), other = 1.0f - target;
        const float d = x[i] >= 0.0f ? other - target * e : other * e - target;
        dx[i] = d / (1.0f + e) * (1.0f / (float)count);
    }
}

WB_KERNEL void bce_with_logits_f32(int count, const float *restrict x, const float *restrict t, float *restrict loss)
{
    bce_with_logits_of(count, x, (wb_target){ .f32 = t }, loss);
}

WB_KERNEL void bce_with_logits_s8(int count, float scale, int zero, const float *restrict x, const int8_t *restrict t,
                                  float *restrict loss)
{
    bce_with_logits_of(count, x, (wb_target){ .s8 = t, .scale = scale, .zero = zero }, loss);
}

WB_KERNEL void bce_with_logits_grad_f32(int count, const float *x, const float *t, float *dx)
{
    bce_with_logits_grad_of(count, x, (wb_target){ .f32 = t }, dx);
}

WB_KERNEL void bce_with_logits_grad_s8(int count, float scale, int zero, const float *x, const int8_t *t, float *dx)
{
    bce_with_logits_grad_of(count, x, (wb_target){ .s8 = t, .scale = scale, .zero = zero }, dx);
}
