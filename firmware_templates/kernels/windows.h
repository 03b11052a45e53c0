/* windows.h - the windows of a convolution along one axis: which lie inside the image, and which taps of the others do.
 *
 *     outputs along an axis     | left |      inside      | right |     taps beyond the image count as 0, so at the ends
 *     their windows           [ |x x] [x x x] … [x x x] [x x| ]         a window is clipped to those that lie on it */
#pragma once
#include "tiles.h"

/* Of a convolution, its transpose and its gradients: taps, strides, padding in front, dilation; of rows and of columns. */
typedef struct {
    int kh, kw, sh, sw, pt, pl, dh, dw;
} wb_window;

/* A convolution; channels and filters are those of one group. kept: of a weight that lies in two arrays, the channels (of
 * a grouped convolution, groups) of the first one. fused: float32 products are added before they are rounded. */
typedef struct {
    int groups, channels, in_height, in_width, filters, out_height, out_width, kept, fused;
    wb_window window;
} wb_conv2d;

/* One axis. Tap t of output i lies on x[first + i * step + t * dilation]; its weight is weight elements after that of t-1.
 * x_next, y_next: elements from one to the next, in memory. gaps: see tiles.h. */
typedef struct {
    int size, outputs, first, step, taps, dilation;
    int weight, x_next, y_next, gaps;
} wb_axis;

/* Taps [v0, v1) x [h0, h1) of a window. */
typedef struct {
    int v0, v1, h0, h1;
} wb_taps;

/* Outputs before this one begin outside the image; from windows_right on they end outside. */
WB_KERNEL int windows_left(wb_axis a) { return wb_min(a.outputs, wb_ceil_div(-a.first, a.step)); }
WB_KERNEL int windows_right(wb_axis a)
{
    const int end = wb_ceil_div(a.size - a.first - (a.taps - 1) * a.dilation, a.step);
    return wb_max(windows_left(a), wb_min(a.outputs, end));
}

/* Whether tap 0 of output i lies on element i, for all of them. */
WB_KERNEL int windows_in_place(wb_axis a) { return a.first == 0 && a.step == 1 && a.outputs == a.size; }

/* The element under tap (0, 0) of the first output of row i: on an image, or before it, where taps are clipped. */
WB_KERNEL int windows_row(wb_axis v, wb_axis h, int i) { return (v.first + i * v.step) * v.x_next + h.first; }

/* The taps [begin, end) of output i that lie on the image. */
WB_KERNEL int windows_begin(wb_axis a, int i) { return wb_ceil_div(-(a.first + i * a.step), a.dilation); }
WB_KERNEL int windows_end(wb_axis a, int i)
{
    return wb_min(a.taps, wb_ceil_div(a.size - (a.first + i * a.step), a.dilation));
}

/* Whether tap t of output i lies on the image. */
WB_KERNEL int windows_sees(wb_axis a, int i, int t)
{
    const int at = a.first + i * a.step + t * a.dilation;
    return at >= 0 && at < a.size;
}

/* The outputs of an axis in tiles of so many: those of [0, head) and [inside, whole) have windows that are clipped, those of
 * [head, inside) none; what follows `whole` is no whole tile. */
typedef struct {
    int each, head, inside, whole;
} wb_tiles;

WB_KERNEL wb_tiles windows_tiles(wb_axis a, int most)
{
    const int each = wb_min(most, a.outputs), whole = a.outputs / each * each;
    const int head = wb_min(whole, wb_ceil_div(windows_left(a), each) * each);
    return (wb_tiles){ each, head, head + wb_max(0, windows_right(a) - head) / each * each, whole };
}

WB_KERNEL wb_axis conv2d_columns(wb_conv2d s)
{
    const wb_window k = s.window;
    return (wb_axis){ s.in_width, s.out_width, -k.pl, k.sw, k.kw, k.dw, 1, 1, 1, 0 };
}

WB_KERNEL wb_axis conv2d_rows(wb_conv2d s, int x_next, int y_next, int gaps)
{
    const wb_window k = s.window;
    return (wb_axis){ s.in_height, s.out_height, -k.pt, k.sh, k.kh, k.dh, k.kw, x_next, y_next, gaps };
}

/* The outputs of a tile, from rows [row, row_end) of the image: the same windows over a lower image. It begins and ends
 * where the real one does, or beyond the windows. */
WB_KERNEL wb_axis windows_of_tile(wb_axis v, wb_tile t, int row, int row_end)
{
    v.first += t.row * v.step - row;
    v.size = row_end - row;
    v.outputs = t.row_end - t.row;
    return v;
}
