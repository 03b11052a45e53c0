/* mse_f32.h - loss = sum over i of (x[i] - t[i])^2 / count; dx[i] = (x[i] - t[i]) * 2 / count, which may take x's place. */
#pragma once
#include "target.h"

WB_KERNEL void mse_of(int count, const float *restrict x, wb_target t, float *restrict loss)
{
    float total = 0.0f;
    for (int i = 0; i < count; ++i) {
        const float d = x[i] - wb_target_at(t, i);
        total += d * d;
    }
    *loss = total * (1.0f / (float)count);
}

WB_KERNEL void mse_grad_of(int count, const float *x, wb_target t, float *dx)
{
    for (int i = 0; i < count; ++i)
        dx[i] = (x[i] - wb_target_at(t, i)) * (2.0f / (float)count);
}

WB_KERNEL void mse_f32(int count, const float *restrict x, const float *restrict t, float *restrict loss)
{
    mse_of(count, x, (wb_target){ .f32 = t }, loss);
}

WB_KERNEL void mse_s8(int count, float scale, int zero, const float *restrict x, const int8_t *restrict t,
                      float *restrict loss)
{
    mse_of(count, x, (wb_target){ .s8 = t, .scale = scale, .zero = zero }, loss);
}

WB_KERNEL void mse_grad_f32(int count, const float *x, const float *t, float *dx)
{
    mse_grad_of(count, x, (wb_target){ .f32 = t }, dx);
}

WB_KERNEL void mse_grad_s8(int count, float scale, int zero, const float *x, const int8_t *t, float *dx)
{
    mse_grad_of(count, x, (wb_target){ .s8 = t, .scale = scale, .zero = zero }, dx);
}
