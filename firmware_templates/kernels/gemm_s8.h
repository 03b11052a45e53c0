/* gemm_s8.h - the sums of an int8 layer: filters times columns of what lies under their windows, two int16 at a time.
 *
 *     four pixels of x, minus zero, as pairs of channels       group of channels 0 … 3, then 4 … 7, …
 *         pixel 0: (x0, x2)   1: (x0, x2)   2: …   3: …   0: (x1, x3)   1: …   2: …   3: …
 *     a word of a filter's weights                              even: (w0, w2)     odd: (w1, w3)
 *
 * Weights are taken as they lie. Where their number is no multiple of four, the last group is that of the last four, and x
 * is zero where the group before has been already. A tile holds the sums of two filters by four pixels: all that fourteen
 * registers can. Of an odd number of filters the last but one is computed twice.
 *
 * Frozen weights may be packed, in the same room: those of filters v and w, of which they are an even number, as halves of
 * words that are 256 * w + v.
 *
 *     word 0: (256 w0 + v0, 256 w2 + v2)       1: (256 w1 + v1, 256 w3 + v3)       2: (256 w4 + v4, 256 w6 + v6)       3: …
 *
 * Their products add up to 256 times the sum of w, and that of v, which SXTB16 alone gives. Whoever packs knows that the
 * sum of w keeps within 24 bits; what leaves 32 on the way comes back. */
#pragma once
#include "biases_s8.h"
#include "clip_four_s8.h"
#include "gemm_block_s8.h"
#include "requantize_s8.h"

/* The weights of filters, `length` a filter; of a split weight, what of each filter the second array holds is behind `rest`,
 * rest_length a filter (0: there is none). */
typedef struct {
    const int8_t *w, *rest;
    int length, rest_length, packed;
} wb_rows_s8;

WB_KERNEL int gemm_groups(int length) { return (length + 3) / 4; }

/* Of the last group of a row: what of its even and of its odd pairs no group before has had. */
WB_KERNEL uint32_t gemm_last_even(int length) { return length % 4 == 0 ? ~0u : length % 4 == 1 ? 0u : 0xFFFF0000u; }
WB_KERNEL uint32_t gemm_last_odd(int length) { return length % 4 == 0 || length % 4 == 3 ? ~0u : 0xFFFF0000u; }

/* The words of four pixels, for rows of this length. */
WB_KERNEL int gemm_words(int length) { return 8 * gemm_groups(length); }

/* The products of a filter pair with one half of a group. first: to the sums of pixel 0, from which all of them go on. */
WB_KERNEL wb_sums_2x4 gemm_half_s8(wb_sums_2x4 s, int first, uint32_t a, uint32_t b)
{
    wb_two_words of = wb_two(s.x);
    const int a0 = s.a0, b0 = s.b0;
    s.a0 = first ? wb_dot_from(of.a, a, a0) : wb_dot(of.a, a, s.a0);
    s.b0 = first ? wb_dot_from(of.a, b, b0) : wb_dot(of.a, b, s.b0);
    s.a1 = first ? wb_dot_from(of.b, a, a0) : wb_dot(of.b, a, s.a1);
    s.b1 = first ? wb_dot_from(of.b, b, b0) : wb_dot(of.b, b, s.b1);
    of = wb_two(of.next);
    s.a2 = first ? wb_dot_from(of.a, a, a0) : wb_dot(of.a, a, s.a2);
    s.b2 = first ? wb_dot_from(of.a, b, b0) : wb_dot(of.a, b, s.b2);
    s.a3 = first ? wb_dot_from(of.b, a, a0) : wb_dot(of.b, a, s.a3);
    s.b3 = first ? wb_dot_from(of.b, b, b0) : wb_dot(of.b, b, s.b3);
    s.x = of.next;
    return s;
}

/* The products of a group. Each word of weights is loaded twice, once for either half: kept, it would cost a register too
 * many. */
WB_KERNEL wb_sums_2x4 gemm_group_s8(wb_sums_2x4 s, int first, int apart, const int8_t *w)
{
    uint32_t a = wb_four(w), b = wb_four(w + apart);
    a = wb_even(a), b = wb_even(b);
    s = gemm_half_s8(s, first, a, b);
    a = wb_four(w), b = wb_four(w + apart);
    a = wb_odd(a), b = wb_odd(b);
    return gemm_half_s8(s, 0, a, b);
}

