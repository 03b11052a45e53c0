/* mse_f32.h - loss = sum over i of (x[i] - t[i])^2 / count; dx[i] = (x[i] - t[i]) * 2 / count, which may take x's place.
 * The targets are f32 or s8; the other is 0. */
#pragma once
#include "reals.h"

WB_KERNEL void mse_of(wb_reals p, const float *restrict x, const float *f32, const int8_t *s8, float *restrict loss)
{
    float total = 0.0f;
    for (int i = 0; i < p.count; ++i) {
        const float d = x[i] - wb_real(p, f32, s8, i);
        total += d * d;
    }
    *loss = total * (1.0f / (float)p.count);
}

WB_KERNEL void mse_grad_of(wb_reals p, const float *x, const float *f32, const int8_t *s8, float *dx)
{
    for (int i = 0; i < p.count; ++i)
        dx[i] = (x[i] - wb_real(p, f32, s8, i)) * (2.0f / (float)p.count);
}

WB_KERNEL void mse_f32(wb_reals p, const float *restrict x, const float *restrict t, float *restrict loss)
{
    mse_of(p, x, t, 0, loss);
}

WB_KERNEL void mse_s8(wb_reals p, const float *restrict x, const int8_t *restrict t, float *restrict loss)
{
    mse_of(p, x, 0, t, loss);
}

WB_KERNEL void mse_grad_f32(wb_reals p, const float *x, const float *t, float *dx) { mse_grad_of(p, x, t, 0, dx); }
WB_KERNEL void mse_grad_s8(wb_reals p, const float *x, const int8_t *t, float *dx) { mse_grad_of(p, x, 0, t, dx); }
