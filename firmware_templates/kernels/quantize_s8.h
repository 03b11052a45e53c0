/* quantize_s8.h - real numbers to int8, rounded to nearest and clipped, and back. */
#pragma once
#include "reals.h"
#include "requantize_s8.h"

/* To the nearest whole number, ties to even; saturates. What is no number counts as 0. */
WB_KERNEL int wb_nearest(float x)
{
#ifdef __arm__
    float bits;
    int whole;
    __asm("vcvtr.s32.f32 %0, %1" : "=t"(bits) : "t"(x));
    __builtin_memcpy(&whole, &bits, sizeof whole);
    return whole;
#else
    return x != x ? 0 : (int)__builtin_rintf(x >= 65536.0f ? 65536.0f : x <= -65536.0f ? -65536.0f : x);
#endif
}

/* per_scale: 1 / scale. */
typedef struct {
    int count, form;
    float scale, per_scale;
    int zero;
} wb_quantize;

WB_KERNEL int quantize_rounded_s8(wb_quantize p, float x)
{
    return wb_min(wb_max(wb_nearest(x * p.per_scale), -65536), 65536);
}

/* As TensorFlow Lite: divided, halves away from zero. What is no number counts as 0 here too. */
WB_KERNEL int quantize_tflite_s8(wb_quantize p, float x)
{
    const float quotient = x / p.scale, steps = quotient != quotient ? 0.0f : quotient;
    const int whole = (int)(steps > 65536.0f ? 65536.0f : steps < -65536.0f ? -65536.0f : steps);
    const float rest = steps - (float)whole;
    const int away = (rest >= 0.5f) - (rest <= -0.5f);
    return wb_min(wb_max(whole + away, -65536), 65536);
}

WB_KERNEL void quantize_s8(wb_quantize p, const float *restrict x, int8_t *restrict y, uint32_t *restrict mask)
{
    wb_none_pass(p.count, mask);
    for (int i = 0; i < p.count; ++i) {
        const int whole = p.form == WB_TFLITE ? quantize_tflite_s8(p, x[i]) : quantize_rounded_s8(p, x[i]);
        y[i] = wb_clip_s8(-128, 127, whole + p.zero, mask, i);
    }
}

WB_KERNEL void dequantize_s8(wb_reals p, const int8_t *restrict x, float *restrict y)
{
    for (int i = 0; i < p.count; ++i)
        y[i] = wb_real(p, 0, x, i);
}
