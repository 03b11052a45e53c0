/* bce_with_logits_f32.h - binary cross-entropy of logits x and targets t, the mean over all elements; with e = exp(-|x|):
 *
 *            loss                          dx, which may take x's place: sigmoid(x) - t, over count
 *   x >= 0    x * (1 - t) + log1p(e)       ((1 - t) - t * e) / (1 + e)
 *   x <  0   -x * t       + log1p(e)       ((1 - t) * e - t) / (1 + e)
 *
 * Nothing overflows, and where the network is sure nothing is taken from what is all but equal to it.
 * The targets are f32 or s8; the other is 0. */
#pragma once
#include "exp_log_f32.h"
#include "reals.h"

WB_KERNEL void bce_with_logits_of(wb_reals p, const float *restrict x, const float *f32, const int8_t *s8,
                                  float *restrict loss)
{
    float total = 0.0f;
    for (int i = 0; i < p.count; ++i) {
        const float size = __builtin_fabsf(x[i]), target = wb_real(p, f32, s8, i);
        total += size * (x[i] >= 0.0f ? 1.0f - target : target) + wb_log1p_f32(wb_exp_f32(-size));
    }
    *loss = total * (1.0f / (float)p.count);
}

WB_KERNEL void bce_with_logits_grad_of(wb_reals p, const float *x, const float *f32, const int8_t *s8, float *dx)
{
    for (int i = 0; i < p.count; ++i) {
        const float e = wb_exp_f32(-__builtin_fabsf(x[i])), target = wb_real(p, f32, s8, i), other = 1.0f - target;
        const float d = x[i] >= 0.0f ? other - target * e : other * e - target;
        dx[i] = d / (1.0f + e) * (1.0f / (float)p.count);
    }
}

WB_KERNEL void bce_with_logits_f32(wb_reals p, const float *restrict x, const float *restrict t, float *restrict loss)
{
    bce_with_logits_of(p, x, t, 0, loss);
}

WB_KERNEL void bce_with_logits_s8(wb_reals p, const float *restrict x, const int8_t *restrict t, float *restrict loss)
{
    bce_with_logits_of(p, x, 0, t, loss);
}

WB_KERNEL void bce_with_logits_grad_f32(wb_reals p, const float *x, const float *t, float *dx)
{
    bce_with_logits_grad_of(p, x, t, 0, dx);
}

WB_KERNEL void bce_with_logits_grad_s8(wb_reals p, const float *x, const int8_t *t, float *dx)
{
    bce_with_logits_grad_of(p, x, 0, t, dx);
}
