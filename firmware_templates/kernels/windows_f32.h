/* windows_f32.h - y[f][i][j] = sum over c and the taps of a window of x[c][…] * w[f][c][…]: what nn.conv2d does for its
 * filters, and nn.conv2d_transpose for its channels and each phase of its stride.
 *
 * Some filters by four pixels of a row are summed at a time: each weight is loaded once for them, each element of a row of x
 * once for all taps of that row. Taps that lie beside the image are left out when the kernel is compiled:
 *
 *     a row of ten outputs    [ 0 1 2 3 ] [ 4 5 6 7 ] [ 8 9 ]    the first and the last of its windows are clipped
 *                               as 0 is     inside      as 9 is  code for each of these, and none for each column
 *
 * A sum goes channel by channel, each row of taps by row; where rows of taps lie beside the image, tap by tap, each of all
 * channels. What is to be done to it before it is stored, a bias or a clip, is its end. */
#pragma once
#include "gemm_f32.h"
#include "windows.h"

/* channels, filters: products of each tap, and results. x_channel, w_channel, w_filter, y_filter: elements from one of them
 * to the next. */
typedef struct {
    int channels, x_channel, w_channel, filters, w_filter, y_filter, fused;
} wb_windows_f32;

enum { WB_COLUMNS = 4 }; /* pixels of a tile, at most */

/* How many filters are summed at a time: as many as divide them. */
WB_KERNEL int windows_filters_f32(wb_windows_f32 s, wb_axis h)
{
    return s.filters % 4 == 0 && h.taps <= 3 ? 4 : s.filters % 2 == 0 ? 2 : 1;
}

/* Adds the products of column u of taps to the sums of pixels that are clipped as those from column `like` on are. Tap and
 * weight of the first pixel and filter would be element `at` of x and `by` of w; a tap may lie before x, if it is left out. */
WB_KERNEL void windows_step_f32(wb_windows_f32 s, wb_axis h, int filters, int pixels, int like, int u, int at, int by,
                                const float *restrict x, const float *restrict w, float *sums)
{
#pragma GCC unroll 4
    for (int f = 0; f < filters; ++f) {
        const float weight = w[by + f * s.w_filter];
#pragma GCC unroll 4
        for (int p = 0; p < pixels; ++p)
            if (WB_ANY_SHAPE || windows_sees(h, like + p, u))
                sums[4 * f + p] = wb_multiply_add_f32(s.fused, x[at + p * h.step], weight, sums[4 * f + p]);
    }
}

/* The same for a tap of all channels. */
WB_KERNEL void windows_tap_f32(wb_windows_f32 s, wb_axis h, int filters, int pixels, int like, int u, int at,
                               const float *restrict x, const float *restrict w, float *sums)
{
    if (filters == 1)
#pragma GCC unroll 2
        for (int c = 0; c < s.channels; ++c)
            windows_step_f32(s, h, 1, pixels, like, u, at + c * s.x_channel, c * s.w_channel, x, w, sums);
    else
        for (int c = 0; c < s.channels; ++c)
            windows_step_f32(s, h, filters, pixels, like, u, at + c * s.x_channel, c * s.w_channel, x, w, sums);
}

/* Some filters by some pixels of a row, whose windows have the rows of taps [v0, v1). */
WB_KERNEL void windows_tile_f32(wb_windows_f32 s, wb_axis v, wb_axis h, wb_ends_f32 end, int filters, int pixels, int like,
                                int v0, int v1, int at,
                                const float *restrict x, const float *restrict w, float *restrict y)
{
    float sums[16] = { 0.0f };
#pragma GCC unroll 4
    for (int f = 0; f < filters; ++f)
#pragma GCC unroll 4
        for (int p = 0; p < pixels; ++p)
            sums[4 * f + p] = end.onto ? y[f * s.y_filter + p * h.y_next] : 0.0f;
    /* where sizes are no literals, the taps that are there are those of one pixel, or all */
    const int u0 = WB_ANY_SHAPE && pixels == 1 ? wb_max(0, windows_begin(h, like)) : 0;
    const int u1 = WB_ANY_SHAPE && pixels == 1 ? windows_end(h, like) : h.taps;
    if (v1 - v0 < v.taps && s.channels > 1 && h.taps > 0) {
        for (int t = v0; t < v1; ++t)
#pragma GCC unroll 7
            for (int u = u0; u < u1; ++u)
                windows_tap_f32(s, h, filters, pixels, like, u, at + t * v.dilation * v.x_next + u * h.dilation, x,
                                w + (t * v.weight + u * h.weight), sums);
    } else {
        for (int c = 0; c < s.channels; ++c)
            for (int t = v0; t < v1; ++t) {
                const float *row = w + (c * s.w_channel + t * v.weight);
                if (s.channels == 1)
                    __asm("" : "+r"(row)); /* GCC keeps this address, and not one for each tap */
#pragma GCC unroll 7
                for (int u = u0; u < u1; ++u)
                    windows_step_f32(s, h, filters, pixels, like, u,
                                     at + c * s.x_channel + t * v.dilation * v.x_next + u * h.dilation, u * h.weight, x, row,
                                     sums);
            }
    }
#pragma GCC unroll 4
    for (int f = 0; f < filters; ++f)
#pragma GCC unroll 4
        for (int p = 0; p < pixels; ++p)
            y[f * s.y_filter + p * h.y_next] = wb_finish_f32(wb_layer_end(end.activation, end.b, f), sums[4 * f + p]);
}