/* The same of packed weights. */
WB_KERNEL wb_sums_2x4 gemm_packed_group_s8(wb_sums_2x4 s, int first, const int8_t *w)
{
    uint32_t both = wb_four(w);
    s = gemm_half_s8(s, first, wb_even(both), both);
    both = wb_four(w + 4);
    return gemm_half_s8(s, 0, wb_even(both), both);
}

/* Adds the products of `groups` groups, where their words of weights are whole. */
WB_KERNEL wb_sums_2x4 gemm_groups_s8(wb_sums_2x4 s, int first, int groups, int packed, int apart, const int8_t *w)
{
#if WB_GEMM_BLOCKS
    if (groups && __builtin_constant_p(apart) && apart < 4080)
        return gemm_block_s8(s, first, groups, packed, apart, w);
#endif
    if (packed) {
        for (int i = 0; i < groups; ++i, w += 8)
            s = gemm_packed_group_s8(s, first && i == 0, w);
        return s;
    }
    for (int i = 0; i < groups; ++i, w += 4)
        s = gemm_group_s8(s, first && i == 0, apart, w);
    return s;
}

/* Adds `length` products of each filter and pixel. first: to the sums of pixel 0, from which all of them go on. w: the first
 * filter's weights, the second's lie `apart` from them. */
WB_KERNEL wb_sums_2x4 gemm_add_s8(wb_sums_2x4 s, int first, int length, int apart, const int8_t *w)
{
    s = gemm_groups_s8(s, first, length / 4, 0, apart, w);
    w += length / 4 * 4;
    if (length > 4 && length % 4)
        return gemm_groups_s8(s, 0, 1, 0, apart, w + length % 4 - 4);
    if (length % 4) {
        uint32_t a = wb_halves(w[0], length > 2 ? w[2] : 0), b = wb_halves(w[apart], length > 2 ? w[apart + 2] : 0);
        s = gemm_half_s8(s, first, a, b);
        a = wb_halves(length > 1 ? w[1] : 0, 0), b = wb_halves(length > 1 ? w[apart + 1] : 0, 0);
        s = gemm_half_s8(s, 0, a, b);
    }
    return s;
}

/* The sum of filter w behind its bias, from what packed weights add up to from the same sum on, and that of v. */
WB_KERNEL int gemm_second_s8(int bias, int both, int of_v) { return bias + ((int)((uint32_t)both - (uint32_t)of_v) >> 8); }

/* The sums of a pair of filters, whose weights are packed, by four pixels. */
WB_KERNEL wb_sums_2x4 gemm_packed_s8(int bias_a, int bias_b, int length, const int8_t *w, const uint32_t *x)
{
    wb_sums_2x4 s = { bias_a, bias_a, bias_a, bias_a, bias_a, bias_a, bias_a, bias_a, x };
    s = gemm_groups_s8(s, 1, length / 4, 1, 0, w);
    s.b0 = gemm_second_s8(bias_b, s.b0, s.a0);
    s.b1 = gemm_second_s8(bias_b, s.b1, s.a1);
    s.b2 = gemm_second_s8(bias_b, s.b2, s.a2);
    s.b3 = gemm_second_s8(bias_b, s.b3, s.a3);
    return s;
}

/* Sums times the power of two that is part of a factor; what leaves int32 here is far beyond int8. */
WB_KERNEL int gemm_shifted_s8(int shift, int sum)
{
    const int most = INT32_MAX >> shift;
    return wb_max(wb_min(sum, most), -most) * (1 << shift);
}

typedef struct {
    int a, b, c, d;
} wb_sums_4;

WB_KERNEL wb_sums_4 gemm_shifted_4_s8(int shift, wb_sums_4 s)
{
    __asm volatile("" : "+r"(shift)); /* all of this is computed here, and nothing of it ahead of the branch */
    return (wb_sums_4){ gemm_shifted_s8(shift, s.a), gemm_shifted_s8(shift, s.b), gemm_shifted_s8(shift, s.c),
                        gemm_shifted_s8(shift, s.d) };
}

