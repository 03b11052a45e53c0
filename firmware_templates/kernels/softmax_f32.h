/* softmax_f32.h - y[n] = exp(x[n]) / sum exp(x[n]). */
#pragma once
#include "softmax_cross_entropy_f32.h"

WB_KERNEL void softmax_f32(wb_softmax p, const float *restrict x, float *restrict y)
{
    for (int n = 0; n < p.batch; ++n, x += p.classes, y += p.classes) {
        const float largest = x[softmax_largest_f32(p.classes, x)];
        float sum = 0.0f;
        for (int c = 0; c < p.classes; ++c)
            sum += y[c] = wb_exp_f32(x[c] - largest);
        const float scale = 1.0f / sum;
        for (int c = 0; c < p.classes; ++c)
            y[c] *= scale;
    }
}
