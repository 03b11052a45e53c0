/* depthwise_s8.h - int8 filters that each see one channel: four outputs of a row at a time.
 *
 *     some rows of the channel, with zero around the image      P(o): x[o] and x[o+2], as int16, from the word at x + o
 *
 *     a row of seven taps    w0 w1 w2 w3 w4 w5 w6       output j of stride s adds    P(js) * (w0, w2) + P(js+1) * (w1, w3)
 *                            pairs 02 13 46, single 5                                + P(js+4) * (w4, w6) + x[js+5] * w5
 *
 * so each tap but one goes with another, and each word of x serves all outputs that it is part of. */
#pragma once
#include "gemm_s8.h"
#include "windows.h"

enum { WB_DEPTHWISE_TAPS = 8 }; /* in a row, at most */

/* How many of x's elements lie from one row to the next, once there is zero around them: as far as words are read. */
WB_KERNEL int depthwise_pitch(wb_conv2d s)
{
    return ((s.out_width + 3) / 4 * 4 * s.window.sw + s.window.kw + 7) / 4 * 4;
}

/* Of `taps` in a row: whether tap t goes with tap t + 2, or by itself; the place of its word; and how many words there are. */
WB_KERNEL int depthwise_pair(int taps, int t) { return t >= 0 && t % 4 < 2 && t + 2 < taps; }
WB_KERNEL int depthwise_single(int taps, int t) { return t >= 0 && t < taps && t % 4 < 2 && !depthwise_pair(taps, t); }
WB_KERNEL int depthwise_place(int t) { return t / 4 * 2 + t % 4; }
WB_KERNEL int depthwise_words(int taps) { return taps / 4 * 2 + wb_min(taps % 4, 2); }

/* Four taps from number t of a filter of `length` on, in the lower bytes as far as they are there. */
WB_KERNEL uint32_t depthwise_taps(int length, const int8_t *w, int t)
{
    if (t + 4 <= length)
        return wb_four(w + t);
    if (length >= 4)
        return wb_four(w + length - 4) >> 8 * (t + 4 - length);
    uint32_t word = 0u;
    for (int i = t; i < length; ++i)
        word |= (uint32_t)(uint8_t)w[i] << 8 * (i - t);
    return word;
}

/* The words of a filter, row by row. The high half of a tap that goes by itself counts for nothing. */
WB_KERNEL void depthwise_filter_s8(int rows, int taps, const int8_t *w, uint32_t *to)
{
    for (int ky = 0; ky < rows; ++ky, to += depthwise_words(taps))
#pragma GCC unroll 2
        for (int t = 0; t < taps; t += 4) {
            const uint32_t word = depthwise_taps(rows * taps, w, ky * taps + t);
            to[t / 2] = wb_even(word);
            if (t + 1 < taps)
                to[t / 2 + 1] = wb_odd(word);
        }
}

/* What of P(o) output j adds: a pair; x[o] by itself; x[o + 2] by itself. first: in the first row, whose sums go on from the
 * bias. */
WB_KERNEL int depthwise_add(int taps, int stride, int first, int j, int o, uint32_t pair, const uint32_t *w, int sum)
{
    const int t = o - j * stride;
    if (depthwise_pair(taps, t))
        sum = first ? wb_dot_from(pair, w[depthwise_place(t)], sum) : wb_dot(pair, w[depthwise_place(t)], sum);
    if (stride == 1 ? j < 2 : stride > 2 || j % 2 == 0) {
        if (depthwise_single(taps, t))
            sum = wb_low_by_low(pair, w[depthwise_place(t)], sum);
    } else if (depthwise_single(taps, t + 2))
        sum = wb_high_by_low(pair, w[depthwise_place(t + 2)], sum);
    return sum;
}

/* Whether any output needs P(o). */
WB_KERNEL int depthwise_needs(int taps, int stride, int o)
{
    int needs = 0;
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
        const int t = o - j * stride, high = stride == 1 ? j > 1 : stride == 2 && j % 2;
        needs |= depthwise_pair(taps, t) || depthwise_single(taps, high ? t + 2 : t);
    }
    return needs;
}

