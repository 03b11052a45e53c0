/* rows_s8.h - rows_f32.h for images of int8. */
#pragma once
#include "rows_f32.h"

/* Rows [first, end) of an image; plane: elements from one channel to the next. */
typedef struct {
    int8_t *at;
    int plane, first, end;
} wb_rows_s8;

WB_KERNEL int8_t *wb_row_s8(wb_rows_s8 x, int width, int channel, int row)
{
    return x.at + channel * x.plane + (row - x.first) * width;
}

WB_KERNEL void wb_keep_s8(wb_rows_s8 *x, int channels, int width, int keep)
{
    const int gone = wb_min(keep, x->end) - x->first;
    if (gone <= 0)
        return;
    const int left = (x->end - x->first - gone) * width;
    for (int c = 0; c < channels; ++c) {
        int8_t *to = x->at + c * x->plane;
#pragma GCC unroll 4
        for (int i = 0; i < left; ++i)
            to[i] = to[i + gone * width];
    }
    x->first += gone;
}

/* Channels first, first + 1, … of x. */
WB_KERNEL void slice_rows_s8(int first, int channels, int width, int begin, int end, wb_rows_s8 x, wb_rows_s8 y)
{
    for (int c = 0; c < channels; ++c) {
        const int8_t *from = wb_row_s8(x, width, first + c, begin);
        int8_t *to = wb_row_s8(y, width, c, begin);
#pragma GCC unroll 4
        for (int i = 0; i < (end - begin) * width; ++i)
            to[i] = from[i];
    }
}
