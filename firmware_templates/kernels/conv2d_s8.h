/* conv2d_s8.h - y[n][o] = clip(zero_y + factor[o] * (b[o] + sum (x - zero_x) * w[o])) over windows and channels, by groups.
 * m: multipliers and shifts of the filters, one row each (requantize_s8.h). mask may be 0.
 * b: in part in delta, where that is not 0 (biases_s8.h). w may lie in two arrays: what of it the second one holds begins
 * at `rest` (0: it lies in one).
 *
 * scratch: the columns of some pixels (gemm_s8.h) and, where windows are no pixels in a row of fours, one of them as int8;
 * for filters that see one channel, some rows of it (depthwise_s8.h). */
#pragma once
#include "depthwise_s8.h"
#include "gemm_s8.h"
#include "windows_s8.h"

typedef struct {
    wb_conv2d sizes;
    wb_quantized numbers;
    const int16_t *wide;
    int pixels, tile_pixels; /* of which columns are made at a time, fours: of the whole result, of a tile of it */
    int rows, tile_rows;     /* of filters that see one channel: rows of outputs for which x is laid out at a time; 0 of
                              * either: x is taken as it lies */
    int packed;              /* w, all of it: see gemm_s8.h */
} wb_conv2d_s8;

/* The filters of group g: of a grouped convolution all in one array, else some of their channels in each. */
WB_KERNEL wb_rows_s8 rows_of_group_s8(wb_conv2d s, int g, const int8_t *w, const int8_t *rest)
{
    const int taps = s.window.kh * s.window.kw, all = s.channels * taps, group = s.filters * all;
    if (rest && s.groups == 1)
        return (wb_rows_s8){ w, rest, s.kept * taps, (s.channels - s.kept) * taps, 0 };
    if (rest && g >= s.kept)
        return (wb_rows_s8){ rest + (g - s.kept) * group, 0, all, 0, 0 };
    return (wb_rows_s8){ w + g * group, 0, all, 0, 0 };
}

/* What lies under the window of output (oy, ox), of channels [channel, channel_end), side by side; beyond the image, zero. */
WB_KERNEL void under_window_s8(wb_conv2d s, int zero, wb_view_s8 x, int n, int channel, int channel_end, int oy, int ox,
                               int8_t *to)
{
    const wb_window k = s.window;
    const int iy = oy * k.sh - k.pt, ix = ox * k.sw - k.pl;
    for (int c = channel; c < channel_end; ++c)
#pragma GCC unroll 1
        for (int ky = 0; ky < k.kh; ++ky) {
            const int row = iy + ky * k.dh, there = row >= 0 && row < s.in_height;
            const int8_t *from = wb_row_of_s8(x, n, c, there ? row : x.row);
#pragma GCC unroll 1
            for (int kx = 0; kx < k.kw; ++kx) {
                const int column = ix + kx * k.dw;
                *to++ = (int8_t)(there && column >= 0 && column < s.in_width ? from[column] : zero);
            }
        }
}

/* The same for a window that lies on the image; where it has three columns, one word a row, the last of whose four int8 the
 * next row covers: a word's room behind the column is needed, and an element behind the window. */
WB_KERNEL void inside_window_s8(wb_conv2d s, wb_view_s8 x, int n, int channel, int channel_end, int iy, int ix, int8_t *to)
{
    const wb_window k = s.window;
    const int words = k.kw == 3 && k.dw == 1;
    for (int c = channel; c < channel_end; ++c)
#pragma GCC unroll 7
        for (int ky = 0; ky < k.kh; ++ky, to += k.kw) {
            const int8_t *row = wb_row_of_s8(x, n, c, iy + ky * k.dh) + ix;
            if (words)
                wb_put_four(to, wb_four(row));
            else
#pragma GCC unroll 7
                for (int kx = 0; kx < k.kw; ++kx)
                    to[kx] = row[kx * k.dw];
        }
}

/* Whether inside_window_s8 can take the window of output (oy, ox). */
WB_KERNEL int window_is_inside(wb_conv2d s, int oy, int ox)
{
    const wb_window k = s.window;
    const int iy = oy * k.sh - k.pt, ix = ox * k.sw - k.pl, columns = (k.kw - 1) * k.dw + 1 + (k.kw == 3 && k.dw == 1);
    return iy >= 0 && ix >= 0 && iy + (k.kh - 1) * k.dh < s.in_height && ix + columns <= s.in_width;
}

