/* log_softmax_f32.h - y[n] = x[n] - log sum exp(x[n]), and its gradient dx[n] = dy[n] - exp(y[n]) * sum dy[n]. */
#pragma once
#include "softmax_cross_entropy_f32.h"

WB_KERNEL void log_softmax_f32(wb_softmax p, const float *restrict x, float *restrict y)
{
    for (int n = 0; n < p.batch; ++n, x += p.classes, y += p.classes) {
        const int largest = softmax_largest_f32(p.classes, x);
        float rest = 0.0f;
        for (int c = 0; c < p.classes; ++c)
            if (c != largest)
                rest += wb_exp_f32(x[c] - x[largest]);
        const float log = wb_log1p_f32(rest);
        for (int c = 0; c < p.classes; ++c)
            y[c] = (x[c] - x[largest]) - log;
    }
}

/* dx may lie over dy or y. */
WB_KERNEL void log_softmax_grad_f32(wb_softmax p, const float *dy, const float *y, float *dx)
{
    for (int n = 0; n < p.batch; ++n, dy += p.classes, y += p.classes, dx += p.classes) {
        float sum = 0.0f;
        for (int c = 0; c < p.classes; ++c)
            sum += dy[c];
        for (int c = 0; c < p.classes; ++c)
            dx[c] = dy[c] - wb_exp_f32(y[c]) * sum;
    }
}
