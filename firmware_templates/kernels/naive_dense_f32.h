/* naive_dense_f32.h - dense_f32 as a textbook has it: one product at a time. Its bits are those of dense_f32. */
#pragma once
#include "dense_f32.h"

WB_KERNEL void naive_dense_f32(wb_dense_f32 p, const float *restrict x, const float *restrict w, const float *restrict rest,
                               const float *restrict b, float *restrict y, uint32_t *restrict mask)
{
    const int kept = rest ? p.kept : p.inputs, others = p.inputs - kept;
    for (int n = 0; n < p.rows; ++n)
        for (int o = 0; o < p.outputs; ++o) {
            float sum = 0.0f;
            for (int i = 0; i < kept; ++i)
                sum += x[n * p.inputs + i] * w[o * kept + i];
            for (int i = 0; i < others; ++i)
                sum += x[n * p.inputs + kept + i] * rest[o * others + i];
            y[n * p.outputs + o] = wb_finish_f32(wb_layer_end(p.activation, b, o), sum);
        }
    if (mask)
        clip_mask_f32(p.activation, p.rows * p.outputs, y, mask);
}
