/* add_s8.h - y = clip(zero_y + (a - zero_a) * factor_a + (b - zero_b) * factor_b) of int8; y may lie over a or b. */
#pragma once
#include "requantize_s8.h"

/* Elements whose bits of the mask, zero before, begin at `bit`. */
WB_KERNEL void add_run_s8(int count, int zero_a, int zero_b, int zero_y, int low, int high, int of_a, int of_b, int shift,
                          const int8_t *a, const int8_t *b, int8_t *y, uint32_t *restrict mask, int bit)
{
    const int half = (1 << (shift - 1)) - zero_a * of_a - zero_b * of_b;
    for (int i = 0; i < count; ++i)
        y[i] = wb_clip_s8(low, high, zero_y + ((a[i] * of_a + b[i] * of_b + half) >> shift), mask, bit + i);
}

/* Both factors are multipliers over 2^shift. */
WB_KERNEL void add_s8(int count, int zero_a, int zero_b, int zero_y, int low, int high, int of_a, int of_b, int shift,
                      const int8_t *a, const int8_t *b, int8_t *y, uint32_t *restrict mask)
{
    wb_none_pass(count, mask);
    add_run_s8(count, zero_a, zero_b, zero_y, low, high, of_a, of_b, shift, a, b, y, mask, 0);
}

/* As TensorFlow Lite's reference: multiplier and shift of a, of b, and of their sum. */
WB_KERNEL void add_run_tflite_s8(int count, int zero_a, int zero_b, int zero_y, int low, int high,
                                 int a_m, int a_shift, int b_m, int b_shift, int y_m, int y_shift,
                                 const int8_t *a, const int8_t *b, int8_t *y, uint32_t *restrict mask, int bit)
{
    for (int i = 0; i < count; ++i) {
        const int sum = wb_times_tflite((a[i] - zero_a) * (1 << 20), a_m, a_shift)
                        + wb_times_tflite((b[i] - zero_b) * (1 << 20), b_m, b_shift);
        y[i] = wb_clip_s8(low, high, zero_y + wb_times_tflite(sum, y_m, y_shift), mask, bit + i);
    }
}

WB_KERNEL void add_tflite_s8(int count, int zero_a, int zero_b, int zero_y, int low, int high,
                             int a_m, int a_shift, int b_m, int b_shift, int y_m, int y_shift,
                             const int8_t *a, const int8_t *b, int8_t *y, uint32_t *restrict mask)
{
    wb_none_pass(count, mask);
    add_run_tflite_s8(count, zero_a, zero_b, zero_y, low, high, a_m, a_shift, b_m, b_shift, y_m, y_shift, a, b, y, mask, 0);
}
