/* sum_f32.h - y[c] = times * sum over n and i of x[n][c][i]; sum_into_f32 hands each on to a sink (sink_f32.h). */
#pragma once
#include "sink_f32.h"
#include "tiles.h"

/* Of the images that are summed up, and how many; their channels are those of the tile. */
typedef struct {
    int images, rows, columns;
    float times;
} wb_sum;

/* `sum`, what earlier tiles gave of channel c, and the rows of this tile, maybe none; with the last row of the last image,
 * times p.times. */
WB_KERNEL float channel_sum_f32(wb_sum p, wb_tile t, wb_view_f32 x, int c, float sum)
{
    const wb_runs_in_tile runs = wb_runs_f32(t, p.columns, WB_A_CHANNEL, x, x, x);
    for (int n = t.image; n < t.image_end; ++n)
        for (int r = t.row; r < t.row + runs.rows; ++r) {
            const float *from = wb_row_of_f32(x, n, c, r);
#pragma GCC unroll 4
            for (int i = 0; i < runs.length; ++i)
                sum += from[i];
        }
    const int last = t.image_end == p.images && t.row_end == p.rows && t.row < t.row_end;
    return p.times == 1.0f || !last ? sum : sum * p.times;
}

WB_KERNEL void sum_into_f32(wb_sum p, wb_tile t, wb_view_f32 x, wb_sink sink, float *restrict to, float *restrict v)
{
    for (int c = t.channel; c < t.channel_end; ++c)
        sink_f32(sink, c, to, v, channel_sum_f32(p, t, x, c, 0.0f));
}

WB_KERNEL void sum_f32(wb_sum p, wb_tile t, wb_view_f32 x, float *restrict y)
{
    for (int c = t.channel; c < t.channel_end; ++c)
        y[c] = channel_sum_f32(p, t, x, c, t.begun ? y[c] : 0.0f);
}
