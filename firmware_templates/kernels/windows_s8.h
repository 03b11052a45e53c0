/* windows_s8.h - the windows of windows.h over int8: sum of (x - zero) * w over channels and taps, then back to int8.
 *
 * A window inside the image sums x * w alone: what zero adds is the same in all of them, so it stands in the bias. */
#pragma once
#include "requantize_s8.h"
#include "windows.h"

/* How an int8 plane ends: bias of the clipped windows, bias of the others, and the way back to int8. */
typedef struct {
    int bias, inside;
    wb_factor factor;
    uint32_t *mask;
    int bit, row_bits; /* of the plane's first element; from a row to the next */
} wb_end_s8;

WB_KERNEL int sum_s8(int count, const int8_t *w)
{
    int sum = 0;
#pragma GCC unroll 4
    for (int i = 0; i < count; ++i)
        sum += w[i];
    return sum;
}

/* The sum over taps [v0, v1) x [h0, h1) of all channels; w points at tap (0, 0) of channel 0, and element `at` of x would
 * lie under it: before x, maybe, where taps are clipped. */
WB_KERNEL int windows_sum_s8(int channels, int x_channel, int w_channel, wb_axis v, wb_axis h, int zero,
                             int v0, int v1, int h0, int h1, int at, const int8_t *restrict x, const int8_t *restrict w)
{
    int sum = 0;
    for (int c = 0; c < channels; ++c)
#pragma GCC unroll 7
        for (int t = v0; t < v1; ++t)
#pragma GCC unroll 7
            for (int u = h0; u < h1; ++u)
                sum += (x[at + c * x_channel + t * v.dilation * v.x_next + u * h.dilation] - zero)
                       * w[c * w_channel + t * v.weight + u * h.weight];
    return sum;
}

/* A filter in one array, or in two: its first `kept` channels, and `rest` for the others (0: there are none). */
typedef struct {
    const int8_t *w, *rest;
    int kept;
} wb_filter_s8;

WB_KERNEL int windows_parts_s8(int channels, int x_channel, int w_channel, wb_axis v, wb_axis h, int zero,
                               int v0, int v1, int h0, int h1, int at, const int8_t *restrict x, wb_filter_s8 f)
{
    int sum = windows_sum_s8(f.rest ? f.kept : channels, x_channel, w_channel, v, h, zero, v0, v1, h0, h1, at, x, f.w);
    if (f.rest)
        sum += windows_sum_s8(channels - f.kept, x_channel, w_channel, v, h, zero, v0, v1, h0, h1,
                              at + f.kept * x_channel, x, f.rest);
    return sum;
}

/* All outputs of one plane; x points at element (0, 0) of channel 0. */
WB_KERNEL void windows_s8(int channels, int x_channel, int w_channel, wb_axis v, wb_axis h, int zero, wb_end_s8 end,
                          const int8_t *restrict x, wb_filter_s8 f, int8_t *restrict y)
{
    const int top = windows_left(v), bottom = windows_right(v), left = windows_left(h), right = windows_right(h);
    __asm("" : "+r"(x));
    for (int i = 0; i < v.outputs; ++i) {
        const int whole = i >= top && i < bottom;
        const int v0 = whole ? 0 : windows_begin(v, i), v1 = whole ? v.taps : windows_end(v, i);
        const int row = windows_row(v, h, i);
        for (int j = 0; j < h.outputs; ++j) {
            int sum;
            if (whole && j >= left && j < right)
                sum = end.inside + windows_parts_s8(channels, x_channel, w_channel, v, h, 0, 0, v.taps, 0, h.taps,
                                                    row + j * h.step, x, f);
            else
                sum = end.bias + windows_parts_s8(channels, x_channel, w_channel, v, h, zero, v0, v1,
                                                  windows_begin(h, j), windows_end(h, j), row + j * h.step, x, f);
            y[i * v.y_next + j * h.y_next] =
                wb_requantize_s8(end.factor, sum, end.mask, end.bit + i * end.row_bits + j * h.y_next);
        }
    }
}
