/* dense_f32.h - y[n][o] = clip(b[o] + sum_i x[n][i] * w[o][i]). b and mask may be 0. */
#pragma once
#include "activation_f32.h"

WB_KERNEL void dense_f32(int rows, int outputs, int inputs, int activation, const float *restrict x,
                         const float *restrict w, const float *restrict b, float *restrict y, uint32_t *restrict mask)
{
    for (int n = 0; n < rows; ++n)
        for (int o = 0; o < outputs; ++o) {
            const float *p = x + n * inputs, *q = w + o * inputs;
            float sum = 0.0f;
#pragma GCC unroll 4
            for (int i = 0; i < inputs; ++i)
                sum += p[i] * q[i];
            y[n * outputs + o] = wb_finish_f32(wb_layer_end(activation, b, o), sum);
        }
    if (mask)
        clip_mask_f32(activation, rows * outputs, y, mask);
}

/* The same with w in two arrays: its first `kept` inputs and the rest. */
WB_KERNEL void dense_split_f32(int rows, int outputs, int inputs, int activation, int kept, const float *restrict x,
                               const float *restrict w, const float *restrict rest, const float *restrict b,
                               float *restrict y, uint32_t *restrict mask)
{
    for (int n = 0; n < rows; ++n)
        for (int o = 0; o < outputs; ++o) {
            const float *p = x + n * inputs, *q = w + o * kept, *r = rest + o * (inputs - kept);
            float sum = 0.0f;
#pragma GCC unroll 4
            for (int i = 0; i < kept; ++i)
                sum += p[i] * q[i];
#pragma GCC unroll 4
            for (int i = 0; i < inputs - kept; ++i)
                sum += p[kept + i] * r[i];
            y[n * outputs + o] = wb_finish_f32(wb_layer_end(activation, b, o), sum);
        }
    if (mask)
        clip_mask_f32(activation, rows * outputs, y, mask);
}
