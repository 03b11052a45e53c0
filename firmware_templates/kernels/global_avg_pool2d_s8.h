/* global_avg_pool2d_s8.h - the mean of each plane as int8, rescaled. */
#pragma once
#include "requantize_s8.h"

/* The factor holds 1 / size too. */
WB_KERNEL void global_avg_pool2d_s8(int planes, int size, int form, int zero_x, int zero_y, int low, int high,
                                    int m, int shift, const int8_t *restrict x, int8_t *restrict y,
                                    uint32_t *restrict mask)
{
    const wb_factor factor = { form, zero_y, low, high, m, shift };
    wb_none_pass(planes, mask);
    for (int p = 0; p < planes; ++p, x += size) {
        int sum = -zero_x * size;
        for (int i = 0; i < size; ++i)
            sum += x[i];
        y[p] = wb_requantize_s8(factor, sum, mask, p);
    }
}
