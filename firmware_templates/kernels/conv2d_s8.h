/* conv2d_s8.h - y[n][o] = clip(zero_y + factor[o] * (b[o] + sum (x - zero_x) * w[o])) over windows and channels, by groups.
 * m: multipliers and shifts of the filters, one row each (requantize_s8.h). mask may be 0.
 * b: in part in delta, where that is not 0 (biases_s8.h). w may lie in two arrays: what of it the second one holds begins at `rest` (0: it lies in one). */
#pragma once
#include "pointwise_s8.h"

/* The bias of the windows inside the image: there each tap of a filter sees zero_x once. */
WB_KERNEL int inside_bias_s8(int b, int zero, int channels, int taps, wb_filter_s8 f)
{
    return b - zero * (sum_s8(f.kept * taps, f.w) + (f.rest ? sum_s8((channels - f.kept) * taps, f.rest) : 0));
}

typedef struct {
    wb_conv2d sizes;
    wb_quantized numbers;
    const int16_t *wide;
} wb_conv2d_s8;

/* Filter f of group g: of a grouped convolution all in one array, else some of its channels in each. */
WB_KERNEL wb_filter_s8 filter_s8(wb_conv2d s, int g, int f, const int8_t *w, const int8_t *rest)
{
    const int o = g * s.filters + f, taps = s.window.kh * s.window.kw, others = s.channels - s.kept;
    if (rest && s.groups == 1)
        return (wb_filter_s8){ w + o * s.kept * taps, rest + o * others * taps, s.kept };
    if (rest && g >= s.kept)
        return (wb_filter_s8){ rest + (o - s.kept * s.filters) * s.channels * taps, 0, s.channels };
    return (wb_filter_s8){ w + o * s.channels * taps, 0, s.channels };
}

WB_KERNEL void conv2d_s8(wb_conv2d_s8 p, wb_tile t, wb_view_s8 x, const int8_t *restrict w, const int8_t *restrict rest,
                         const int32_t *restrict b, const int32_t *restrict m, const int16_t *restrict delta,
                         wb_view_s8 y, uint32_t *restrict mask)
{
    const wb_conv2d s = p.sizes;
    const wb_biases_s8 biases = { b, delta, p.wide };
    const wb_axis rows = conv2d_rows(s, x.pitch, y.pitch, 0), h = conv2d_columns(s);
    const int all = s.groups * s.filters, out_plane = s.out_height * s.out_width, taps = s.window.kh * s.window.kw;
    if (wb_is_everything(t, (wb_shape){ all, s.out_height, s.out_width }))
        wb_none_pass(t.image_end * all * out_plane, mask);
    if (s.groups == 1 && taps == 1 && windows_in_place(rows) && windows_in_place(h)) {
        const int joined = x.pitch == s.in_width && y.pitch == s.out_width, here = t.row_end - t.row;
        const wb_pixels pixels = { joined ? here * s.in_width : s.in_width, x.plane, y.plane, out_plane };
        for (int n = t.image; n < t.image_end; ++n)
            for (int r = t.row; r < (joined ? t.row + 1 : t.row_end); ++r)
                pointwise_s8(s.channels, s.in_height * s.in_width < 4, pixels, s.filters, p.numbers,
                             wb_row_of_s8(x, n, 0, r), filter_s8(s, 0, 0, w, rest), biases, m, wb_row_of_s8(y, n, 0, r),
                             mask, n * all * out_plane + r * s.out_width);
        return;
    }
    const wb_axis v = windows_of_tile(rows, t, x.row, x.row_end);
    for (int n = t.image; n < t.image_end; ++n)
        for (int g = 0; g < s.groups; ++g)
#pragma GCC unroll 1
            for (int f = 0; f < s.filters; ++f) {
                const int o = g * s.filters + f, bit = (n * all + o) * out_plane + t.row * s.out_width;
                const wb_filter_s8 filter = filter_s8(s, g, f, w, rest);
                const int bias = wb_bias(biases, o);
                const int inside = inside_bias_s8(bias, p.numbers.zero_x, s.channels, taps, filter);
                const wb_end_s8 end = { bias, inside, wb_factor_of(p.numbers, all, m, o), mask, bit, s.out_width };
                windows_s8(s.channels, x.plane, taps, v, h, p.numbers.zero_x, end,
                           wb_row_of_s8(x, n, g * s.channels, x.row), filter, wb_row_of_s8(y, n, o, t.row));
            }
}
