/* slice_f32.h - slice: y is a part of x; pad: x is such a part of y, the rest is `value`. The part begins at element `first`
 * of the larger array; the loops go through the part's axes, with steps in the larger array. */
#pragma once
#include "tiles.h"
#include "transpose_f32.h"

/* Element i of the part is element first + i * step of the larger array; of `size` in the part. */
typedef struct {
    int first, step, size;
} wb_part;

/* shape: of y; channels, rows, columns: for tiles of an image. */
typedef struct {
    int first;
    wb_loops loops;
    wb_shape shape;
    wb_part channels, rows, columns;
} wb_slice;

/* elements: of y. */
typedef struct {
    int elements, first;
    wb_loops loops;
    float value;
    wb_shape shape;
    wb_part channels, rows, columns;
} wb_pad;

/* Which element of the part lies at `at` of the larger array; -1: none. */
WB_KERNEL int wb_in_part(wb_part p, int at)
{
    const int i = at - p.first;
    return i < 0 || i % p.step != 0 || i / p.step >= p.size ? -1 : i / p.step;
}

#define WB_ELEMENT float
#define WB_VIEW wb_view_f32
#define WB_NAMED(name) name##_f32
#include "slice_each.h"
#undef WB_ELEMENT
#undef WB_VIEW
#undef WB_NAMED

#define WB_ELEMENT int8_t
#define WB_VIEW wb_view_s8
#define WB_NAMED(name) name##_s8
#include "slice_each.h"
#undef WB_ELEMENT
#undef WB_VIEW
#undef WB_NAMED

WB_KERNEL void slice_f32(wb_slice p, wb_tile t, wb_view_f32 x, wb_view_f32 y) { slice_tile_f32(p, t, x, y); }
WB_KERNEL void slice_s8(wb_slice p, wb_tile t, wb_view_s8 x, wb_view_s8 y) { slice_tile_s8(p, t, x, y); }
WB_KERNEL void pad_f32(wb_pad p, wb_tile t, wb_view_f32 x, wb_view_f32 y) { pad_tile_f32(p, t, x, y); }
WB_KERNEL void pad_s8(wb_pad p, wb_tile t, wb_view_s8 x, wb_view_s8 y) { pad_tile_s8(p, t, x, y); }
