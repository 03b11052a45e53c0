/* clip_f32.h - gradients held to a global norm: the sum of squares of each, one factor of all, and the product with it. */
#pragma once
#include "square_root_f32.h"

/* rows: filters, of `count` elements each; unit: times s, what an integer is worth. */
typedef struct {
    int rows, count;
    float unit;
} wb_sum_of_squares;

/* count: of the sums of squares. */
typedef struct {
    int count;
    float limit, scale;
} wb_clip_factor;

/* y = the sum over filters o of x[o]·x[o], or of x[o]·x[o] / (unit * s[o])^2 where they count integers of those scales. */
WB_KERNEL void sum_of_squares_f32(wb_sum_of_squares p, const float *restrict x, const float *restrict s, float *restrict y)
{
    float sum = 0.0f;
    for (int o = 0; o < p.rows; ++o) {
        float own = 0.0f;
#pragma GCC unroll 4
        for (int i = 0; i < p.count; ++i, ++x)
            own += *x * *x;
        sum += s ? own / (p.unit * s[o] * (p.unit * s[o])) : own;
    }
    *y = sum;
}

/* y = limit / norm where that is below 1, norm = scale * the root of all squares (and 1e-6, so that it is never 0). */
WB_KERNEL void clip_factor_f32(wb_clip_factor p, const float *const *squares, float *y)
{
    float sum = 0.0f;
    for (int i = 0; i < p.count; ++i)
        sum += *squares[i];
    const float factor = p.limit / (wb_square_root(sum) * p.scale + 1e-6f);
    *y = factor > 1.0f ? 1.0f : factor; /* what is no number stays so */
}

/* y may be x. */
WB_KERNEL void scale_f32(wb_count p, const float *x, const float *factor, float *y)
{
    const float by = *factor;
#pragma GCC unroll 4
    for (int i = 0; i < p.count; ++i)
        y[i] = x[i] * by;
}
