/* sgd_f32.h - w[i] -= lr * g, g = scale * dw[i] + weight_decay * w[i]; with momentum v[i] = momentum * v[i] + g in g's place. */
#pragma once
#include "wb_kernel.h"

/* What becomes of each element. momentum: 0 where there is none, and no v. */
typedef struct {
    float momentum, scale, weight_decay;
} wb_sgd_rule;

typedef struct {
    int count;
    wb_sgd_rule rule;
} wb_sgd;

WB_KERNEL float sgd_gradient_f32(wb_sgd_rule p, float w, float dw)
{
    const float g = p.scale == 1.0f ? dw : dw * p.scale;
    return p.weight_decay == 0.0f ? g : g + w * p.weight_decay;
}

WB_KERNEL void sgd_element_f32(wb_sgd_rule p, float rate, float *w, float dw)
{
    *w -= rate * sgd_gradient_f32(p, *w, dw);
}

WB_KERNEL void sgd_momentum_element_f32(wb_sgd_rule p, float rate, float *w, float dw, float *v)
{
    *v = *v * p.momentum + sgd_gradient_f32(p, *w, dw);
    *w -= rate * *v;
}

WB_KERNEL void sgd_f32(wb_sgd p, float *restrict w, const float *restrict dw, const float *restrict lr)
{
    const float rate = *lr;
#pragma GCC unroll 4
    for (int i = 0; i < p.count; ++i)
        sgd_element_f32(p.rule, rate, w + i, dw[i]);
}

WB_KERNEL void sgd_momentum_f32(wb_sgd p, float *restrict w, const float *restrict dw, float *restrict v,
                                const float *restrict lr)
{
    const float rate = *lr;
#pragma GCC unroll 4
    for (int i = 0; i < p.count; ++i)
        sgd_momentum_element_f32(p.rule, rate, w + i, dw[i], v + i);
}
