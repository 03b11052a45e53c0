/* read_rows.h - the next rows of the image that the host hands over row by row. */
#pragma once
#include "rows_s8.h"

/* main.c: rows [first, end), of each channel `row` bytes to `to`; a channel's rows follow each other, channels are `plane`
 * bytes apart. Rows are asked for in order, each once. */
void wb_read_rows(int first, int end, int channels, int plane, int row, uint8_t *to);

WB_KERNEL void read_rows_s8(int channels, int width, int begin, int end, wb_rows_s8 y)
{
    if (begin < end)
        wb_read_rows(begin, end, channels, y.plane, width, (uint8_t *)wb_row_s8(y, 0, begin));
}

WB_KERNEL void read_rows_f32(int channels, int width, int begin, int end, wb_rows y)
{
    if (begin < end)
        wb_read_rows(begin, end, channels, 4 * y.plane, 4 * width, (uint8_t *)wb_row(y, 0, begin));
}
