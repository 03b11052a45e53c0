/* gelu_f32.h - y = x * F(x) and its slope, F(x) + x * F'(x), where F rises from 0 to 1: the normal distribution, or
 * 1/2 (1 + tanh(u)), which is the logistic function of 2u, u = sqrt(2/pi) * (x + 0.044715 x^3).
 *
 * Both begin at the tail F(-|x|), which keeps its digits where 1/2 (1 + tanh(u)) would lose them. Where it is 0, so is F',
 * and x, which may be infinite, is not multiplied by it. */
#pragma once
#include "exp_log_f32.h"

/* 1/2 erfc(|x| / sqrt(2)), within 1.2e-7 of itself (erfcc of W. Press et al., Numerical Recipes). */
WB_KERNEL float wb_normal_tail_f32(float x)
{
    const float t = 1.0f / (1.0f + (x < 0.0f ? -x : x) * 0.353553391f);
    float p = 0.17087277f;
    p = p * t - 0.82215223f;
    p = p * t + 1.48851587f;
    p = p * t - 1.13520398f;
    p = p * t + 0.27886807f;
    p = p * t - 0.18628806f;
    p = p * t + 0.09678418f;
    p = p * t + 0.37409196f;
    p = p * t + 1.00002368f;
    return 0.5f * t * wb_exp_f32(p * t - 1.26551223f - 0.5f * x * x);
}

WB_KERNEL float wb_tanh_tail_f32(float x)
{
    const float twice = x * (1.59576912f + 0.0713548163f * x * x);
    const float e = wb_exp_f32(twice < 0.0f ? twice : -twice);
    return e / (1.0f + e);
}

/* form: 1 for the one by tanh. -inf gives -0, as do all x whose tail is 0. */
WB_KERNEL float wb_gelu_f32(float form, float x)
{
    const float tail = form != 0.0f ? wb_tanh_tail_f32(x) : wb_normal_tail_f32(x);
    const float part = (tail == 0.0f ? -1.0f : x) * tail;
    return x > 0.0f ? x - part : part;
}

WB_KERNEL float wb_gelu_slope_f32(float form, float x)
{
    float tail, density;
    if (form != 0.0f) {
        tail = wb_tanh_tail_f32(x);
        density = tail == 0.0f ? 0.0f : tail * (1.0f - tail) * (1.59576912f + 0.214064449f * x * x);
    } else {
        tail = wb_normal_tail_f32(x);
        density = wb_exp_f32(-0.5f * x * x) * 0.398942280f;
    }
    return (x > 0.0f ? 1.0f - tail : tail) + (density == 0.0f ? 0.0f : x) * density;
}
