/* squares_f32.h - the sum of squares of a gradient that is never in memory, filter by filter as in clip_f32.h. */
#pragma once
#include "conv2d_backward_weight_f32.h"
#include "matmul_f32.h"

/* What the squares of a filter add, which counts integers of scale unit * s[o] where there are such. */
WB_KERNEL float filter_squares_f32(float own, float unit, const float *s, int o)
{
    return s ? own / (unit * s[o] * (unit * s[o])) : own;
}

WB_KERNEL void matmul_squares_f32(int rows, int columns, int inner, int transpose_a, int transpose_b, float unit,
                                  const float *restrict a, const float *restrict b, const float *restrict s,
                                  float *restrict y)
{
    const int a_row = transpose_a ? 1 : inner, a_step = transpose_a ? rows : 1;
    const int b_column = transpose_b ? inner : 1, b_step = transpose_b ? 1 : columns;
    float sum = 0.0f;
    for (int r = 0; r < rows; ++r) {
        float own = 0.0f;
        for (int c = 0; c < columns; ++c) {
            const float g = matmul_dot_f32(inner, a + r * a_row, a_step, b + c * b_column, b_step);
            own += g * g;
        }
        sum += filter_squares_f32(own, unit, s, r);
    }
    *y = sum;
}

WB_KERNEL void conv2d_backward_weight_squares_f32(int batch, int groups, int channels, int in_height, int in_width,
                                                  int filters, int out_height, int out_width,
                                                  int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw,
                                                  float unit, const float *restrict dy, const float *restrict x,
                                                  const float *restrict s, float *restrict y)
{
    const int in_plane = in_height * in_width, out_plane = out_height * out_width;
    float sum = 0.0f;
    for (int o = 0; o < groups * filters; ++o) {
        float own = 0.0f;
        for (int c = 0; c < channels; ++c)
#pragma GCC unroll 3
            for (int ky = 0; ky < kh; ++ky)
#pragma GCC unroll 3
                for (int kx = 0; kx < kw; ++kx) {
                    const float g = weight_gradient_f32(batch, in_height, in_width, out_height, out_width, ky, kx, sh, sw,
                                                        pt, pl, dh, dw, groups * filters * out_plane,
                                                        groups * channels * in_plane, dy + o * out_plane,
                                                        x + (o / filters * channels + c) * in_plane);
                    own += g * g;
                }
        sum += filter_squares_f32(own, unit, s, o);
    }
    *y = sum;
}
