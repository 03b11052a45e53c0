/* pointwise_f32.h - y = f(x) of each element, and dx = dy * f'(v): v is x for the hard swish, else y.
 *
 * `number` is the leaky ReLU's slope below 0. y may lie over x, dx over dy or v. */
#pragma once
#include "exp_log_f32.h"
#include "rows_f32.h"

enum { WB_SIGMOID, WB_LEAKY_RELU, WB_HARD_SWISH, WB_TANH };

WB_KERNEL float wb_sigmoid_f32(float x)
{
    const float e = wb_exp_f32(x < 0.0f ? x : -x);
    return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

/* Near 0, where exp would lose the digits, a polynomial: Cephes' (tanhf.c; S. Moshier). */
WB_KERNEL float wb_tanh_f32(float x)
{
    const float below = x < 0.0f ? x : -x;
    if (below > -0.625f) {
        const float z = x * x;
        float p = -5.70498872745e-3f;
        p = p * z + 2.06390887954e-2f;
        p = p * z - 5.37397155531e-2f;
        p = p * z + 1.33314422036e-1f;
        p = p * z - 3.33332819422e-1f;
        return p * z * x + x;
    }
    const float e = wb_exp_f32(below + below), y = (1.0f - e) / (1.0f + e);
    return x < 0.0f ? -y : y;
}

WB_KERNEL float wb_hard_swish_f32(float x)
{
    const float raised = x + 3.0f;
    return x * (raised < 0.0f ? 0.0f : raised > 6.0f ? 6.0f : raised) * (1.0f / 6.0f);
}

WB_KERNEL float wb_pointwise_f32(int function, float number, float x)
{
    if (function == WB_SIGMOID)
        return wb_sigmoid_f32(x);
    if (function == WB_LEAKY_RELU)
        return x > 0.0f ? x : x * number;
    if (function == WB_TANH)
        return wb_tanh_f32(x);
    return wb_hard_swish_f32(x);
}

WB_KERNEL float wb_slope_f32(int function, float number, float v)
{
    if (function == WB_SIGMOID)
        return v * (1.0f - v);
    if (function == WB_LEAKY_RELU)
        return v > 0.0f ? 1.0f : number;
    if (function == WB_TANH)
        return 1.0f - v * v;
    return v <= -3.0f ? 0.0f : v >= 3.0f ? 1.0f : v * (1.0f / 3.0f) + 0.5f;
}

WB_KERNEL void pointwise_f32(int function, float number, int count, const float *x, float *y)
{
    for (int i = 0; i < count; ++i)
        y[i] = wb_pointwise_f32(function, number, x[i]);
}

WB_KERNEL void pointwise_grad_f32(int function, float number, int count, const float *dy, const float *v, float *dx)
{
    for (int i = 0; i < count; ++i)
        dx[i] = dy[i] * wb_slope_f32(function, number, v[i]);
}

WB_KERNEL void pointwise_rows_f32(int function, float number, int channels, int width, int begin, int end, wb_rows x,
                                  wb_rows y)
{
    const wb_runs runs = wb_runs_of(end - begin, width, x.pitch == width && y.pitch == width);
    for (int c = 0; c < channels; ++c)
        for (int i = 0; i < runs.count; ++i)
            pointwise_f32(function, number, runs.length, wb_row(x, c, begin + i), wb_row(y, c, begin + i));
}

WB_KERNEL void pointwise_grad_rows_f32(int function, float number, int channels, int width, int begin, int end,
                                       wb_rows dy, wb_rows v, wb_rows dx)
{
    const wb_runs runs = wb_runs_of(end - begin, width, dy.pitch == width && v.pitch == width && dx.pitch == width);
    for (int c = 0; c < channels; ++c)
        for (int i = 0; i < runs.count; ++i)
            pointwise_grad_f32(function, number, runs.length, wb_row(dy, c, begin + i), wb_row(v, c, begin + i),
                               wb_row(dx, c, begin + i));
}
