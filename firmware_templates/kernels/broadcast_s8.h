/* broadcast_s8.h - y = clip(a + b), clip(a - b) or clip(a * b) of int8, rescaled; y may lie over an operand of its shape. */
#pragma once
#include "add_s8.h"
#include "broadcast.h"

/* Multipliers and shifts of a, of b, and of both: WB_TFLITE as its reference has them. A WB_ROUNDED sum has one shift to the
 * right and whole factors of a and b; a product is rescaled as any layer's sum. */
typedef struct {
    int how, form, zero_a, zero_b, zero_y, low, high;
    int a_m, a_shift, b_m, b_shift, m, shift;
} wb_pair_s8;

WB_KERNEL int8_t wb_of_two_s8(wb_pair_s8 q, int a, int b, uint32_t *mask, int bit)
{
    a -= q.zero_a;
    b -= q.zero_b;
    if (q.how == WB_TIMES)
        return wb_requantize_s8((wb_factor){ q.form, q.zero_y, q.low, q.high, q.m, q.shift }, a * b, mask, bit);
    if (q.form == WB_ROUNDED) {
        const int of_b = q.how == WB_PLUS ? q.b_m : -q.b_m;
        return wb_clip_s8(q.low, q.high, q.zero_y + ((a * q.a_m + b * of_b + (1 << (q.shift - 1))) >> q.shift), mask, bit);
    }
    a = wb_times_tflite(a * (1 << 20), q.a_m, q.a_shift);
    b = wb_times_tflite(b * (1 << 20), q.b_m, q.b_shift);
    return wb_clip_s8(q.low, q.high, q.zero_y + wb_times_tflite(q.how == WB_PLUS ? a + b : a - b, q.m, q.shift), mask, bit);
}

WB_KERNEL void broadcast_s8(int count, wb_pair_s8 q, wb_broadcast p, const int8_t *a, const int8_t *b, int8_t *y,
                            uint32_t *restrict mask)
{
    int bit = 0;
    wb_none_pass(count, mask);
    for (int i = 0; i < p.n[0]; ++i)
        for (int j = 0; j < p.n[1]; ++j)
            for (int k = 0; k < p.n[2]; ++k) {
                const int8_t *from = a + (i * p.a[0] + j * p.a[1] + k * p.a[2]);
                const int8_t *other = b + (i * p.b[0] + j * p.b[1] + k * p.b[2]);
                for (int l = 0; l < p.n[3]; ++l, ++bit)
                    y[bit] = wb_of_two_s8(q, from[l * p.a[3]], other[l * p.b[3]], mask, bit);
            }
}
