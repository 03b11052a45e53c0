/* conv2d_rows_s8.h - rows [begin, end) of conv2d_s8, from rows of its image (see conv2d_rows_f32.h). */
#pragma once
#include "conv2d_s8.h"
#include "rows_s8.h"

WB_KERNEL void conv2d_parts_rows_s8(int groups, int channels, int in_height, int in_width,
                                    int filters, int out_height, int out_width,
                                    int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw,
                                    int zero_x, int zero_y, int low, int high, int form, int kept, int begin, int end,
                                    wb_rows_s8 x, const int8_t *restrict w, const int8_t *restrict rest,
                                    const int32_t *restrict b, const int32_t *restrict m, wb_rows_s8 y, wb_bits mask)
{
    wb_axis v = { in_height, out_height, -pt, sh, kh, dh, kw, x.pitch, y.pitch, 0 };
    const wb_axis h = { in_width, out_width, -pl, sw, kw, dw, 1, 1, 1, 0 };
    const int out_plane = out_height * out_width, taps = kh * kw;
    const wb_factor first = { form, zero_y, low, high, 0, 0 };
    if (groups == 1 && taps == 1 && windows_in_place(v) && windows_in_place(h)) {
        const wb_runs runs = wb_runs_of(end - begin, in_width, x.pitch == in_width && y.pitch == out_width);
        const wb_pixels pixels = { runs.length, x.plane, y.plane, out_plane };
        for (int i = 0; i < runs.count; ++i)
            pointwise_s8(channels, 0, pixels, filters, zero_x, first, wb_row_s8(x, 0, begin + i),
                         (wb_filter_s8){ w, rest, kept }, b, m, wb_row_s8(y, 0, begin + i), mask.words,
                         mask.first + (begin + i) * out_width);
        return;
    }
    v.outputs = end - begin;
    v.size = x.end - x.first;
    v.first += begin * sh - x.first;
    for (int g = 0; g < groups; ++g)
#pragma GCC unroll 1
        for (int f = 0; f < filters; ++f) {
            const int o = g * filters + f;
            const wb_filter_s8 filter = filter_s8(groups, g, f, filters, channels, taps, kept, w, rest);
            const int inside = inside_bias_s8(b[o], zero_x, channels * taps, filter, kept * taps, (channels - kept) * taps);
            const wb_end_s8 last = { b[o], inside, wb_factor_of(form, zero_y, low, high, groups * filters, m, o),
                                     mask.words, mask.first + o * out_plane + begin * out_width, out_width };
            windows_s8(channels, x.plane, taps, v, h, zero_x, last, x.at + g * channels * x.plane, filter,
                       wb_row_s8(y, o, begin));
        }
}

WB_KERNEL void conv2d_rows_s8(int groups, int channels, int in_height, int in_width,
                              int filters, int out_height, int out_width,
                              int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw,
                              int zero_x, int zero_y, int low, int high, int form, int begin, int end,
                              wb_rows_s8 x, const int8_t *restrict w, const int32_t *restrict b,
                              const int32_t *restrict m, wb_rows_s8 y, wb_bits mask)
{
    conv2d_parts_rows_s8(groups, channels, in_height, in_width, filters, out_height, out_width, kh, kw, sh, sw, pt, pl,
                         dh, dw, zero_x, zero_y, low, high, form, 0, begin, end, x, w, 0, b, m, y, mask);
}

/* The same with w in two arrays, as in conv2d_split_s8. */
WB_KERNEL void conv2d_split_rows_s8(int groups, int channels, int in_height, int in_width,
                                    int filters, int out_height, int out_width,
                                    int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw,
                                    int zero_x, int zero_y, int low, int high, int form, int kept, int begin, int end,
                                    wb_rows_s8 x, const int8_t *restrict w, const int8_t *restrict rest,
                                    const int32_t *restrict b, const int32_t *restrict m, wb_rows_s8 y, wb_bits mask)
{
    conv2d_parts_rows_s8(groups, channels, in_height, in_width, filters, out_height, out_width, kh, kw, sh, sw, pt, pl,
                         dh, dw, zero_x, zero_y, low, high, form, kept, begin, end, x, w, rest, b, m, y, mask);
}
