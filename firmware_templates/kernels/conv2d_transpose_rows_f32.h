/* conv2d_transpose_rows_f32.h - rows [begin, end) of conv2d_transpose_f32, from rows of dy: phase by phase, and of each
 * phase the rows in [begin, end). */
#pragma once
#include "conv2d_transpose_f32.h"
#include "rows_f32.h"

/* Rows of a phase (py, py + sh, …) as an axis: those in [begin, end), the first of which is row *i of the phase. */
WB_KERNEL wb_axis transpose_rows_axis(wb_axis v, int py, int sh, int begin, int end, wb_rows *dy, int *i)
{
    const int in_place = v.taps == 1 && windows_in_place(v);
    *i = wb_ceil_div(begin - py, sh);
    v.gaps = dy->gaps;
    v.outputs = wb_ceil_div(end - py, sh) - *i;
    if (in_place) {
        dy->at += (*i - dy->first) * v.x_next;
        v.size = v.outputs;
    } else {
        v.size = dy->end - dy->first;
        v.first += *i - dy->first;
    }
    return v;
}

WB_KERNEL wb_epilogue wb_begun_rows_f32(int channels, int width, int begin, int end, wb_rows onto, wb_rows dx)
{
    if (!onto.at)
        return wb_plain;
    if (onto.at != dx.at)
        for (int c = 0; c < channels; ++c)
            for (int row = begin; row < end; ++row)
                for (int i = 0; i < width; ++i)
                    wb_row(dx, c, row)[i] = wb_row(onto, c, row)[i];
    return wb_onto(wb_plain);
}

WB_KERNEL void conv2d_transpose_rows_channels_f32(int channels, int in_height, int in_width, int filters,
                                                  int out_height, int out_width, int kh, int kw, int sh, int sw,
                                                  int pt, int pl, int dh, int dw, int begin, int end, int first_filter,
                                                  int first_channel, wb_epilogue last, wb_rows dy,
                                                  const float *restrict w, wb_rows dx)
{
    for (int c = 0; c < channels; ++c)
#pragma GCC unroll 2
        for (int py = 0; py < wb_min(sh, in_height); ++py)
#pragma GCC unroll 2
            for (int px = 0; px < wb_min(sw, in_width); ++px) {
                int ky, kx, i;
                wb_rows d = dy;
                const wb_axis all = transpose_axis(out_height, in_height, sh, py, kh, pt, dh, kw, dy.pitch, dx.pitch, &ky);
                const wb_axis h = transpose_axis(out_width, in_width, sw, px, kw, pl, dw, 1, 1, 1, &kx);
                const wb_axis v = transpose_rows_axis(all, py, sh, begin, end, &d, &i);
                if (v.outputs > 0)
                    windows_f32(filters, dy.plane, channels * kh * kw, v, h, last, d.at + first_filter * dy.plane,
                                w + c * kh * kw + ky + kx, wb_row(dx, first_channel + c, i * sh + py) + px);
            }
}

WB_KERNEL void conv2d_transpose_rows_f32(int groups, int channels, int in_height, int in_width, int filters,
                                         int out_height, int out_width, int kh, int kw, int sh, int sw, int pt, int pl,
                                         int dh, int dw, int begin, int end,
                                         wb_rows dy, const float *restrict w, wb_rows onto, wb_rows dx)
{
    const wb_epilogue last = wb_begun_rows_f32(groups * channels, in_width, begin, end, onto, dx);
    for (int g = 0; g < groups; ++g)
        conv2d_transpose_rows_channels_f32(channels, in_height, in_width, filters, out_height, out_width, kh, kw, sh, sw,
                                           pt, pl, dh, dw, begin, end, g * filters, g * channels, last, dy,
                                           w + g * filters * channels * kh * kw, dx);
}

/* The same with w in two arrays, as in conv2d_transpose_split_f32. */
WB_KERNEL void conv2d_transpose_split_rows_f32(int groups, int channels, int in_height, int in_width, int filters,
                                               int out_height, int out_width, int kh, int kw, int sh, int sw,
                                               int pt, int pl, int dh, int dw, int kept, int begin, int end, wb_rows dy,
                                               const float *restrict w, const float *restrict rest, wb_rows onto,
                                               wb_rows dx)
{
    const wb_epilogue last = wb_begun_rows_f32(groups * channels, in_width, begin, end, onto, dx);
    const int group = filters * channels * kh * kw;
    for (int g = 0; g < groups; ++g)
        if (groups > 1) {
            conv2d_transpose_rows_channels_f32(channels, in_height, in_width, filters, out_height, out_width, kh, kw,
                                               sh, sw, pt, pl, dh, dw, begin, end, g * filters, g * channels, last, dy,
                                               g < kept ? w + g * group : rest + (g - kept) * group, dx);
        } else {
            conv2d_transpose_rows_channels_f32(kept, in_height, in_width, filters, out_height, out_width, kh, kw,
                                               sh, sw, pt, pl, dh, dw, begin, end, 0, 0, last, dy, w, dx);
            conv2d_transpose_rows_channels_f32(channels - kept, in_height, in_width, filters, out_height, out_width, kh,
                                               kw, sh, sw, pt, pl, dh, dw, begin, end, 0, kept, last, dy, rest, dx);
        }
}
