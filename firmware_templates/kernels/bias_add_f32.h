/* bias_add_f32.h - y[n][c][i] = x[n][c][i] + b[c]. y may be x. */
#pragma once
#include "tiles.h"

WB_KERNEL void bias_add_run_f32(int count, float bias, const float *x, float *y)
{
#pragma GCC unroll 4
    for (int i = 0; i < count; ++i)
        *y++ = *x++ + bias;
}

WB_KERNEL void bias_add_f32(wb_shape p, wb_tile t, wb_view_f32 x, const float *restrict b, wb_view_f32 y)
{
    const wb_runs_in_tile runs = wb_runs_f32(t, p.columns, WB_A_CHANNEL, x, y, y);
    WB_FOR_RUNS(runs, t, n, c, r)
        bias_add_run_f32(runs.length, b[c], wb_row_of_f32(x, n, c, r), wb_row_of_f32(y, n, c, r));
}
