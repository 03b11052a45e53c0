/* rows_s8.h - rows_f32.h for images of int8. */
#pragma once
#include "rows_f32.h"

/* Rows [first, end) of an image; plane, pitch: elements from one channel, one row to the next. */
typedef struct {
    int8_t *at;
    int plane, pitch, first, end;
} wb_rows_s8;

WB_KERNEL int8_t *wb_row_s8(wb_rows_s8 x, int channel, int row)
{
    return x.at + channel * x.plane + (row - x.first) * x.pitch;
}
