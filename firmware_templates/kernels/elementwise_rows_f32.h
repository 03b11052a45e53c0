/* elementwise_rows_f32.h - sums over rows [begin, end) of each channel. */
#pragma once
#include "rows_f32.h"

/* y[c] grows by the elements of each row, one after the other as in sum_f32. */
WB_KERNEL void sum_rows_f32(int channels, int width, int begin, int end, wb_rows x, float *restrict y)
{
    const wb_runs runs = wb_runs_of(end - begin, width, x.pitch == width);
    for (int c = 0; c < channels; ++c) {
        float sum = y[c];
        for (int r = 0; r < runs.count; ++r) {
            const float *from = wb_row(x, c, begin + r);
#pragma GCC unroll 4
            for (int i = 0; i < runs.length; ++i)
                sum += from[i];
        }
        y[c] = sum;
    }
}

WB_KERNEL void scaled_sum_rows_f32(int channels, int height, int width, float times, int begin, int end, wb_rows x,
                                   float *restrict y)
{
    sum_rows_f32(channels, width, begin, end, x, y);
    if (end == height)
        for (int c = 0; c < channels; ++c)
            y[c] = y[c] * times;
}
