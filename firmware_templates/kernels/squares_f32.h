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

/* What the squares of a filter add, which counts integers of scale unit * s[o] where there are such. */
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

WB_KERNEL void conv2d_backward_weight_squares_f32(wb_conv2d_backward_weight_squares q, const float *restrict dy,
                                                  const float *restrict x, const float *restrict s, float *restrict y)
{
    const wb_conv2d_backward_weight p = q.gradient;
    const int in_plane = p.in_height * p.in_width, out_plane = p.out_height * p.out_width;
    const int in_image = p.groups * p.channels * in_plane, out_image = p.groups * p.filters * out_plane;
    float sum = 0.0f;
    for (int o = 0; o < p.groups * p.filters; ++o) {
        float own = 0.0f;
        for (int c = 0; c < p.channels; ++c)
#pragma GCC unroll 3
            for (int ky = 0; ky < p.window.kh; ++ky)
#pragma GCC unroll 3
                for (int kx = 0; kx < p.window.kw; ++kx) {
                    const float g = weight_gradient_f32(p, ky, kx, out_image, in_image, dy + o * out_plane,
                                                        x + (o / p.filters * p.channels + c) * in_plane);
                    own += g * g;
                }
        sum += filter_squares_f32(own, q.unit, s, o);
    }
    *y = sum;
}
