/* global_avg_pool2d_s8.h - the mean of each plane as int8, rescaled. */
#pragma once
#include "requantize_s8.h"

/* size: of a plane; the factor holds 1 / size too. */
typedef struct {
    int planes, size, zero_x;
    wb_factor factor;
} wb_global_avg_pool2d_s8;

WB_KERNEL void global_avg_pool2d_s8(wb_global_avg_pool2d_s8 p, const int8_t *restrict x, int8_t *restrict y,
                                    uint32_t *restrict mask)
{
    wb_none_pass(p.planes, mask);
    for (int plane = 0; plane < p.planes; ++plane, x += p.size) {
        int sum = -p.zero_x * p.size;
        for (int i = 0; i < p.size; ++i)
            sum += x[i];
        y[plane] = wb_requantize_s8(p.factor, sum, mask, plane);
    }
}
