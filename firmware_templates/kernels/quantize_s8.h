/* quantize_s8.h - real numbers to int8, rounded to nearest and clipped, and back. */
#pragma once
#include "requantize_s8.h"
#include "soft_float.h"
#include "tiles.h"

/* To the nearest whole number, ties to even; saturates. What is no number counts as 0. */
WB_KERNEL int wb_nearest(float x)
{
#ifdef __ARM_FP
    float bits;
    int whole;
    __asm("vcvtr.s32.f32 %0, %1" : "=t"(bits) : "t"(x));
    __builtin_memcpy(&whole, &bits, sizeof whole);
    return whole;
#else
    return x != x ? 0 : (int)wb_soft_nearest(x >= 65536.0f ? 65536.0f : x <= -65536.0f ? -65536.0f : x);
#endif
}

/* per_scale: 1 / scale. */
typedef struct {
    wb_shape shape;
    int form;
    float scale, per_scale;
    int zero;
} wb_quantize;

typedef struct {
    wb_shape shape;
    float scale;
    int zero;
} wb_dequantize;

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

/* Elements whose bits of the mask, zero before, begin at `bit`. */
WB_KERNEL void quantize_run_s8(wb_quantize p, int count, const float *restrict x, int8_t *restrict y,
                               uint32_t *restrict mask, int bit)
{
    for (int i = 0; i < count; ++i) {
        const int whole = p.form == WB_TFLITE ? quantize_tflite_s8(p, x[i]) : quantize_rounded_s8(p, x[i]);
        y[i] = wb_clip_s8(-128, 127, whole + p.zero, mask, bit + i);
    }
}

WB_KERNEL void quantize_s8(wb_quantize p, wb_tile t, wb_view_f32 x, wb_view_s8 y, uint32_t *restrict mask)
{
    if (wb_is_everything(t, p.shape))
        wb_none_pass(wb_row_in(p.shape, t.image_end, 0, 0), mask);
    const int joined = mask ? wb_joined_in(t, p.shape) : WB_ALL_IMAGES;
    const wb_runs_in_tile runs = wb_runs_s8(t, p.shape.columns, wb_min(joined, wb_joined_f32(t, p.shape.columns, x)), y, y, y);
    WB_FOR_RUNS(runs, t, n, c, r)
        quantize_run_s8(p, runs.length, wb_row_of_f32(x, n, c, r), wb_row_of_s8(y, n, c, r), mask,
                        wb_row_in(p.shape, n, c, r));
}

WB_KERNEL void dequantize_run_s8(wb_dequantize p, int count, const int8_t *restrict x, float *restrict y)
{
    for (int i = 0; i < count; ++i)
        y[i] = (float)(x[i] - p.zero) * p.scale;
}

WB_KERNEL void dequantize_s8(wb_dequantize p, wb_tile t, wb_view_s8 x, wb_view_f32 y)
{
    const wb_runs_in_tile runs = wb_runs_f32(t, p.shape.columns, wb_joined_s8(t, p.shape.columns, x), y, y, y);
    WB_FOR_RUNS(runs, t, n, c, r)
        dequantize_run_s8(p, runs.length, wb_row_of_s8(x, n, c, r), wb_row_of_f32(y, n, c, r));
}
