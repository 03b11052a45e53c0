/* read_rows.h - the next rows of the image that the host hands over row by row. */
#pragma once
#include "tiles.h"

/* main.c: rows [first, end), of each channel `row` bytes to `to`; a channel's rows follow each other, channels are `plane`
 * bytes apart. Rows are asked for in order, each once. */
void wb_read_rows(int first, int end, int channels, int plane, int row, uint8_t *to);

WB_KERNEL void read_rows_f32(wb_shape p, wb_tile t, wb_view_f32 y)
{
    if (t.row < t.row_end)
        wb_read_rows(t.row, t.row_end, p.channels, 4 * y.plane, 4 * p.columns, (uint8_t *)wb_row_of_f32(y, 0, 0, t.row));
}

WB_KERNEL void read_rows_s8(wb_shape p, wb_tile t, wb_view_s8 y)
{
    if (t.row < t.row_end)
        wb_read_rows(t.row, t.row_end, p.channels, y.plane, p.columns, (uint8_t *)wb_row_of_s8(y, 0, 0, t.row));
}