/* Four outputs' sums of row ky of the taps; x: under tap 0 of the first. */
WB_KERNEL wb_sums_4 depthwise_row_s8(wb_sums_4 s, int taps, int stride, int ky, uint32_t less, const int8_t *x,
                                     const uint32_t *w)
{
    const int words = depthwise_words(taps), first = ky == 0;
    uint32_t row[WB_DEPTHWISE_TAPS / 2];
#pragma GCC unroll 4
    for (int i = 0; i + 1 < words; i += 2) {
        const wb_pair two = wb_kept_pair(w, ky * words + i);
        row[i] = (uint32_t)two.a, row[i + 1] = (uint32_t)two.b;
    }
    if (words % 2)
        row[words - 1] = wb_kept(w, ky * words + words - 1);
#pragma GCC unroll 32
    for (int o = 0; o < 3 * stride + taps; o += 2) {
        const int even = depthwise_needs(taps, stride, o), odd = depthwise_needs(taps, stride, o + 1);
        if (!even && !odd)
            continue;
        const uint32_t word = wb_four(x + o);
        if (even) {
            const uint32_t pair = wb_plus_even(less, word);
            s.a = depthwise_add(taps, stride, first, 0, o, pair, row, s.a);
            s.b = depthwise_add(taps, stride, first, 1, o, pair, row, s.b);
            s.c = depthwise_add(taps, stride, first, 2, o, pair, row, s.c);
            s.d = depthwise_add(taps, stride, first, 3, o, pair, row, s.d);
        }
        if (odd) {
            const uint32_t pair = wb_plus_odd(less, word);
            s.a = depthwise_add(taps, stride, first, 0, o + 1, pair, row, s.a);
            s.b = depthwise_add(taps, stride, first, 1, o + 1, pair, row, s.b);
            s.c = depthwise_add(taps, stride, first, 2, o + 1, pair, row, s.c);
            s.d = depthwise_add(taps, stride, first, 3, o + 1, pair, row, s.d);
        }
    }
    return s;
}

/* Zero in so many rows. */
WB_KERNEL void depthwise_zeros_s8(int rows, int zero, int pitch, int8_t *to)
{
    const uint32_t zeros = (uint32_t)(uint8_t)zero * 0x01010101u;
    for (int i = 0; i < rows * pitch; i += 4)
        wb_put_four(to + i, zeros);
}

/* Rows [first, end) of a channel to where rows lie `pitch` apart and there is zero beside the image. stay: those that are none
 * of the image are zero already. */
WB_KERNEL void depthwise_rows_s8(wb_conv2d s, int zero, int stay, wb_view_s8 x, int n, int channel, int first, int end,
                                 int pitch, int8_t *to)
{
    const int left = s.window.pl, here = wb_min(s.in_width, pitch - left), words = here / 4 * 4;
    for (int row = first; row < end; ++row, to += pitch) {
        if (row < 0 || row >= s.in_height) {
            if (!stay)
                depthwise_zeros_s8(1, zero, pitch, to);
            continue;
        }
        const int8_t *from = wb_row_of_s8(x, n, channel, row);
#pragma GCC unroll 16
        for (int i = 0; i < words; i += 4)
            wb_put_four(to + left + i, wb_four(from + i));
        for (int i = words; i < here; ++i)
            to[left + i] = from[i];
    }
}

/* How a filter ends: see gemm_end_s8. */
typedef struct {
    wb_factor factor;
    int bias;
    uint32_t *mask;
} wb_end_of_filter_s8;

/* The sums of four outputs; x: under tap (0, 0) of the first. */
WB_KERNEL wb_sums_4 depthwise_sums_s8(wb_conv2d s, int bias, uint32_t less, int pitch, const int8_t *x, const uint32_t *w)
{
    const wb_window k = s.window;
    wb_sums_4 sum = { bias, bias, bias, bias };
#pragma GCC unroll 8
    for (int ky = 0; ky < k.kh; ++ky)
        sum = depthwise_row_s8(sum, k.kw, k.sw, ky, less, x + ky * pitch, w);
    return sum;
}

