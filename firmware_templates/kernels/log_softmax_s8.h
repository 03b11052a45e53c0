/* log_softmax_s8.h - y = 16 * log(softmax(x)) + 127 of int8 logits, in whole numbers (see workbench/ops/_fixed_point.py). */
#pragma once
#include "softmax_s8.h"

/* log(x) with 5 integer bits, of x >= 1 with 12. */
WB_KERNEL int wb_log_s32(int x)
{
    const int unit = 1 << 25, root_half = 1518500250, fourth_root_half = 1805811301;
    const int up = __builtin_clz((uint32_t)x), half = wb_doubling_high(x << (up - 1), root_half);
    const int down = __builtin_clz((uint32_t)wb_doubling_high(x, root_half)) - 1;
    const int64_t other = (int64_t)x << down;
    const int first = half > INT32_MAX / 2 ? INT32_MAX : half * 2, second = other > INT32_MAX ? INT32_MAX : (int)other;
    const int r = wb_min(first, second);
    const int power = wb_max((12 - up) * unit + unit / 4, (12 - down) * unit - unit / 4);
    const int p = (int)(((int64_t)r + fourth_root_half + 1) / 2), q = 2 * (r - fourth_root_half);
    const int square = wb_doubling_high(q, q);
    const int numerator = wb_doubling_high(q, r) + wb_doubling_high(wb_doubling_high(q, square), 117049297);
    const int denominator = wb_doubling_high(p, 1057819769 + q + wb_doubling_high(127690142, square))
                            + wb_doubling_high(638450708, q);
    const int log = wb_doubling_high(power, 1488522236)
                    + wb_doubling_high(wb_divided_by_power(numerator, 6), wb_reciprocal_s32(denominator));
    return log > INT32_MAX / 2 ? INT32_MAX : log * 2;
}

/* back_m, back_shift: they bring 5 integer bits back to a difference to the largest logit. */
typedef struct {
    wb_softmax_s8 logits;
    int back_m, back_shift;
} wb_log_softmax_s8;

WB_KERNEL void log_softmax_s8(wb_log_softmax_s8 p, const int8_t *restrict x, int8_t *restrict y)
{
    for (int n = 0; n < p.logits.batch; ++n, x += p.logits.classes, y += p.logits.classes) {
        int largest = -128, sum = 0;
        for (int c = 0; c < p.logits.classes; ++c)
            largest = wb_max(largest, x[c]);
        for (int c = 0; c < p.logits.classes; ++c)
            if (x[c] - largest >= p.logits.lowest)
                sum += wb_divided_by_power(wb_exp_s32(wb_times_tflite(x[c] - largest, p.logits.m, p.logits.shift)), 12);
        const int log = wb_log_s32(sum);
        const int least = wb_max(p.logits.lowest - 1, wb_times_tflite(log + INT32_MIN, p.back_m, p.back_shift));
        for (int c = 0; c < p.logits.classes; ++c) {
            int value = -128;
            if (x[c] - largest > least)
                value = 127 + wb_divided_by_power(wb_times_tflite(x[c] - largest, p.logits.m, p.logits.shift) - log, 22);
            y[c] = (int8_t)wb_min(wb_max(value, -128), 127);
        }
    }
}
