/* dense_f32.h - y[n][o] = clip(b[o] + sum_i x[n][i] * w[o][i]). b and mask may be 0.
 * w may lie in two arrays: its first `kept` inputs, and the others in `rest` (0: it lies in one). */
#pragma once
#include "activation_f32.h"

typedef struct {
    int rows, outputs, inputs, activation, kept;
} wb_dense_f32;

WB_KERNEL void dense_f32(wb_dense_f32 p, const float *restrict x, const float *restrict w, const float *restrict rest,
                         const float *restrict b, float *restrict y, uint32_t *restrict mask)
{
    const int kept = rest ? p.kept : p.inputs, others = p.inputs - kept;
    for (int n = 0; n < p.rows; ++n)
        for (int o = 0; o < p.outputs; ++o) {
            const float *in = x + n * p.inputs, *first = w + o * kept;
            float sum = 0.0f;
#pragma GCC unroll 4
            for (int i = 0; i < kept; ++i)
                sum += in[i] * first[i];
            if (rest) {
                const float *second = rest + o * others;
#pragma GCC unroll 4
                for (int i = 0; i < others; ++i)
                    sum += in[kept + i] * second[i];
            }
            y[n * p.outputs + o] = wb_finish_f32(wb_layer_end(p.activation, b, o), sum);
        }
    if (mask)
        clip_mask_f32(p.activation, p.rows * p.outputs, y, mask);
}
