/* rescale_s8.h - y = clip(zero_y + (x - zero_x) * factor) of int8; y may lie over x. */
#pragma once
#include "requantize_s8.h"

WB_KERNEL void rescale_s8(int count, int form, int zero_x, int zero_y, int low, int high, int m, int shift,
                          const int8_t *x, int8_t *y, uint32_t *restrict mask)
{
    const wb_factor factor = { form, zero_y, low, high, m, shift };
    wb_none_pass(count, mask);
    for (int i = 0; i < count; ++i)
        y[i] = wb_requantize_s8(factor, x[i] - zero_x, mask, i);
}