/* One row of outputs; x: under tap (0, 0) of the first, y and its bit: of the first. */
WB_KERNEL void depthwise_outputs_s8(wb_conv2d s, wb_end_of_filter_s8 end, int zero, int pitch, const int8_t *x,
                                    const uint32_t *w, int8_t *y, int bit)
{
    const uint32_t less = wb_halves(-zero, -zero);
    const int step = 4 * s.window.sw;
    int left = s.out_width;
    for (const int8_t *last = x + (s.out_width + 3) / 4 * step; x != last; x += step) {
        wb_sums_4 sum = depthwise_sums_s8(s, end.bias, less, pitch, x, w);
        if (end.factor.form == WB_ROUNDED && end.factor.shift)
            sum = gemm_shifted_4_s8(end.factor.shift, sum);
        const int count = s.out_width % 4 ? wb_min(left, 4) : 4;
        gemm_end_s8(end.factor, gemm_zero_s8(end.factor, end.mask), count, sum.a, sum.b, sum.c, sum.d, y, end.mask, bit);
        y += count;
        bit += count;
        left -= count;
    }
}

#if WB_ANY_SHAPE
/* The same of square filters of as many taps, and a stride, as are literals here. */
WB_KERNEL void depthwise_outputs_of_s8(wb_conv2d s, int taps, int stride, wb_end_of_filter_s8 end, int zero, int pitch,
                                       const int8_t *x, const uint32_t *w, int8_t *y, int bit)
{
    s.window.kh = s.window.kw = taps;
    s.window.sw = stride;
    depthwise_outputs_s8(s, end, zero, pitch, x, w, y, bit);
}

/* The usual filters have code of their own. */
WB_SHARED void depthwise_row_of_outputs_s8(wb_conv2d s, wb_end_of_filter_s8 end, int zero, int pitch, const int8_t *x,
                                           const uint32_t *w, int8_t *y, int bit)
{
    const wb_window k = s.window;
    const int kind = k.kh == k.kw && k.sw <= 2 ? 10 * k.kw + k.sw : 0;
    if (kind == 31)
        depthwise_outputs_of_s8(s, 3, 1, end, zero, pitch, x, w, y, bit);
    else if (kind == 32)
        depthwise_outputs_of_s8(s, 3, 2, end, zero, pitch, x, w, y, bit);
    else if (kind == 51)
        depthwise_outputs_of_s8(s, 5, 1, end, zero, pitch, x, w, y, bit);
    else if (kind == 52)
        depthwise_outputs_of_s8(s, 5, 2, end, zero, pitch, x, w, y, bit);
    else if (kind == 71)
        depthwise_outputs_of_s8(s, 7, 1, end, zero, pitch, x, w, y, bit);
    else if (kind == 72)
        depthwise_outputs_of_s8(s, 7, 2, end, zero, pitch, x, w, y, bit);
    else
        depthwise_outputs_s8(s, end, zero, pitch, x, w, y, bit);
}
#else
#define depthwise_row_of_outputs_s8 depthwise_outputs_s8
#endif

/* Channel g of image n, and its filters. at_once: rows of outputs for which x is laid out; scratch: for these rows of x, and
 * behind them a filter's words. */
WB_KERNEL void depthwise_s8(wb_conv2d s, wb_layer_s8 p, wb_rows_s8 rows, wb_tile t, int n, int g, int at_once,
                            wb_view_s8 x, wb_view_s8 y, int8_t *scratch)
{
    const wb_window k = s.window;
    const int pitch = depthwise_pitch(s), zero = p.numbers.zero_x, out_plane = s.out_height * s.out_width;
    const int laid_out = (at_once - 1) * k.sh + k.kh, all_at_once = at_once >= s.out_height;
    uint32_t *words = (uint32_t *)(scratch + laid_out * pitch);
    if (n == t.image && g == 0)
        depthwise_zeros_s8(laid_out, zero, pitch, scratch);
    for (int r = t.row; r < t.row_end; r += at_once) {
        const int end = wb_min(r + at_once, t.row_end), first = r * k.sh - k.pt;
        depthwise_rows_s8(s, zero, all_at_once, x, n, g, first, first + (end - r - 1) * k.sh + k.kh, pitch, scratch);
        for (int f = 0; f < s.filters; ++f) {
            const int o = p.first + f;
            const wb_end_of_filter_s8 ends = { wb_factor_of(p.numbers, p.all, p.m, o), wb_bias(p.biases, o), p.mask };
            wb_settled();
            depthwise_filter_s8(k.kh, k.kw, rows.w + f * rows.length, words);
            wb_settled();
            for (int i = r; i < end; ++i)
                depthwise_row_of_outputs_s8(s, ends, zero, pitch, scratch + (i - r) * k.sh * pitch, words,
                                            wb_row_of_s8(y, n, o, i), (n * p.all + o) * out_plane + i * s.out_width);
        }
    }
}
