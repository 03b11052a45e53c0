/* softmax_cross_entropy_f32.h - loss = mean over n of log(sum exp(x[n])) - x[n][label]; dx = (softmax(x) - onehot) / N.
 *
 * Where the network is sure, sum exp and 1, and softmax[label] and 1, are all but equal: neither is subtracted from the other. */
#pragma once
#include "exp_log_f32.h"

/* Rows, an image of the batch each or one of a sequence, and the numbers of each: one a class. */
typedef struct {
    int batch, classes;
} wb_softmax;

WB_KERNEL int softmax_largest_f32(int classes, const float *restrict x)
{
    int largest = 0;
    for (int c = 1; c < classes; ++c)
        if (x[c] > x[largest])
            largest = c;
    return largest;
}

WB_KERNEL void softmax_cross_entropy_f32(wb_softmax p, const float *restrict x, const int32_t *restrict labels,
                                         float *restrict loss)
{
    float total = 0.0f;
    for (int n = 0; n < p.batch; ++n, x += p.classes) {
        const int largest = softmax_largest_f32(p.classes, x);
        float rest = 0.0f;
        for (int c = 0; c < p.classes; ++c)
            if (c != largest)
                rest += wb_exp_f32(x[c] - x[largest]);
        total += wb_log1p_f32(rest) - (x[labels[n]] - x[largest]);
    }
    *loss = total * (1.0f / (float)p.batch);
}

WB_KERNEL void softmax_cross_entropy_grad_f32(wb_softmax p, const float *restrict x, const int32_t *restrict labels,
                                              float *restrict dx)
{
    for (int n = 0; n < p.batch; ++n, x += p.classes, dx += p.classes) {
        const float largest = x[softmax_largest_f32(p.classes, x)];
        const int label = labels[n];
        float others = 0.0f;
        for (int c = 0; c < p.classes; ++c)
            if (c != label)
                others += dx[c] = wb_exp_f32(x[c] - largest);
        const float scale = 1.0f / (others + wb_exp_f32(x[label] - largest));
        dx[label] = -others;
        for (int c = 0; c < p.classes; ++c)
            dx[c] = dx[c] * scale * (1.0f / (float)p.batch);
    }
}