/* The columns of four pixels from (oy, ox) on, in the order of rows of `width`; those from `count` on are some other's. */
WB_KERNEL void gemm_windows_s8(wb_conv2d s, int zero, wb_view_s8 x, int n, int channel, int channel_end, int oy, int ox,
                               int count, uint32_t *to, int8_t *column)
{
    const wb_window k = s.window;
    const int length = (channel_end - channel) * k.kh * k.kw;
    for (int i = length; i < 4; ++i)
        column[i] = 0;
    for (int p = 0; p < 4; ++p) {
        if (p < count && window_is_inside(s, oy, ox))
            inside_window_s8(s, x, n, channel, channel_end, oy * k.sh - k.pt, ox * k.sw - k.pl, column);
        else if (p < count)
            under_window_s8(s, zero, x, n, channel, channel_end, oy, ox, column);
        gemm_column_s8(length, zero, column, to, 4, p);
        if (++ox == s.out_width)
            ox = 0, ++oy;
    }
}

/* Whether each output pixel's window is the pixel in its place. */
WB_KERNEL int is_pointwise(wb_conv2d s)
{
    const wb_window k = s.window;
    return k.kh * k.kw == 1 && k.sh == 1 && k.sw == 1 && s.in_height == s.out_height && s.in_width == s.out_width
           && k.pt == 0 && k.pl == 0;
}

/* Four columns from (oy, ox) on, of which `count` are there, of a group's channels [first, end), which lie in one array of weights. */
WB_KERNEL void conv2d_columns_s8(wb_conv2d s, int zero, wb_view_s8 x, int n, int first, int end, int oy, int ox, int count,
                                 uint32_t *to, int8_t *column)
{
    if (is_pointwise(s) && count >= 4)
        gemm_columns_s8(end - first, x.plane, zero, wb_row_of_s8(x, n, first, oy) + ox, to);
    else
        gemm_windows_s8(s, zero, x, n, first, end, oy, ox, count, to, column);
}

/* `count` pixels of group g, from pixel q of row r on, of all filters. */
WB_KERNEL void conv2d_pixels_s8(wb_conv2d_s8 p, wb_layer_s8 layer, wb_rows_s8 rows, int n, int g, int r, int q, int count,
                                wb_view_s8 x, wb_view_s8 y, uint32_t *to)
{
    const wb_conv2d s = p.sizes;
    const int out_plane = s.out_height * s.out_width, taps = s.window.kh * s.window.kw, zero = p.numbers.zero_x;
    const int first = g * s.channels, middle = first + rows.length / taps, end = first + s.channels;
    const int words = gemm_words(rows.length) + gemm_words(rows.rest_length);
    const int whole = s.out_width % 4 == 0; /* so rows are, joined or not */
    int8_t *column = (int8_t *)(to + p.pixels / 4 * words);
    wb_settled();
    for (int i = 0; i < count; i += 4) {
        const int oy = r + (q + i) / s.out_width, ox = (q + i) % s.out_width, some = whole ? 4 : count - i;
        conv2d_columns_s8(s, zero, x, n, first, middle, oy, ox, some, to + i / 4 * words, column);
        if (rows.rest)
            conv2d_columns_s8(s, zero, x, n, middle, end, oy, ox, some, to + i / 4 * words + gemm_words(rows.length), column);
    }
    wb_settled();
    gemm_filters_s8(layer, s.filters, rows, (wb_columns_s8){ count, whole, to, words }, wb_row_of_s8(y, n, layer.first, r) + q,
                    y.plane, (n * layer.all + layer.first) * out_plane + r * s.out_width + q, out_plane);
}

/* Group g of image n, where images are single pixels: their channels lie side by side. */
WB_KERNEL void conv2d_pixel_s8(wb_conv2d_s8 p, wb_layer_s8 layer, wb_rows_s8 rows, int n, int g, wb_view_s8 x, wb_view_s8 y,
                               uint32_t *to)
{
    const int8_t *from = wb_row_of_s8(x, n, g * p.sizes.channels, 0);
    wb_settled();
    gemm_pixel_s8(rows.length, p.numbers.zero_x, from, to);
    if (rows.rest)
        gemm_pixel_s8(rows.rest_length, p.numbers.zero_x, from + rows.length, to + 2 * gemm_groups(rows.length));
    wb_settled();
    gemm_one_s8(layer, p.sizes.filters, rows, to, wb_row_of_s8(y, n, layer.first, 0), n * layer.all + layer.first);
}

