/* windows_f32.h - y[i][j] = sum over c and the taps of a window of x[c][…] * w[c][…]: what nn.conv2d does for each filter,
 * and nn.conv2d_transpose for each channel and phase of its stride.
 *
 * Inside (see windows.h) the loops over taps have literal ends and unroll; so they do in a clipped column, for there are
 * few. What is to be done to a sum before it is stored, a bias or a clip, is its epilogue. */
#pragma once
#include "activation_f32.h"
#include "windows.h"

/* `sum` and the sum over taps of all channels; w points at tap (0, 0) of channel 0, and element `at` of x would lie under
 * it. That may be before x, where taps are clipped: a number, and with a tap that is not, an address.
 * The loop that is innermost has literal ends and unrolls: taps, or channels where there is one tap or the rows of taps are
 * clipped.
 *
 * Of an image with gaps GCC must not know where p points. Where planes are 3 rows apart, tap 3 of a channel is tap 0 of the
 * next; to load it once, GCC (predictive commoning) loads taps ahead of the loop, also those that clipping leaves out. */
WB_KERNEL float windows_sum_f32(int channels, int x_channel, int w_channel, wb_axis v, wb_axis h, int fused, int clipped,
                                wb_taps taps, int at, const float *restrict x, const float *restrict w, float sum)
{
    if (channels > 1 && (clipped || v.taps * h.taps == 1)) {
        for (int t = taps.v0; t < taps.v1; ++t)
            for (int u = taps.h0; u < taps.h1; ++u) {
                const float *p = x + (at + t * v.dilation * v.x_next + u * h.dilation);
                const float *q = w + (t * v.weight + u * h.weight);
                if (clipped && v.gaps)
                    __asm("" : "+r"(p));
#pragma GCC unroll 64
                for (int c = 0; c < channels; ++c)
                    sum = wb_multiply_add_f32(fused, p[c * x_channel], q[c * w_channel], sum);
            }
        return sum;
    }
    for (int c = 0; c < channels; ++c)
#pragma GCC unroll 7
        for (int t = taps.v0; t < taps.v1; ++t)
#pragma GCC unroll 7
            for (int u = taps.h0; u < taps.h1; ++u)
                sum = wb_multiply_add_f32(fused, x[at + c * x_channel + t * v.dilation * v.x_next + u * h.dilation],
                                          w[c * w_channel + t * v.weight + u * h.weight], sum);
    return sum;
}

/* One output, whose window has these taps. */
WB_KERNEL void windows_at_f32(int channels, int x_channel, int w_channel, wb_axis v, wb_axis h, wb_epilogue end,
                              int clipped, wb_taps taps, int at,
                              const float *restrict x, const float *restrict w, float *restrict y)
{
    *y = wb_finish_f32(end, windows_sum_f32(channels, x_channel, w_channel, v, h, end.fused, clipped, taps, at, x, w,
                                            end.onto ? *y : 0.0f));
}

/* One row of outputs, whose windows have the rows of taps [v0, v1). */
WB_KERNEL void windows_row_f32(int channels, int x_channel, int w_channel, wb_axis v, wb_axis h, wb_epilogue end,
                               int clipped, int v0, int v1, int at,
                               const float *restrict x, const float *restrict w, float *restrict y)
{
    const int left = windows_left(h), right = windows_right(h);
#pragma GCC unroll 3
    for (int j = 0; j < left; ++j)
        windows_at_f32(channels, x_channel, w_channel, v, h, end, clipped,
                       (wb_taps){ v0, v1, windows_begin(h, j), windows_end(h, j) }, at + j * h.step, x, w, y + j * h.y_next);
    for (int j = left; j < right; ++j)
        windows_at_f32(channels, x_channel, w_channel, v, h, end, clipped, (wb_taps){ v0, v1, 0, h.taps },
                       at + j * h.step, x, w, y + j * h.y_next);
#pragma GCC unroll 3
    for (int j = right; j < h.outputs; ++j)
        windows_at_f32(channels, x_channel, w_channel, v, h, end, clipped,
                       (wb_taps){ v0, v1, windows_begin(h, j), windows_end(h, j) }, at + j * h.step, x, w, y + j * h.y_next);
}

/* All outputs of one plane, rows along v and columns along h; x points at element (0, 0) of channel 0, w at tap (0, 0). */
WB_KERNEL void windows_f32(int channels, int x_channel, int w_channel, wb_axis v, wb_axis h, wb_epilogue end,
                           const float *restrict x, const float *restrict w, float *restrict y)
{
    if (v.taps * h.taps == 1 && windows_in_place(v) && windows_in_place(h) && v.x_next == h.size
        && v.y_next == h.outputs * h.y_next) { /* one long row: weights stay in registers */
        h.size = h.outputs = v.size * h.size;
        v.size = v.outputs = 1;
    }
    const int top = windows_left(v), bottom = windows_right(v);
    __asm("" : "+r"(x)); /* GCC keeps this address in a register, and no sum of it with each offset: 11 % of a mobilenet */
    for (int i = 0; i < top; ++i)
        windows_row_f32(channels, x_channel, w_channel, v, h, end, 1, windows_begin(v, i), windows_end(v, i),
                        windows_row(v, h, i), x, w, y + i * v.y_next);
    for (int i = top; i < bottom; ++i)
        windows_row_f32(channels, x_channel, w_channel, v, h, end, 0, 0, v.taps,
                        windows_row(v, h, i), x, w, y + i * v.y_next);
    for (int i = bottom; i < v.outputs; ++i)
        windows_row_f32(channels, x_channel, w_channel, v, h, end, 1, windows_begin(v, i), windows_end(v, i),
                        windows_row(v, h, i), x, w, y + i * v.y_next);
}