WB_KERNEL wb_sums_2x4 gemm_shifted_2x4_s8(int a, int b, wb_sums_2x4 s)
{
    const wb_sums_4 of_a = gemm_shifted_4_s8(a, (wb_sums_4){ s.a0, s.a1, s.a2, s.a3 });
    const wb_sums_4 of_b = gemm_shifted_4_s8(b, (wb_sums_4){ s.b0, s.b1, s.b2, s.b3 });
    return (wb_sums_2x4){ of_a.a, of_a.b, of_a.c, of_a.d, of_b.a, of_b.b, of_b.c, of_b.d, s.x };
}

/* What gemm_end_s8 is to add: in a register from here on only, for the sums need all of them. */
WB_KERNEL int gemm_zero_s8(wb_factor f, const uint32_t *mask)
{
    int zero = f.zero + clip_raise(f.low, f.high, mask);
    __asm volatile("" : "+r"(zero));
    return zero;
}

/* Four int8 of a filter from its sums, of which the first `count` are stored, and all from four on. `bit`: of the first in
 * the mask. */
WB_KERNEL void gemm_end_s8(wb_factor f, int zero, int count, int s0, int s1, int s2, int s3, int8_t *y, uint32_t *mask,
                           int bit)
{
    int s[4] = { s0, s1, s2, s3 };
#pragma GCC unroll 4
    for (int p = 0; p < 4; ++p)
        s[p] = f.form == WB_ROUNDED ? wb_smmlar(s[p], f.m, zero) : zero + wb_times_tflite(s[p], f.m, f.shift);
    clip_four_s8(f.low, f.high, count, s[0], s[1], s[2], s[3], y, mask, bit);
}

/* How a layer goes from its sums to int8: see conv2d_s8.h. first: the first filter, in the tables of all. */
typedef struct {
    wb_quantized numbers;
    int all, first;
    wb_biases_s8 biases;
    const int32_t *m;
    uint32_t *mask;
} wb_layer_s8;

/* Pixels, four by four: `count` of them are there, and side by side in y. x: their columns, four pixels' after four's.
 * whole: known to be a multiple of four. */
typedef struct {
    int count, whole;
    const uint32_t *x;
    int words; /* from the columns of four pixels to those of the next four */
} wb_columns_s8;

/* What a table has of a filter and of the next one, if there is one. */
WB_KERNEL wb_pair gemm_pair(const int32_t *p, int second) { return second ? wb_pair_at(p) : (wb_pair){ p[0], p[0] }; }

/* All filters by these pixels. y: of the first filter and pixel; filters are y_plane apart, their bits bit_plane. */
WB_KERNEL void gemm_filters_s8(wb_layer_s8 p, int filters, wb_rows_s8 rows, wb_columns_s8 columns,
                               int8_t *y, int y_plane, int bit, int bit_plane)
{
    const int second = filters > 1;
    for (int f = 0; f < filters; f += 2) {
        const int o = wb_min(f, filters - 1 - second), at = p.first + o;
        const wb_pair m = gemm_pair(p.m + at, second), shift = gemm_pair(p.m + p.all + at, second);
        const wb_pair bias = gemm_pair(p.biases.b + at, second);
        const int bias_a = wb_bias_of(p.biases, at, bias.a), bias_b = wb_bias_of(p.biases, at + second, bias.b);
        const wb_quantized n = p.numbers;
        const wb_factor a = { n.form, n.zero_y, n.low, n.high, m.a, shift.a };
        const wb_factor b = { n.form, n.zero_y, n.low, n.high, m.b, shift.b };
        const volatile int32_t *const again = p.m + p.all + at; /* not loaded before it is needed */
        const int8_t *w = rows.w + o * rows.length, *rest = rows.rest ? rows.rest + o * rows.rest_length : 0;
        const uint32_t *x = columns.x;
        int8_t *to = y + o * y_plane;
        for (int left = columns.count, from = bit + o * bit_plane; left > 0; left -= 4, from += 4) {
            const int count = columns.whole ? 4 : wb_min(left, 4);
            wb_sums_2x4 s = { bias_a, bias_a, bias_a, bias_a, bias_b, bias_b, bias_b, bias_b, x };
            if (rows.packed)
                s = gemm_packed_s8(bias_a, bias_b, rows.length, w, x);
            else
                s = gemm_add_s8(s, 1, rows.length, second * rows.length, w);
            if (rest)
                s = gemm_add_s8(s, 0, rows.rest_length, second * rows.rest_length, rest);
            x = s.x;
            if (n.form == WB_ROUNDED && shift.a | shift.b)
                s = gemm_shifted_2x4_s8(again[0], again[second], s);
            const int zero = gemm_zero_s8(a, p.mask);
            gemm_end_s8(a, zero, count, s.a0, s.a1, s.a2, s.a3, to, p.mask, from);
            if (second)
                gemm_end_s8(b, zero, count, s.b0, s.b1, s.b2, s.b3, to + y_plane, p.mask, from + bit_plane);
            to += count;
        }
    }
}

