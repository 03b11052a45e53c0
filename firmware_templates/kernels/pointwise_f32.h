/* pointwise_f32.h - y = f(x) of each element, and dx = dy * f'(v): v is x or y, as the operator says. y may lie
 * over x, dx over dy or v. */
#pragma once
#include "gelu_f32.h"
#include "square_root_f32.h"
#include "tiles.h"

enum {
    WB_SIGMOID, WB_LEAKY_RELU, WB_HARD_SWISH, WB_TANH, WB_GELU, WB_RSQRT, WB_SILU, WB_HARD_SIGMOID,
    WB_EXP, WB_LOG, WB_SQRT, WB_ABS, WB_ELU, WB_SOFTPLUS
};

/* number: the leaky ReLU's slope below 0; the alpha of ELU; 1 for GELU by tanh; the epsilon of rsqrt. columns: of a row. */
typedef struct {
    int function, columns;
    float number;
} wb_pointwise;

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

/* -inf gives -0, as do all x whose exp is 0. */
WB_KERNEL float wb_silu_f32(float x)
{
    const float e = wb_exp_f32(x < 0.0f ? x : -x);
    return (x < 0.0f ? (e == 0.0f ? -1.0f : x) * e : x) / (1.0f + e);
}

WB_KERNEL float wb_silu_slope_f32(float x)
{
    const float e = wb_exp_f32(x < 0.0f ? x : -x), share = 1.0f / (1.0f + e), density = e * share * share;
    return (x < 0.0f ? e * share : share) + (density == 0.0f ? 0.0f : x) * density;
}

WB_KERNEL float wb_up_to_6_f32(float x) { return x < 0.0f ? 0.0f : x > 6.0f ? 6.0f : x; }

WB_KERNEL float wb_hard_swish_f32(float x)
{
    return x * wb_up_to_6_f32(x + 3.0f) * (1.0f / 6.0f);
}

WB_KERNEL float wb_pointwise_f32(int function, float number, float x)
{
    if (function == WB_SIGMOID)
        return wb_sigmoid_f32(x);
    if (function == WB_LEAKY_RELU)
        return x > 0.0f ? x : x * number;
    if (function == WB_TANH)
        return wb_tanh_f32(x);
    if (function == WB_GELU)
        return wb_gelu_f32(number, x);
    if (function == WB_RSQRT)
        return 1.0f / wb_square_root(x + number);
    if (function == WB_SILU)
        return wb_silu_f32(x);
    if (function == WB_HARD_SIGMOID)
        return wb_up_to_6_f32(x + 3.0f) / 6.0f;
    if (function == WB_EXP)
        return wb_exp_of_any_f32(x);
    if (function == WB_LOG)
        return wb_log_f32(x);
    if (function == WB_SQRT)
        return wb_square_root(x);
    if (function == WB_ABS)
        return __builtin_fabsf(x);
    if (function == WB_ELU)
        return x > 0.0f ? x : number * wb_expm1_f32(x);
    if (function == WB_SOFTPLUS)
        return (x < 0.0f ? 0.0f : x) + wb_log1p_f32(wb_exp_f32(x < 0.0f ? x : -x));
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
    if (function == WB_GELU)
        return wb_gelu_slope_f32(number, v);
    if (function == WB_RSQRT)
        return -0.5f * v * v * v;
    if (function == WB_SILU)
        return wb_silu_slope_f32(v);
    if (function == WB_HARD_SIGMOID)
        return v <= 0.0f || v >= 1.0f ? 0.0f : 1.0f / 6.0f;
    if (function == WB_EXP)
        return v;
    if (function == WB_LOG)
        return 1.0f / v;
    if (function == WB_SQRT)
        return 0.5f / v;
    if (function == WB_ABS)
        return v > 0.0f ? 1.0f : v < 0.0f ? -1.0f : v;
    if (function == WB_ELU)
        return v > 0.0f ? 1.0f : v + number;
    if (function == WB_SOFTPLUS)
        return -wb_expm1_f32(-v);
    return v <= -3.0f ? 0.0f : v >= 3.0f ? 1.0f : v * (1.0f / 3.0f) + 0.5f;
}

WB_KERNEL void pointwise_run_f32(int function, float number, int count, const float *x, float *y)
{
    for (int i = 0; i < count; ++i)
        y[i] = wb_pointwise_f32(function, number, x[i]);
}

WB_KERNEL void pointwise_grad_run_f32(int function, float number, int count, const float *dy, const float *v, float *dx)
{
    for (int i = 0; i < count; ++i)
        dx[i] = dy[i] * wb_slope_f32(function, number, v[i]);
}

WB_KERNEL void pointwise_f32(wb_pointwise p, wb_tile t, wb_view_f32 x, wb_view_f32 y)
{
    const wb_runs_in_tile runs = wb_runs_f32(t, p.columns, WB_ALL_IMAGES, x, y, y);
    WB_FOR_RUNS(runs, t, n, c, r)
        pointwise_run_f32(p.function, p.number, runs.length, wb_row_of_f32(x, n, c, r), wb_row_of_f32(y, n, c, r));
}

WB_KERNEL void pointwise_grad_f32(wb_pointwise p, wb_tile t, wb_view_f32 dy, wb_view_f32 v, wb_view_f32 dx)
{
    const wb_runs_in_tile runs = wb_runs_f32(t, p.columns, WB_ALL_IMAGES, dy, v, dx);
    WB_FOR_RUNS(runs, t, n, c, r)
        pointwise_grad_run_f32(p.function, p.number, runs.length, wb_row_of_f32(dy, n, c, r), wb_row_of_f32(v, n, c, r),
                               wb_row_of_f32(dx, n, c, r));
}
