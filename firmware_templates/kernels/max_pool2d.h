/* max_pool2d.h - the largest of each window, padding left out; ties go to the first in row order. The first NaN is larger
 * than all. The gradient gives dx each dy at its window's winner; windows that overlap add up.
 * places, where they are wanted: of each winner its place in its window, ky*kw + kx. */
#pragma once
#include "tiles.h"

/* Images of x and of y (those of dx and dy), their windows, and the bytes of a place: 1, 4, or 0 where there are none. */
typedef struct {
    wb_shape x, y;
    int kh, kw, sh, sw, pt, pl, place_bytes;
} wb_max_pool2d;

WB_KERNEL void wb_set_place(int bytes, void *places, int at, int place)
{
    if (bytes == 1)
        ((int8_t *)places)[at] = (int8_t)place;
    if (bytes == 4)
        ((int32_t *)places)[at] = place;
}

WB_KERNEL int wb_place(int bytes, const void *places, int at)
{
    return bytes == 1 ? ((const int8_t *)places)[at] : ((const int32_t *)places)[at];
}

#define WB_ELEMENT float
#define WB_NAMED(name) name##_f32
#define WB_IS_NUMBER(x) ((x) == (x))
#include "max_pool2d_each.h"
#undef WB_ELEMENT
#undef WB_NAMED
#undef WB_IS_NUMBER

#define WB_ELEMENT int8_t
#define WB_NAMED(name) name##_s8
#define WB_IS_NUMBER(x) 1
#include "max_pool2d_each.h"
#undef WB_ELEMENT
#undef WB_NAMED
#undef WB_IS_NUMBER

WB_KERNEL void max_pool2d_f32(wb_max_pool2d p, wb_tile t, wb_view_f32 x, wb_view_f32 y, void *places)
{
    for (int n = t.image; n < t.image_end; ++n)
        for (int c = t.channel; c < t.channel_end; ++c)
            for (int oy = t.row; oy < t.row_end; ++oy) {
                const int first = wb_max(0, oy * p.sh - p.pt);
                max_pool2d_row_f32(p, oy, x.pitch, wb_row_of_f32(x, n, c, first), wb_row_of_f32(y, n, c, oy), places,
                                   wb_row_in(p.y, n, c, oy));
            }
}

WB_KERNEL void max_pool2d_s8(wb_max_pool2d p, wb_tile t, wb_view_s8 x, wb_view_s8 y, void *places)
{
    for (int n = t.image; n < t.image_end; ++n)
        for (int c = t.channel; c < t.channel_end; ++c)
            for (int oy = t.row; oy < t.row_end; ++oy) {
                const int first = wb_max(0, oy * p.sh - p.pt);
                max_pool2d_row_s8(p, oy, x.pitch, wb_row_of_s8(x, n, c, first), wb_row_of_s8(y, n, c, oy), places,
                                  wb_row_in(p.y, n, c, oy));
            }
}

/* What row oy of dy gives to a tile's rows of dx, the first of which is `dx`. */
WB_KERNEL void max_pool2d_grad_row_f32(wb_max_pool2d p, wb_tile t, int oy, int pitch, const float *restrict dy,
                                       const void *restrict places, int at, float *restrict dx)
{
    const int all = wb_is_everything(t, p.x);
    __asm("" : "+r"(dx)); /* GCC keeps this address in a register, and does not sum it up for each element */
    for (int ox = 0; ox < p.y.columns; ++ox) {
        const int place = wb_place(p.place_bytes, places, at + ox), row = oy * p.sh - p.pt + place / p.kw;
        if (all || (row >= t.row && row < t.row_end))
            dx[(row - t.row) * pitch + ox * p.sw - p.pl + place % p.kw] += dy[ox];
    }
}

/* Zero, and then what the windows that reach into these rows give them. */
WB_KERNEL void max_pool2d_grad_f32(wb_max_pool2d p, wb_tile t, wb_view_f32 dy, const void *restrict places, wb_view_f32 dx)
{
    wb_zero_tile_f32(t, p.x.columns, dx);
    const int first = wb_max(dy.row, wb_ceil_div(t.row + p.pt - p.kh + 1, p.sh));
    const int last = wb_min(dy.row_end, (t.row_end - 1 + p.pt) / p.sh + 1);
    for (int n = t.image; n < t.image_end; ++n)
        for (int c = t.channel; c < t.channel_end; ++c)
            for (int oy = first; oy < last; ++oy)
                max_pool2d_grad_row_f32(p, t, oy, dx.pitch, wb_row_of_f32(dy, n, c, oy), places, wb_row_in(p.y, n, c, oy),
                                        wb_row_of_f32(dx, n, c, t.row));
}
