/* softmax_f32.h - y[n] = exp(x[n]) / sum exp(x[n]). */
#pragma once
#include "softmax_cross_entropy_f32.h"

WB_KERNEL void softmax_f32(int batch, int classes, const float *restrict x, float *restrict y)
{
    for (int n = 0; n < batch; ++n, x += classes, y += classes) {
        const float largest = x[softmax_largest_f32(classes, x)];
        float sum = 0.0f;
        for (int c = 0; c < classes; ++c)
            sum += y[c] = wb_exp_f32(x[c] - largest);
        const float scale = 1.0f / sum;
        for (int c = 0; c < classes; ++c)
            y[c] *= scale;
    }
}
