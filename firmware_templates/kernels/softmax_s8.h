/* softmax_s8.h - y = 256 * softmax(x) - 128 of int8 logits, in whole numbers (see workbench/ops/qnn_softmax.py). */
#pragma once
#include "requantize_s8.h"

WB_KERNEL int wb_exp_s32(int a) /* 5 integer bits, at most 0; the result has none */
{
    static const int32_t exponentials[7] = { 1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242 };
    const int quarter = 1 << 24, below = (a & (quarter - 1)) - quarter;
    const int x = below * 32 + (1 << 28), square = wb_doubling_high(x, x);
    const int cube = wb_doubling_high(square, x), fourth = wb_doubling_high(square, square);
    const int rest = wb_doubling_high(wb_divided_by_power(fourth, 2) + cube, 715827883) + square;
    int y = 1895147668 + wb_doubling_high(1895147668, x + wb_divided_by_power(rest, 1));
    for (int k = 0; k < 7; ++k)
        if ((below - a) >> (24 + k) & 1)
            y = wb_doubling_high(y, exponentials[k]);
    return a ? y : INT32_MAX;
}

/* 1 / ((1 + f) / 2) / 2, f the fraction of a sum whose first bit has been shifted out. */
WB_KERNEL int wb_reciprocal_s32(int fraction)
{
    const int half = (int)(((int64_t)fraction + INT32_MAX + 1) / 2);
    int x = 1515870810 + wb_doubling_high(half, -1010580540);
    for (int i = 0; i < 3; ++i)
        x += wb_doubling_high(x, (1 << 29) - wb_doubling_high(half, x)) * 4;
    return x > INT32_MAX / 2 ? INT32_MAX : x * 2;
}

/* m, shift: they bring a difference to the largest logit to 5 integer bits. Differences below `lowest` give nothing. */
typedef struct {
    int batch, classes, m, shift, lowest;
} wb_softmax_s8;

WB_KERNEL void softmax_s8(wb_softmax_s8 p, const int8_t *restrict x, int8_t *restrict y)
{
    for (int n = 0; n < p.batch; ++n, x += p.classes, y += p.classes) {
        int largest = -128;
        for (int c = 0; c < p.classes; ++c)
            largest = wb_max(largest, x[c]);
        uint32_t sum = 0;
        for (int c = 0; c < p.classes; ++c)
            if (x[c] - largest >= p.lowest)
                sum += (uint32_t)wb_divided_by_power(wb_exp_s32(wb_times_tflite(x[c] - largest, p.m, p.shift)), 12);
        const int leading = __builtin_clz(sum);
        const int scale = wb_reciprocal_s32((int)((sum << leading) - 0x80000000u));
        for (int c = 0; c < p.classes; ++c) {
            int value = -128;
            if (x[c] - largest >= p.lowest)
                value += wb_divided_by_power(
                    wb_doubling_high(scale, wb_exp_s32(wb_times_tflite(x[c] - largest, p.m, p.shift))), 12 - leading + 23);
            y[c] = (int8_t)wb_min(wb_max(value, -128), 127);
        }
    }
}
