/* global_avg_pool2d_f32.h - y = the mean of each channel; the gradient gives each of its elements dy / their number. */
#pragma once
#include "tiles.h"

/* While rows come tile by tile, y holds sums; with the last row they become means. A tile behind it has none. */
WB_KERNEL void global_avg_pool2d_f32(wb_shape p, wb_tile t, wb_view_f32 x, float *restrict y)
{
    const wb_runs_in_tile runs = wb_runs_f32(t, p.columns, WB_A_CHANNEL, x, x, x);
    for (int n = t.image; n < t.image_end; ++n)
        for (int c = t.channel; c < t.channel_end; ++c) {
            float sum = t.begun ? y[n * p.channels + c] : 0.0f;
            for (int r = t.row; r < t.row + runs.rows; ++r) {
                const float *restrict from = wb_row_of_f32(x, n, c, r);
#pragma GCC unroll 8
                for (int i = 0; i < runs.length; ++i)
                    sum += from[i];
            }
            if (t.row < t.row_end && t.row_end == p.rows)
                sum = sum * (1.0f / (float)(p.rows * p.columns));
            y[n * p.channels + c] = sum;
        }
}

WB_KERNEL void global_avg_pool2d_grad_f32(wb_shape p, wb_tile t, const float *restrict dy, wb_view_f32 dx)
{
    const wb_runs_in_tile runs = wb_runs_f32(t, p.columns, WB_A_CHANNEL, dx, dx, dx);
    WB_FOR_RUNS(runs, t, n, c, r) {
        const float share = dy[n * p.channels + c] * (1.0f / (float)(p.rows * p.columns));
        float *restrict to = wb_row_of_f32(dx, n, c, r);
#pragma GCC unroll 8
        for (int i = 0; i < runs.length; ++i)
            to[i] = share;
    }
}
