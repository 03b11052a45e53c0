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

WB_KERNEL void wb_keep_s8(wb_rows_s8 *x, int channels, int width, int keep)
{
    const int gone = wb_min(keep, x->end) - x->first;
    if (gone <= 0)
        return;
    const int left = (x->end - x->first - gone) * width;
    for (int c = 0; c < channels; ++c) {
        int8_t *to = x->at + c * x->plane;
        __asm("" : "+r"(to)); /* GCC does not know how many rows fit there, and would warn of too many */
#pragma GCC unroll 4
        for (int i = 0; i < left; ++i)
            to[i] = to[i + gone * width];
    }
    x->first += gone;
}
