/* softmax_f32.h - y[n] = exp(x[n]) / sum exp(x[n]), and its gradient dx[n] = y[n] * (dy[n] - sum dy[n] * y[n]). */
#pragma once
#include "softmax_cross_entropy_f32.h"

/* y may lie over x. */
WB_KERNEL void softmax_f32(wb_softmax p, const float *x, float *y)
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

/* dx may lie over dy or y. */
WB_KERNEL void softmax_grad_f32(wb_softmax p, const float *dy, const float *y, float *dx)
{
    for (int n = 0; n < p.batch; ++n, dy += p.classes, y += p.classes, dx += p.classes) {
        float sum = 0.0f;
        for (int c = 0; c < p.classes; ++c)
            sum += dy[c] * y[c];
        for (int c = 0; c < p.classes; ++c)
            dx[c] = y[c] * (dy[c] - sum);
    }
}
