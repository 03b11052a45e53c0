/* strided_slice.h - y = part of x along one axis; the gradient puts it back amid zeros. */
#pragma once
#include "tiles.h"

/* y[0][0][0][0] is x[image][channel][row][column]; y has rows of `columns`. */
typedef struct {
    int image, channel, row, column, columns;
} wb_strided_slice;

/* dy = elements [begin, end) of each of `outer` rows of dx; where it is a part of its channels, [channel, channel_end). */
typedef struct {
    int outer, row, begin, end;
    wb_shape shape;
    int channel, channel_end;
} wb_strided_slice_grad;

WB_KERNEL void copy_run_f32(int count, const float *restrict x, float *restrict y)
{
#pragma GCC unroll 4
    for (int i = 0; i < count; ++i)
        y[i] = x[i];
}

WB_KERNEL void copy_run_s8(int count, const int8_t *restrict x, int8_t *restrict y)
{
#pragma GCC unroll 4
    for (int i = 0; i < count; ++i)
        y[i] = x[i];
}

WB_KERNEL void strided_slice_f32(wb_strided_slice p, wb_tile t, wb_view_f32 x, wb_view_f32 y)
{
    const wb_runs_in_tile runs = wb_runs_f32(t, p.columns, WB_ALL_IMAGES, x, y, y);
    WB_FOR_RUNS(runs, t, n, c, r)
        copy_run_f32(runs.length, wb_row_of_f32(x, n + p.image, c + p.channel, r + p.row) + p.column,
                     wb_row_of_f32(y, n, c, r));
}

WB_KERNEL void strided_slice_s8(wb_strided_slice p, wb_tile t, wb_view_s8 x, wb_view_s8 y)
{
    const wb_runs_in_tile runs = wb_runs_s8(t, p.columns, WB_ALL_IMAGES, x, y, y);
    WB_FOR_RUNS(runs, t, n, c, r)
        copy_run_s8(runs.length, wb_row_of_s8(x, n + p.image, c + p.channel, r + p.row) + p.column,
                    wb_row_of_s8(y, n, c, r));
}

/* Rows amid zeros, at once. */
WB_KERNEL void strided_slice_grad_rows_f32(wb_strided_slice_grad p, const float *restrict dy, float *restrict dx)
{
    for (int o = 0; o < p.outer; ++o, dx += p.row) {
        for (int e = 0; e < p.begin; ++e)
            dx[e] = 0.0f;
#pragma GCC unroll 4
        for (int e = p.begin; e < p.end; ++e)
            dx[e] = *dy++;
        for (int e = p.end; e < p.row; ++e)
            dx[e] = 0.0f;
    }
}

WB_KERNEL void strided_slice_grad_f32(wb_strided_slice_grad p, wb_tile t, wb_view_f32 dy, wb_view_f32 dx)
{
    const int whole = wb_is_everything(t, p.shape) && wb_lies_whole_f32(dy) && wb_lies_whole_f32(dx);
    if (!p.channel_end || whole) {
        strided_slice_grad_rows_f32(p, dy.at, dx.at);
        return;
    }
    const wb_runs_in_tile runs = wb_runs_f32(t, p.shape.columns, WB_A_CHANNEL, dy, dx, dx);
    WB_FOR_RUNS(runs, t, n, c, r) {
        float *to = wb_row_of_f32(dx, n, c, r);
        if (c >= p.channel && c < p.channel_end)
            copy_run_f32(runs.length, wb_row_of_f32(dy, n, c - p.channel, r), to);
        else
            for (int i = 0; i < runs.length; ++i)
                to[i] = 0.0f;
    }
}