/* The columns of four pixels that lie side by side, from so many channels of them, `plane` apart. */
WB_KERNEL void gemm_columns_s8(int channels, int plane, int zero, const int8_t *x, uint32_t *to)
{
    const uint32_t less = wb_halves(-zero, -zero);
    for (int c = 0; c < channels; c += 4, to += 8) {
        const int last = c + 4 > channels && channels > 4, from = last ? 4 - channels % 4 : 0, end = wb_min(channels, 4);
        const int8_t *four = x + (last ? channels - 4 : c) * plane;
#pragma GCC unroll 2
        for (int odd = 0; odd < 2; ++odd) { /* channels 0 and 2, then 1 and 3, of which some may not count */
            const int first = odd >= from && odd < end, second = odd + 2 >= from && odd + 2 < end;
            const uint32_t a = first ? wb_four(four + odd * plane) : 0u;
            const uint32_t b = second ? wb_four(four + (odd + 2) * plane) : 0u;
            const uint32_t a02 = first ? wb_plus_even(less, a) : 0u, a13 = first ? wb_plus_odd(less, a) : 0u;
            const uint32_t b02 = second ? wb_plus_even(less, b) : 0u, b13 = second ? wb_plus_odd(less, b) : 0u;
            wb_put_two(to + 4 * odd, wb_lows(a02, b02), wb_lows(a13, b13));
            wb_put_two(to + 4 * odd + 2, wb_highs(a02, b02), wb_highs(a13, b13));
        }
    }
}

/* The column of pixel p from its `length` int8, side by side: four at the least, of which more than `length` count for
 * nothing. Columns of so many pixels lie beside each other. */
WB_KERNEL void gemm_column_s8(int length, int zero, const int8_t *x, uint32_t *to, int pixels, int p)
{
    const uint32_t less = wb_halves(-zero, -zero);
#pragma GCC unroll 8
    for (int k = 0; k < length / 4 * 4; k += 4, to += 2 * pixels) {
        const uint32_t word = wb_four(x + k);
        to[p] = wb_plus_even(less, word);
        to[pixels + p] = wb_plus_odd(less, word);
    }
    if (length % 4) {
        const uint32_t word = wb_four(x + wb_max(length - 4, 0));
        to[p] = wb_plus_even(less, word) & (length > 4 ? gemm_last_even(length) : ~0u);
        to[pixels + p] = wb_plus_odd(less, word) & (length > 4 ? gemm_last_odd(length) : ~0u);
    }
}

/* The column of a single pixel, whose channels lie side by side: pairs (x0, x2), (x1, x3), (x4, x6), … */
WB_KERNEL void gemm_pixel_s8(int length, int zero, const int8_t *x, uint32_t *to)
{
    if (length >= 4) {
        gemm_column_s8(length, zero, x, to, 1, 0);
        return;
    }
    to[0] = wb_halves(x[0] - zero, length > 2 ? x[2] - zero : 0);
    to[1] = wb_halves(length > 1 ? x[1] - zero : 0, 0);
}

