/* windows.h - the windows of a convolution along one axis: which lie inside the image, and which taps of the others do.
 *
 *     outputs along an axis     | left |      inside      | right |     taps beyond the image count as 0, so at the ends
 *     their windows           [ |x x] [x x x] … [x x x] [x x| ]         a window is clipped to those that lie on it */
#pragma once
#include "wb_kernel.h"

/* Of a convolution, its transpose and its gradients: taps, strides, padding in front, dilation; of rows and of columns. */
typedef struct {
    int kh, kw, sh, sw, pt, pl, dh, dw;
} wb_window;

/* One axis. Tap t of output i lies on x[first + i * step + t * dilation]; its weight is weight elements after that of t-1.
 * x_next, y_next: elements from one to the next, in memory. gaps: see wb_rows. */
typedef struct {
    int size, outputs, first, step, taps, dilation;
    int weight, x_next, y_next, gaps;
} wb_axis;

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
