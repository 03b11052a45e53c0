/* softmax_cross_entropy_f32.h - loss = mean over n of log(sum exp(x[n])) - x[n][label]; dx = (softmax(x) - onehot) / N. */
#pragma once
#include "exp_log_f32.h"

WB_KERNEL float softmax_largest_f32(int classes, const float *restrict x)
{
    float largest = x[0];
    for (int c = 1; c < classes; ++c)
        if (x[c] > largest)
            largest = x[c];
    return largest;
}

WB_KERNEL void softmax_cross_entropy_f32(int batch, int classes, const float *restrict x, const int32_t *restrict labels,
                                         float *restrict loss)
{
    float total = 0.0f;
    for (int n = 0; n < batch; ++n, x += classes) {
        const float largest = softmax_largest_f32(classes, x);
        float sum = 0.0f;
        for (int c = 0; c < classes; ++c)
            sum += wb_exp_f32(x[c] - largest);
        total += wb_log_f32(sum) - (x[labels[n]] - largest);
    }
    *loss = total * (1.0f / (float)batch);
}

WB_KERNEL void softmax_cross_entropy_grad_f32(int batch, int classes, const float *restrict x,
                                              const int32_t *restrict labels, float *restrict dx)
{
    for (int n = 0; n < batch; ++n, x += classes, dx += classes) {
        const float largest = softmax_largest_f32(classes, x);
        float sum = 0.0f;
        for (int c = 0; c < classes; ++c)
            sum += dx[c] = wb_exp_f32(x[c] - largest);
        const float scale = 1.0f / sum;
        for (int c = 0; c < classes; ++c)
            dx[c] = (dx[c] * scale - (c == labels[n] ? 1.0f : 0.0f)) * (1.0f / (float)batch);
    }
}
