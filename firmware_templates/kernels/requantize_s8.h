/* requantize_s8.h - a quantized layer's int32 sums back to int8: y = clip(zero + sum * factor), and the mask of the clip.
 *
 * The factor is a multiplier m and a shift, in one of two forms: one SMMLAR, exact to half a unit of 2^-32; or as in
 * TensorFlow Lite (MultiplyByQuantizedMultiplier), which rounds twice. Form, clip and zero are literals at every call. */
#pragma once
#include "wb_kernel.h"

enum { WB_ROUNDED, WB_TFLITE };

/* What a layer knows of its int8 numbers: zero points of x and y, the clip of y, and the form of the factors. */
typedef struct {
    int zero_x, zero_y, low, high, form;
} wb_quantized;

typedef struct {
    int form, zero, low, high;
    int m, shift;
} wb_factor;

/* zero + (a * m + 2^31) >> 32 */
WB_KERNEL int wb_smmlar(int a, int m, int zero)
{
#ifdef __ARM_FEATURE_DSP
    int y;
    __asm("smmlar %0, %1, %2, %3" : "=r"(y) : "r"(a), "r"(m), "r"(zero));
    return y;
#else
    return (int)((((int64_t)zero << 32) + (int64_t)a * m + ((int64_t)1 << 31)) >> 32);
#endif
}

/* The high half of 2 * a * m, rounded to nearest, halves away from zero. */
WB_KERNEL int wb_doubling_high(int a, int m)
{
    const int64_t product = (int64_t)a * m;
    return (int)((product + (product >= 0 ? 1 << 30 : 1 - (1 << 30))) / ((int64_t)1 << 31));
}

/* x / 2^right, rounded to nearest, halves away from zero. */
WB_KERNEL int wb_divided_by_power(int x, int right)
{
    const int mask = (int)((1u << right) - 1u), rest = x & mask, half = (mask >> 1) + (x < 0);
    return (x >> right) + (rest > half);
}

WB_KERNEL int wb_times_tflite(int x, int m, int shift)
{
    const int left = wb_max(shift, 0), right = wb_max(-shift, 0);
    return wb_divided_by_power(wb_doubling_high((int)((uint32_t)x << left), m), right);
}

/* Of filter o of `filters`: its multiplier and shift stand in the two rows of table m. */
WB_KERNEL wb_factor wb_factor_of(wb_quantized q, int filters, const int32_t *m, int o)
{
    return (wb_factor){ q.form, q.zero_y, q.low, q.high, m[o], m[filters + o] };
}

/* value, or the end of int8 that it is beyond; then within [low, high]. */
WB_KERNEL int wb_saturated_s8(int low, int high, int value)
{
#ifdef __ARM_FEATURE_SAT
    __asm("ssat %0, #8, %1" : "=r"(value) : "r"(value));
#else
    value = wb_min(wb_max(value, -128), 127);
#endif
    return low == -128 && high == 127 ? value : wb_min(wb_max(value, low), high);
}

WB_KERNEL int8_t wb_clip_s8(int low, int high, int value, uint32_t *mask, int bit)
{
    const int clipped = wb_saturated_s8(low, high, value);
    if (mask && value == clipped)
        mask[bit / 32] |= 1u << bit % 32;
    return (int8_t)clipped;
}

/* Element number `bit` of the result; its bit of the mask, zero before, is set where the value is not clipped. */
WB_KERNEL int8_t wb_requantize_s8(wb_factor f, int acc, uint32_t *mask, int bit)
{
    if (f.form == WB_ROUNDED && f.shift) /* what leaves int32 here is far beyond int8 */
        acc = wb_max(wb_min(acc, INT32_MAX >> f.shift), -(INT32_MAX >> f.shift)) * (1 << f.shift);
    const int value = f.form == WB_ROUNDED ? wb_smmlar(acc, f.m, f.zero)
                                           : f.zero + wb_times_tflite(acc, f.m, f.shift);
    return wb_clip_s8(f.low, f.high, value, mask, bit);
}

/* A mask of so many bits, if there is one, in which nothing passes yet. */
WB_KERNEL void wb_none_pass(int count, uint32_t *mask)
{
    if (mask)
        for (int i = 0; i < count; i += 32)
            mask[i / 32] = 0u;
}
