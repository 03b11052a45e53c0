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

/* That of an output whose bit comes `further`, with this bias. */
WB_KERNEL wb_end_s8 wb_end_at_s8(wb_end_s8 end, int bias, int further)
{
    end.bias = bias;
    end.bit += further;
    return end;
}

WB_KERNEL int sum_s8(int count, const int8_t *w)
{
    int sum = 0;
#pragma GCC unroll 4
    for (int i = 0; i < count; ++i)
        sum += w[i];
    return sum;
}

/* The sum over taps of all channels; w points at tap (0, 0) of channel 0, and element `at` of x would lie under it: before
 * x, maybe, where taps are clipped. */
WB_KERNEL int windows_sum_s8(int channels, int x_channel, int w_channel, wb_axis v, wb_axis h, int zero,
                             wb_taps taps, int at, const int8_t *restrict x, const int8_t *restrict w)
{
    int sum = 0;
    if (channels > 1)
        __asm volatile("" : "+r"(w)); /* weights are loaded for each output, and not all of them kept on the stack */
    for (int c = 0; c < channels; ++c)
#pragma GCC unroll 7
        for (int t = taps.v0; t < taps.v1; ++t)
#pragma GCC unroll 7
            for (int u = taps.h0; u < taps.h1; ++u)
                sum += (x[at + c * x_channel + t * v.dilation * v.x_next + u * h.dilation] - zero)
                       * w[c * w_channel + t * v.weight + u * h.weight];
    return sum;
}

/* One output, whose window has these taps. */
WB_KERNEL void windows_at_s8(int channels, int x_channel, int w_channel, wb_axis v, wb_axis h, int zero, wb_end_s8 end,
                             wb_taps taps, int at, const int8_t *restrict x, const int8_t *restrict w, int8_t *restrict y)
{
    const int sum = end.bias + windows_sum_s8(channels, x_channel, w_channel, v, h, zero, taps, at, x, w);
    *y = wb_requantize_s8(end.factor, sum, end.mask, end.bit);
}

/* One row of outputs, whose windows have the rows of taps [v0, v1); `whole`: all of them. */
WB_KERNEL void windows_row_s8(int channels, int x_channel, int w_channel, wb_axis v, wb_axis h, int zero, wb_end_s8 end,
                              int whole, int v0, int v1, int at,
                              const int8_t *restrict x, const int8_t *restrict w, int8_t *restrict y)
{
    const int left = whole ? windows_left(h) : 0, right = whole ? windows_right(h) : 0;
    /* Both in registers, and not a sum for each of the loops: 32 bytes of stack less. */
    __asm("" : "+r"(y));
    __asm("" : "+r"(at));
    for (int j = 0; j < left; ++j)
        windows_at_s8(channels, x_channel, w_channel, v, h, zero, wb_end_at_s8(end, end.bias, j * h.y_next),
                      (wb_taps){ v0, v1, windows_begin(h, j), windows_end(h, j) }, at + j * h.step, x, w, y + j * h.y_next);
    for (int j = left; j < right; ++j)
        windows_at_s8(channels, x_channel, w_channel, v, h, 0, wb_end_at_s8(end, end.inside, j * h.y_next),
                      (wb_taps){ 0, v.taps, 0, h.taps }, at + j * h.step, x, w, y + j * h.y_next);
    for (int j = right; j < h.outputs; ++j)
        windows_at_s8(channels, x_channel, w_channel, v, h, zero, wb_end_at_s8(end, end.bias, j * h.y_next),
                      (wb_taps){ v0, v1, windows_begin(h, j), windows_end(h, j) }, at + j * h.step, x, w, y + j * h.y_next);
}

/* All outputs of one plane; x points at element (0, 0) of channel 0. */
WB_KERNEL void windows_s8(int channels, int x_channel, int w_channel, wb_axis v, wb_axis h, int zero, wb_end_s8 end,
                          const int8_t *restrict x, const int8_t *restrict w, int8_t *restrict y)
{
    const int top = windows_left(v), bottom = windows_right(v);
    __asm("" : "+r"(x));
    for (int i = 0; i < v.outputs; ++i) {
        const wb_end_s8 row = wb_end_at_s8(end, end.bias, i * end.row_bits);
        if (i >= top && i < bottom)
            windows_row_s8(channels, x_channel, w_channel, v, h, zero, row, 1, 0, v.taps,
                           windows_row(v, h, i), x, w, y + i * v.y_next);
        else
            windows_row_s8(channels, x_channel, w_channel, v, h, zero, row, 0, windows_begin(v, i), windows_end(v, i),
                           windows_row(v, h, i), x, w, y + i * v.y_next);
    }
}
