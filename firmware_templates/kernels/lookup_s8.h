/* lookup_s8.h - y = table[x + 128] of int8, and dx = dy * slopes[x + 128]; y may lie over x, dx over dy. */
#pragma once
#include "tiles.h"

typedef struct {
    const int *values;
} wb_table;

typedef struct {
    const double *values;
} wb_slopes;

WB_KERNEL void table_s8(wb_table p, int8_t *restrict table)
{
    for (int i = 0; i < 256; ++i)
        table[i] = (int8_t)p.values[i];
}

WB_KERNEL void slopes_s8(wb_slopes p, float *restrict slopes)
{
    for (int i = 0; i < 256; ++i)
        slopes[i] = (float)p.values[i];
}

WB_KERNEL void lookup_run_s8(int count, const int8_t *x, const int8_t *restrict table, int8_t *y)
{
    for (int i = 0; i < count; ++i)
        y[i] = table[x[i] + 128];
}

WB_KERNEL void lookup_grad_run_s8(int count, const float *dy, const int8_t *restrict x, const float *restrict slopes,
                                  float *dx)
{
    for (int i = 0; i < count; ++i)
        dx[i] = dy[i] * slopes[x[i] + 128];
}

WB_KERNEL void lookup_s8(wb_shape p, wb_tile t, wb_view_s8 x, const int8_t *restrict table, wb_view_s8 y)
{
    const wb_runs_in_tile runs = wb_runs_s8(t, p.columns, WB_ALL_IMAGES, x, y, y);
    WB_FOR_RUNS(runs, t, n, c, r)
        lookup_run_s8(runs.length, wb_row_of_s8(x, n, c, r), table, wb_row_of_s8(y, n, c, r));
}

WB_KERNEL void lookup_grad_s8(wb_shape p, wb_tile t, wb_view_f32 dy, wb_view_s8 x, const float *restrict slopes,
                              wb_view_f32 dx)
{
    const wb_runs_in_tile runs = wb_runs_f32(t, p.columns, wb_joined_s8(t, p.columns, x), dy, dx, dx);
    WB_FOR_RUNS(runs, t, n, c, r)
        lookup_grad_run_s8(runs.length, wb_row_of_f32(dy, n, c, r), wb_row_of_s8(x, n, c, r), slopes,
                           wb_row_of_f32(dx, n, c, r));
}
