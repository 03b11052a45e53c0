/* global_avg_pool2d_s8.h - the mean of each channel as int8, rescaled. */
#pragma once
#include "requantize_s8.h"
#include "tiles.h"

/* The factor holds 1 / elements of a channel, too. */
typedef struct {
    wb_shape x;
    int zero_x;
    wb_factor factor;
} wb_global_avg_pool2d_s8;

/* While rows come tile by tile, one image after the other, `scratch` holds the sums of an image's channels. */
WB_KERNEL void global_avg_pool2d_s8(wb_global_avg_pool2d_s8 p, wb_tile t, wb_view_s8 x, int8_t *restrict y,
                                    uint32_t *restrict mask, void *scratch)
{
    const wb_runs_in_tile runs = wb_runs_s8(t, p.x.columns, WB_A_CHANNEL, x, x, x);
    int32_t *sums = scratch;
    if (!t.begun)
        wb_none_pass(t.image_end * p.x.channels, mask);
    if (t.row == t.row_end)
        return;
    for (int n = t.image; n < t.image_end; ++n)
        for (int c = t.channel; c < t.channel_end; ++c) {
            int sum = t.row ? sums[c] : -p.zero_x * p.x.rows * p.x.columns;
            for (int r = t.row; r < t.row + runs.rows; ++r) {
                const int8_t *restrict from = wb_row_of_s8(x, n, c, r);
#pragma GCC unroll 8
                for (int i = 0; i < runs.length; ++i)
                    sum += from[i];
            }
            if (t.row_end == p.x.rows)
                y[n * p.x.channels + c] = wb_requantize_s8(p.factor, sum, mask, n * p.x.channels + c);
            else
                sums[c] = sum;
        }
}
