/* resize_nearest_f32.h - each pixel of y is the nearest one of x; the gradient adds up what each pixel of x became. */
#pragma once
#include "tiles.h"

/* Images of x and of y (of dx and dy). down: for each row of y, the row of x that it copies; across: the same for columns. */
typedef struct {
    wb_shape x, y;
    const int16_t *down, *across;
} wb_resize_nearest;

WB_KERNEL void resize_nearest_f32(wb_resize_nearest p, wb_tile t, wb_view_f32 x, wb_view_f32 y)
{
    for (int n = t.image; n < t.image_end; ++n)
        for (int c = t.channel; c < t.channel_end; ++c)
            for (int i = t.row; i < t.row_end; ++i) {
                const float *restrict from = wb_row_of_f32(x, n, c, p.down[i]);
                float *restrict to = wb_row_of_f32(y, n, c, i);
#pragma GCC unroll 4
                for (int j = 0; j < p.y.columns; ++j)
                    to[j] = from[p.across[j]];
            }
}

WB_KERNEL void resize_nearest_s8(wb_resize_nearest p, wb_tile t, wb_view_s8 x, wb_view_s8 y)
{
    for (int n = t.image; n < t.image_end; ++n)
        for (int c = t.channel; c < t.channel_end; ++c)
            for (int i = t.row; i < t.row_end; ++i) {
                const int8_t *restrict from = wb_row_of_s8(x, n, c, p.down[i]);
                int8_t *restrict to = wb_row_of_s8(y, n, c, i);
#pragma GCC unroll 4
                for (int j = 0; j < p.y.columns; ++j)
                    to[j] = from[p.across[j]];
            }
}

/* Zero, and then what the rows of dy that copied these rows give them. */
WB_KERNEL void resize_nearest_grad_f32(wb_resize_nearest p, wb_tile t, wb_view_f32 dy, wb_view_f32 dx)
{
    wb_zero_tile_f32(t, p.x.columns, dx);
    for (int n = t.image; n < t.image_end; ++n)
        for (int c = t.channel; c < t.channel_end; ++c)
            for (int i = dy.row; i < dy.row_end; ++i) {
                if (p.down[i] < t.row || p.down[i] >= t.row_end)
                    continue;
                const float *restrict from = wb_row_of_f32(dy, n, c, i);
                float *restrict to = wb_row_of_f32(dx, n, c, p.down[i]);
                for (int j = 0; j < p.y.columns; ++j)
                    to[p.across[j]] += from[j];
            }
}
