/* squares_f32.h - the sum of squares of a gradient that is never in memory, filter by filter as in clip_f32.h. */
#pragma once
#include "conv2d_backward_weight_f32.h"
#include "matmul_f32.h"

typedef struct {
    wb_matmul gradient;
    float unit;
} wb_matmul_squares;

typedef struct {
    wb_conv2d_backward_weight gradient;
    float unit;
} wb_conv2d_backward_weight_squares;

/* What the squares of filter o add: `own`, or in real numbers where it counts integers of scale unit * s[o]. */
WB_KERNEL float filter_squares_f32(float own, float unit, const float *s, int o)
{
    return s ? own / (unit * s[o] * (unit * s[o])) : own;
}

WB_KERNEL void matmul_squares_f32(wb_matmul_squares p, const float *restrict a, const float *restrict b,
                                  const float *restrict s, float *restrict y)
{
    float sum = 0.0f;
    for (int r = 0; r < p.gradient.rows; ++r) {
        float own = 0.0f;
        for (int c = 0; c < p.gradient.columns; ++c) {
            const float g = matmul_element_f32(p.gradient, p.gradient.columns, a, b, r, c);
            own += g * g;
        }
        sum += filter_squares_f32(own, p.unit, s, r);
    }
    *y = sum;
}

WB_KERNEL void conv2d_backward_weight_squares_f32(wb_conv2d_backward_weight_squares q, wb_tile t, wb_view_f32 dy,
                                                  wb_view_f32 x, const float *restrict s, float *restrict y)
{
    const wb_conv2d_backward_weight p = q.gradient;
    const int images = t.image_end - t.image;
    float sum = 0.0f;
    for (int o = 0; o < p.groups * p.filters; ++o) {
        float own = 0.0f;
        for (int c = 0; c < p.channels; ++c)
#pragma GCC unroll 3
            for (int ky = 0; ky < p.window.kh; ++ky)
#pragma GCC unroll 3
                for (int kx = 0; kx < p.window.kw; ++kx) {
                    const float g = weight_gradient_f32(p, images, ky, kx, dy.image, x.image,
                                                        wb_row_of_f32(dy, t.image, o, 0),
                                                        wb_row_of_f32(x, t.image, o / p.filters * p.channels + c, 0));
                    own += g * g;
                }
        sum += filter_squares_f32(own, q.unit, s, o);
    }
    *y = sum;
}
