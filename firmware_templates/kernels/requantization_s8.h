/* requantization_s8.h - multipliers and shifts of a quantized layer from its scales: factor = x_scale * s / y_scale.
 *
 * In whole numbers behind the double-precision product, as ops/_quantized.multiplier does it. Scales are frozen, so the
 * table is folded at compile time as a rule, and this does not run. */
#pragma once
#include "requantize_s8.h"

typedef struct {
    int filters, form;
    double x_scale, y_scale;
} wb_requantization;

WB_KERNEL void requantization_s8(wb_requantization p, const float *restrict s, int32_t *restrict m)
{
    for (int o = 0; o < p.filters; ++o) {
        union {
            double value;
            uint64_t bits;
        } factor = { p.x_scale * (double)s[o] / p.y_scale };
        const int exponent = (int)(factor.bits >> 52 & 2047) - 1022; /* factor = mantissa * 2^(exponent - 53) */
        const uint64_t mantissa = (factor.bits & 0xFFFFFFFFFFFFFu) | (uint64_t)(factor.value != 0.0) << 52;
        int shift = p.form == WB_TFLITE ? exponent : wb_max(0, exponent + 1);
        const int down = p.form == WB_TFLITE ? 22 : 21 - exponent + shift;
        uint32_t multiplier = down < 64 ? (uint32_t)((mantissa + ((uint64_t)1 << (down - 1))) >> down) : 0u;
        if (multiplier == 1u << 31) {
            multiplier >>= 1;
            ++shift;
        }
        if (p.form == WB_TFLITE && shift < -31)
            multiplier = 0u, shift = 0;
        if (p.form == WB_ROUNDED && shift > 30)
            multiplier = INT32_MAX, shift = 30;
        m[o] = (int32_t)multiplier;
        m[p.filters + o] = shift;
    }
}
