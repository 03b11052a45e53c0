/* conv2d_rows_f32.h - rows [begin, end) of conv2d_f32, from those rows of its image that are in memory: the same windows
 * over a lower image. It begins and ends where the real one does, or beyond the windows. */
#pragma once
#include "rows_f32.h"
#include "windows_f32.h"

/* The vertical axis of rows [begin, end). A 1x1 window of stride 1 lies on its row, so rows join into one long one. */
WB_KERNEL wb_axis conv2d_rows_axis(wb_axis v, int begin, int end, wb_rows *x)
{
    const int in_place = v.taps == 1 && windows_in_place(v);
    v.outputs = end - begin;
    if (in_place) {
        x->at += (begin - x->first) * v.x_next;
        v.size = v.outputs;
    } else {
        v.size = x->end - x->first;
        v.first += begin * v.step - x->first;
    }
    return v;
}

WB_KERNEL void conv2d_rows_f32(int groups, int channels, int in_height, int in_width,
                               int filters, int out_height, int out_width, int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw, int activation,
                               int begin, int end, wb_rows x, const float *restrict w, const float *restrict b,
                               wb_rows y, wb_bits mask)
{
    const wb_axis rows = { in_height, out_height, -pt, sh, kh, dh, kw, x.pitch, y.pitch, x.gaps };
    const wb_axis v = conv2d_rows_axis(rows, begin, end, &x);
    const wb_axis h = { in_width, out_width, -pl, sw, kw, dw, 1, 1, 1, 0 };
    for (int g = 0; g < groups; ++g)
        for (int o = g * filters; o < (g + 1) * filters; ++o)
            windows_f32(channels, x.plane, kh * kw, v, h, wb_layer_end(activation, b, o),
                        x.at + g * channels * x.plane, w + o * channels * kh * kw, wb_row(y, o, begin));
    clip_mask_rows_f32(activation, groups * filters, out_height, out_width, begin, end, y, mask);
}

/* The same with w in two arrays, as in conv2d_split_f32. */
WB_KERNEL void conv2d_split_rows_f32(int groups, int channels, int in_height, int in_width,
                                     int filters, int out_height, int out_width, int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw,
                                     int activation, int kept, int begin, int end, wb_rows x, const float *restrict w,
                                     const float *restrict rest, const float *restrict b, wb_rows y, wb_bits mask)
{
    const wb_axis rows = { in_height, out_height, -pt, sh, kh, dh, kw, x.pitch, y.pitch, x.gaps };
    const wb_axis v = conv2d_rows_axis(rows, begin, end, &x);
    const wb_axis h = { in_width, out_width, -pl, sw, kw, dw, 1, 1, 1, 0 };
    const int taps = kh * kw;
    for (int g = 0; g < groups; ++g)
        for (int f = 0; f < filters; ++f) {
            const int o = g * filters + f;
            const wb_epilogue last = wb_layer_end(activation, b, o);
            const float *image = x.at + g * channels * x.plane;
            float *out = wb_row(y, o, begin);
            if (groups > 1) {
                const float *part = g < kept ? w + o * channels * taps : rest + (o - kept * filters) * channels * taps;
                windows_f32(channels, x.plane, taps, v, h, last, image, part, out);
            } else {
                windows_f32(kept, x.plane, taps, v, h, wb_plain, image, w + o * kept * taps, out);
                windows_f32(channels - kept, x.plane, taps, v, h, wb_onto(last), image + kept * x.plane,
                            rest + o * (channels - kept) * taps, out);
            }
        }
    clip_mask_rows_f32(activation, groups * filters, out_height, out_width, begin, end, y, mask);
}
