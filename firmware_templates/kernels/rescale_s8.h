/* rescale_s8.h - y = clip(zero_y + (x - zero_x) * factor) of int8; y may lie over x. */
#pragma once
#include "requantize_s8.h"

typedef struct {
    int count, zero_x;
    wb_factor factor;
} wb_rescale;

WB_KERNEL void rescale_s8(wb_rescale p, const int8_t *x, int8_t *y, uint32_t *restrict mask)
{
    wb_none_pass(p.count, mask);
    for (int i = 0; i < p.count; ++i)
        y[i] = wb_requantize_s8(p.factor, x[i] - p.zero_x, mask, i);
}
