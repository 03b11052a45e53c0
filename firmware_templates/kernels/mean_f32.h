/* mean_f32.h - the mean over some axes: three loops over those that stay, and three over those that are added up, with
 * steps in x; the gradient gives every element of a mean its share. */
#pragma once
#include "loops.h"

/* share: of each element, 1 / those that are added up. */
typedef struct {
    wb_loops loops;
    float share;
} wb_mean;

WB_KERNEL void mean_f32(wb_mean p, const float *restrict x, float *restrict y)
{
    const wb_loops l = p.loops;
    for (int a = 0; a < l.n[0]; ++a)
        for (int b = 0; b < l.n[1]; ++b)
            for (int c = 0; c < l.n[2]; ++c) {
                const float *from = x + wb_in_loops(l, a, b, c, 0, 0);
                float sum = 0.0f;
                for (int d = 0; d < l.n[3]; ++d)
                    for (int e = 0; e < l.n[4]; ++e)
#pragma GCC unroll 4
                        for (int f = 0; f < l.n[5]; ++f)
                            sum += from[d * l.step[3] + e * l.step[4] + f * l.step[5]];
                *y++ = sum * p.share;
            }
}

/* dx in its own order; the steps are those in dy: 0 along the axes that were added up. */
WB_KERNEL void mean_grad_f32(wb_mean p, const float *restrict dy, float *restrict dx)
{
    WB_FOR_OUTER(p.loops, a, b, c, d, e) {
        const float *from = dy + wb_in_loops(p.loops, a, b, c, d, e);
#pragma GCC unroll 4
        for (int f = 0; f < p.loops.n[5]; ++f)
            *dx++ = from[f * p.loops.step[5]] * p.share;
    }
}
