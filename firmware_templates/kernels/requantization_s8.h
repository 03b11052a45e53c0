/* requantization_s8.h - multipliers and shifts of a quantized layer from its scales: factor = x_scale * s / y_scale.
 *
 * In whole numbers behind the double-precision product, as ops/_quantized.multiplier does it. Scales are frozen, so the
 * table is folded at compile time as a rule, and this does not run. */
#pragma once
#include "requantize_s8.h"

WB_KERNEL void requantization_s8(int filters, int form, double x_scale, double y_scale,
                                 const float *restrict s, int32_t *restrict m)
{
    for (int o = 0; o < filters; ++o) {
        union {
            double value;
            uint64_t bits;
        } factor = { x_scale * (double)s[o] / y_scale };
        const int exponent = (int)(factor.bits >> 52 & 2047) - 1022; /* factor = mantissa * 2^(exponent - 53) */
        const uint64_t mantissa = (factor.bits & 0xFFFFFFFFFFFFFu) | (uint64_t)(factor.value != 0.0) << 52;
        int shift = form == WB_TFLITE ? exponent : wb_max(0, exponent + 1);
        const int down = form == WB_TFLITE ? 22 : 21 - exponent + shift;
        uint32_t multiplier = down < 64 ? (uint32_t)((mantissa + ((uint64_t)1 << (down - 1))) >> down) : 0u;
        if (multiplier == 1u << 31) {
            multiplier >>= 1;
            ++shift;
        }
        if (form == WB_TFLITE && shift < -31)
            multiplier = 0u, shift = 0;
        if (form == WB_ROUNDED && shift > 30)
            multiplier = INT32_MAX, shift = 30;
        m[o] = (int32_t)multiplier;
        m[filters + o] = shift;
    }
}
