/* sgd_f32.h - w[i] -= lr * g, g = scale * dw[i] + weight_decay * w[i]; with momentum v[i] = momentum * v[i] + g in g's place. */
#pragma once
#include "wb_kernel.h"

WB_KERNEL float sgd_gradient_f32(float scale, float weight_decay, float w, float dw)
{
    const float g = scale == 1.0f ? dw : dw * scale;
    return weight_decay == 0.0f ? g : g + w * weight_decay;
}

WB_KERNEL void sgd_element_f32(float rate, float scale, float weight_decay, float *w, float dw)
{
    *w -= rate * sgd_gradient_f32(scale, weight_decay, *w, dw);
}

WB_KERNEL void sgd_momentum_element_f32(float rate, float momentum, float scale, float weight_decay,
                                        float *w, float dw, float *v)
{
    *v = *v * momentum + sgd_gradient_f32(scale, weight_decay, *w, dw);
    *w -= rate * *v;
}

WB_KERNEL void sgd_f32(int count, float scale, float weight_decay,
                       float *restrict w, const float *restrict dw, const float *restrict lr)
{
    const float rate = *lr;
#pragma GCC unroll 4
    for (int i = 0; i < count; ++i)
        sgd_element_f32(rate, scale, weight_decay, w + i, dw[i]);
}

WB_KERNEL void sgd_momentum_f32(int count, float momentum, float scale, float weight_decay, float *restrict w,
                                const float *restrict dw, float *restrict v, const float *restrict lr)
{
    const float rate = *lr;
#pragma GCC unroll 4
    for (int i = 0; i < count; ++i)
        sgd_momentum_element_f32(rate, momentum, scale, weight_decay, w + i, dw[i], v + i);
}