/* Group g of image n, some pixels at a time: these go on in the next row where the rows lie side by side. */
WB_KERNEL void conv2d_group_s8(wb_conv2d_s8 p, wb_layer_s8 layer, wb_rows_s8 rows, wb_tile t, int n, int g,
                               wb_view_s8 x, wb_view_s8 y, uint32_t *to)
{
    const wb_conv2d s = p.sizes;
    const int joined = y.pitch == s.out_width && (!is_pointwise(s) || x.pitch == s.in_width);
    const int here = t.row_end - t.row, all = joined ? here * s.out_width : s.out_width;
    for (int r = t.row; r < (joined ? t.row + (here > 0) : t.row_end); ++r) {
        for (int q = 0; q < all; q += p.pixels)
            conv2d_pixels_s8(p, layer, rows, n, g, r, q, wb_min(all - q, p.pixels), x, y, to);
    }
}

/* A convolution whose filters each see one channel, in windows of any kind: filter by filter, as they lie. */
WB_KERNEL void conv2d_by_filters_s8(wb_conv2d_s8 p, wb_tile t, wb_view_s8 x, const int8_t *restrict w,
                                    const int8_t *restrict rest, wb_biases_s8 biases, const int32_t *restrict m,
                                    wb_view_s8 y, uint32_t *restrict mask)
{
    const wb_conv2d s = p.sizes;
    const int all = s.groups * s.filters, out_plane = s.out_height * s.out_width, taps = s.window.kh * s.window.kw;
    const wb_axis v = windows_of_tile(conv2d_rows(s, x.pitch, y.pitch, 0), t, x.row, x.row_end), h = conv2d_columns(s);
    for (int n = t.image; n < t.image_end; ++n)
        for (int g = 0; g < s.groups; ++g)
#pragma GCC unroll 1
            for (int f = 0; f < s.filters; ++f) {
                const int o = g * s.filters + f, bit = (n * all + o) * out_plane + t.row * s.out_width;
                const wb_rows_s8 rows = rows_of_group_s8(s, g, w, rest);
                const int8_t *filter = rows.w + f * rows.length;
                const int bias = wb_bias(biases, o);
                const int inside = bias - p.numbers.zero_x * sum_s8(rows.length, filter);
                const wb_end_s8 end = { bias, inside, wb_factor_of(p.numbers, all, m, o), mask, bit, s.out_width };
                windows_s8(s.channels, x.plane, taps, v, h, p.numbers.zero_x, end,
                           wb_row_of_s8(x, n, g * s.channels, x.row), filter, wb_row_of_s8(y, n, o, t.row));
            }
}

WB_KERNEL void conv2d_s8(wb_conv2d_s8 p, wb_tile t, wb_view_s8 x, const int8_t *restrict w, const int8_t *restrict rest,
                         const int32_t *restrict b, const int32_t *restrict m, const int16_t *restrict delta,
                         wb_view_s8 y, uint32_t *restrict mask, void *scratch)
{
    const wb_conv2d s = p.sizes;
    const wb_biases_s8 biases = { b, delta, p.wide };
    const int all = s.groups * s.filters, one = s.in_height * s.in_width == 1 && is_pointwise(s);
    if (t.whole) {
        wb_none_pass(t.image_end * all * s.out_height * s.out_width, mask);
    } else {
        p.pixels = p.tile_pixels;
        p.rows = p.tile_rows;
    }
    if (s.channels == 1 ? !p.rows : !p.pixels) {
        conv2d_by_filters_s8(p, t, x, w, rest, biases, m, y, mask);
        return;
    }
    for (int n = t.image; n < t.image_end; ++n)
        for (int g = 0; g < s.groups; ++g) {
            const wb_layer_s8 layer = { p.numbers, all, g * s.filters, biases, m, mask };
            wb_rows_s8 rows = rows_of_group_s8(s, g, w, rest);
            rows.packed = p.packed;
            if (s.channels == 1)
                depthwise_s8(s, layer, rows, t, n, g, p.rows, x, y, scratch);
            else if (one && t.row < t.row_end)
                conv2d_pixel_s8(p, layer, rows, n, g, x, y, scratch);
            else
                conv2d_group_s8(p, layer, rows, t, n, g, x, y, scratch);
        }
}