#if WB_ANY_SHAPE
/* One row of outputs of as many filters as are a literal here: four pixels at a time where windows are not clipped. */
WB_KERNEL void windows_row_of_f32(wb_windows_f32 s, wb_axis v, wb_axis h, wb_ends_f32 end, int filters,
                                  int v0, int v1, int at, const float *restrict x, const float *restrict w, float *restrict y)
{
    const int left = wb_max(0, wb_min(h.outputs, windows_left(h))), right = windows_right(h);
    int j = 0;
    for (; j < left; ++j)
        windows_tile_f32(s, v, h, end, filters, 1, j, v0, v1, at + j * h.step, x, w, y + j * h.y_next);
    for (; j + 4 <= right; j += 4)
        windows_tile_f32(s, v, h, end, filters, 4, j, v0, v1, at + j * h.step, x, w, y + j * h.y_next);
    for (; j < h.outputs; ++j)
        windows_tile_f32(s, v, h, end, filters, 1, j, v0, v1, at + j * h.step, x, w, y + j * h.y_next);
}

WB_KERNEL void windows_row_f32(wb_windows_f32 s, wb_axis v, wb_axis h, wb_ends_f32 end, int filters,
                               int v0, int v1, int at, const float *restrict x, const float *restrict w, float *restrict y)
{
    if (filters == 4)
        windows_row_of_f32(s, v, h, end, 4, v0, v1, at, x, w, y);
    else if (filters == 2)
        windows_row_of_f32(s, v, h, end, 2, v0, v1, at, x, w, y);
    else
        windows_row_of_f32(s, v, h, end, 1, v0, v1, at, x, w, y);
}
#else
/* One row of outputs of some filters. Loops of one turn fold, and so do the tests of what is clipped there. */
WB_KERNEL void windows_row_f32(wb_windows_f32 s, wb_axis v, wb_axis h, wb_ends_f32 end, int filters,
                               int v0, int v1, int at, const float *restrict x, const float *restrict w, float *restrict y)
{
    const wb_tiles t = windows_tiles(h, WB_COLUMNS);
    for (int j = 0; j < t.head; j += t.each)
        windows_tile_f32(s, v, h, end, filters, t.each, j, v0, v1, at + j * h.step, x, w, y + j * h.y_next);
    for (int j = t.head; j < t.inside; j += t.each)
        windows_tile_f32(s, v, h, end, filters, t.each, t.head, v0, v1, at + j * h.step, x, w, y + j * h.y_next);
    for (int j = t.inside; j < t.whole; j += t.each)
        windows_tile_f32(s, v, h, end, filters, t.each, j, v0, v1, at + j * h.step, x, w, y + j * h.y_next);
    if (t.whole < h.outputs)
        windows_tile_f32(s, v, h, end, filters, h.outputs - t.whole, t.whole, v0, v1, at + t.whole * h.step, x, w,
                         y + t.whole * h.y_next);
}
#endif

/* All outputs of some planes, rows along v and columns along h; x points at element (0, 0) of channel 0, w at tap (0, 0). */
WB_SHARED void windows_f32(wb_windows_f32 s, wb_axis v, wb_axis h, wb_ends_f32 end,
                           const float *restrict x, const float *restrict w, float *restrict y)
{
    if (v.taps * h.taps == 1 && windows_in_place(v) && windows_in_place(h) && v.x_next == h.size
        && v.y_next == h.outputs * h.y_next) { /* one long row: weights stay in registers */
        h.size = h.outputs = v.size * h.size;
        v.size = v.outputs = 1;
    }
    const int filters = windows_filters_f32(s, h);
    __asm("" : "+r"(x)); /* GCC keeps this address in a register, and no sum of it with each offset: 11 % of a mobilenet */
    for (int f = 0; f < s.filters; f += filters)
        for (int i = 0; i < v.outputs; ++i)
            windows_row_f32(s, v, h, (wb_ends_f32){ end.activation, end.onto, end.b ? end.b + f : 0 }, filters,
                            windows_begin(v, i), windows_end(v, i), windows_row(v, h, i), x,
                            w + f * s.w_filter, y + f * s.y_filter + i * v.y_next);
}