/* The products of a group of one pixel with four filters. */
#define WB_GEMM_ONE(s, w, apart, x)              \
    do {                                         \
        const wb_two_words of = wb_two(x);       \
        uint32_t word = wb_four(w);              \
        s.a = wb_dot(of.a, wb_even(word), s.a);  \
        s.a = wb_dot(of.b, wb_odd(word), s.a);   \
        word = wb_four(w + apart);               \
        s.b = wb_dot(of.a, wb_even(word), s.b);  \
        s.b = wb_dot(of.b, wb_odd(word), s.b);   \
        word = wb_four(w + 2 * apart);           \
        s.c = wb_dot(of.a, wb_even(word), s.c);  \
        s.c = wb_dot(of.b, wb_odd(word), s.c);   \
        word = wb_four(w + 3 * apart);           \
        s.d = wb_dot(of.a, wb_even(word), s.d);  \
        s.d = wb_dot(of.b, wb_odd(word), s.d);   \
        x = of.next;                             \
    } while (0)

/* Of one pixel, for four filters: their weights lie `apart`. */
WB_KERNEL wb_sums_4 gemm_add_one_s8(wb_sums_4 s, int length, int apart, const int8_t *w, const uint32_t *x)
{
    const int8_t *end = w + length / 4 * 4;
#pragma GCC unroll 4
    while (w != end) {
        WB_GEMM_ONE(s, w, apart, x);
        w += 4;
    }
    if (length > 4 && length % 4) {
        w += length % 4 - 4;
        WB_GEMM_ONE(s, w, apart, x);
    } else
        for (int k = 0; k < length % 4; ++k) {
            const int value = k > 1 ? wb_high(x[k - 2]) : wb_low(x[k]);
            s.a += value * w[k];
            s.b += value * w[apart + k];
            s.c += value * w[2 * apart + k];
            s.d += value * w[3 * apart + k];
        }
    return s;
}

/* The sums of two pairs of filters, whose weights are packed. */
WB_KERNEL wb_sums_4 gemm_packed_one_s8(wb_sums_4 biases, int length, const int8_t *w, const uint32_t *x)
{
    wb_sums_4 s = { biases.a, biases.a, biases.c, biases.c };
    const int8_t *end = w + 2 * length, *other = end;
#pragma GCC unroll 4
    while (w != end) {
        const wb_two_words of = wb_two(x);
        wb_eight_s8 both = wb_eight(w);
        x = of.next, w = both.next;
        s.b = wb_dot(of.a, both.a, s.b);
        s.a = wb_dot(of.a, wb_even(both.a), s.a);
        s.b = wb_dot(of.b, both.b, s.b);
        s.a = wb_dot(of.b, wb_even(both.b), s.a);
        both = wb_eight(other);
        other = both.next;
        s.d = wb_dot(of.a, both.a, s.d);
        s.c = wb_dot(of.a, wb_even(both.a), s.c);
        s.d = wb_dot(of.b, both.b, s.d);
        s.c = wb_dot(of.b, wb_even(both.b), s.c);
    }
    s.b = gemm_second_s8(biases.b, s.b, s.a);
    s.d = gemm_second_s8(biases.d, s.d, s.c);
    return s;
}

/* All filters of a layer that has one pixel. */
WB_KERNEL void gemm_one_s8(wb_layer_s8 p, int filters, wb_rows_s8 rows, const uint32_t *x, int8_t *y, int bit)
{
    const int together = filters < 4 ? 1 : 4, others = filters < 4 ? 0 : 1; /* fewer than four: each by itself */
    for (int f = 0; f < filters; f += together) {
        const int o = wb_min(f, filters - together), at = p.first + o;
        wb_sums_4 s = { wb_bias(p.biases, at), wb_bias(p.biases, at + others), wb_bias(p.biases, at + 2 * others),
                        wb_bias(p.biases, at + 3 * others) };
        if (rows.packed)
            s = gemm_packed_one_s8(s, rows.length, rows.w + o * rows.length, x);
        else
            s = gemm_add_one_s8(s, rows.length, others * rows.length, rows.w + o * rows.length, x);
        if (rows.rest)
            s = gemm_add_one_s8(s, rows.rest_length, others * rows.rest_length, rows.rest + o * rows.rest_length,
                                x + 2 * gemm_groups(rows.length));
        const int sums[4] = { s.a, s.b, s.c, s.d };
#pragma GCC unroll 4
        for (int i = 0; i < together; ++i)
            y[o + i] = wb_requantize_s8(wb_factor_of(p.numbers, p.all, p.m, at + i), sums[i], p.mask, bit + o + i);
    }
}
