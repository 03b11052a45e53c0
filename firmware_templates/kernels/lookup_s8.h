/* lookup_s8.h - y = table[x + 128] of int8, and dx = dy * slopes[x + 128]; y may lie over x, dx over dy. */
#pragma once
#include "rows_s8.h"

WB_KERNEL void table_s8(const int *values, int8_t *restrict table)
{
    for (int i = 0; i < 256; ++i)
        table[i] = (int8_t)values[i];
}

WB_KERNEL void slopes_s8(const double *values, float *restrict slopes)
{
    for (int i = 0; i < 256; ++i)
        slopes[i] = (float)values[i];
}

WB_KERNEL void lookup_s8(int count, const int8_t *x, const int8_t *restrict table, int8_t *y)
{
    for (int i = 0; i < count; ++i)
        y[i] = table[x[i] + 128];
}

WB_KERNEL void lookup_grad_s8(int count, const float *dy, const int8_t *restrict x, const float *restrict slopes, float *dx)
{
    for (int i = 0; i < count; ++i)
        dx[i] = dy[i] * slopes[x[i] + 128];
}

WB_KERNEL void lookup_rows_s8(int channels, int width, int begin, int end, wb_rows_s8 x, const int8_t *restrict table,
                              wb_rows_s8 y)
{
    const wb_runs runs = wb_runs_of(end - begin, width, x.pitch == width && y.pitch == width);
    for (int c = 0; c < channels; ++c)
        for (int i = 0; i < runs.count; ++i)
            lookup_s8(runs.length, wb_row_s8(x, c, begin + i), table, wb_row_s8(y, c, begin + i));
}

WB_KERNEL void lookup_grad_rows_s8(int channels, int width, int begin, int end, wb_rows dy, wb_rows_s8 x,
                                   const float *restrict slopes, wb_rows dx)
{
    const wb_runs runs = wb_runs_of(end - begin, width, dy.pitch == width && x.pitch == width && dx.pitch == width);
    for (int c = 0; c < channels; ++c)
        for (int i = 0; i < runs.count; ++i)
            lookup_grad_s8(runs.length, wb_row(dy, c, begin + i), wb_row_s8(x, c, begin + i), slopes,
                           wb_row(dx, c, begin + i));
}
