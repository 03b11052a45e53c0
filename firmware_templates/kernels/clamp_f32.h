/* clamp_f32.h - y = x held to [low, high], and dx = dy where x lies in it, else 0. y may lie over x, dx over dy or x. */
#pragma once
#include "tiles.h"

/* columns: of a row. */
typedef struct {
    int columns;
    float low, high;
} wb_clamp;

WB_KERNEL void clamp_run_f32(wb_clamp p, int count, const float *x, float *y)
{
    for (int i = 0; i < count; ++i)
        y[i] = x[i] < p.low ? p.low : x[i] > p.high ? p.high : x[i];
}

WB_KERNEL void clamp_grad_run_f32(wb_clamp p, int count, const float *dy, const float *x, float *dx)
{
    for (int i = 0; i < count; ++i)
        dx[i] = x[i] >= p.low && x[i] <= p.high ? dy[i] : 0.0f;
}

WB_KERNEL void clamp_f32(wb_clamp p, wb_tile t, wb_view_f32 x, wb_view_f32 y)
{
    const wb_runs_in_tile runs = wb_runs_f32(t, p.columns, WB_ALL_IMAGES, x, y, y);
    WB_FOR_RUNS(runs, t, n, c, r)
        clamp_run_f32(p, runs.length, wb_row_of_f32(x, n, c, r), wb_row_of_f32(y, n, c, r));
}

WB_KERNEL void clamp_grad_f32(wb_clamp p, wb_tile t, wb_view_f32 dy, wb_view_f32 x, wb_view_f32 dx)
{
    const wb_runs_in_tile runs = wb_runs_f32(t, p.columns, WB_ALL_IMAGES, dy, x, dx);
    WB_FOR_RUNS(runs, t, n, c, r)
        clamp_grad_run_f32(p, runs.length, wb_row_of_f32(dy, n, c, r), wb_row_of_f32(x, n, c, r),
                           wb_row_of_f32(dx, n, c, r));
}
