/* conv2d_f32.h - y[n][o][oy][ox] = sum x[n][c][oy*sh + ky*dh - pt][ox*sw + kx*dw - pl] * w[o][c][ky][kx], by groups;
 * to each sum b[o] is added, if there is one, and the activation applied. b and mask may be 0.
 * w may lie in two arrays: what of it the second one holds begins at `rest` (0: it lies in one). */
#pragma once
#include "clipped_tile_f32.h"
#include "gemm_f32.h"
#include "windows_f32.h"

typedef struct {
    wb_conv2d sizes;
    int activation;
} wb_conv2d_f32;

/* Group g of image n, whose windows are the pixels in their places, from one or from two arrays of weights. */
WB_KERNEL void conv2d_pixels_f32(wb_conv2d_f32 p, int n, int g, wb_tile t, wb_view_f32 x, const float *w, const float *rest,
                                 const float *b, wb_view_f32 y)
{
    const wb_conv2d s = p.sizes;
    const int joined = x.pitch == s.out_width && y.pitch == s.out_width, here = t.row_end - t.row;
    const int in_w = rest ? s.kept : s.channels, count = joined ? here * s.out_width : s.out_width;
    const wb_ends_f32 end = { p.activation, 0, b ? b + g * s.filters : 0 };
    for (int r = t.row; r < (joined ? t.row + (here > 0) : t.row_end); ++r) {
        const float *image = wb_row_of_f32(x, n, g * s.channels, r);
        float *out = wb_row_of_f32(y, n, g * s.filters, r);
        gemm_f32((wb_gemm_f32){ in_w, x.plane, 1, in_w, y.plane, s.fused }, s.filters, count,
                 rest ? (wb_ends_f32){ WB_LINEAR, 0, 0 } : end, image, w, out);
        if (rest)
            gemm_f32((wb_gemm_f32){ s.channels - in_w, x.plane, 1, s.channels - in_w, y.plane, s.fused }, s.filters, count,
                     (wb_ends_f32){ p.activation, 1, end.b }, image + in_w * x.plane, rest, out);
    }
}

/* Filter f of group g of image n; x: from row `row` on. */
WB_KERNEL void conv2d_filter_f32(wb_conv2d_f32 p, int n, int g, int f, int row, wb_tile t, wb_axis v, wb_axis h, wb_view_f32 x,
                                 const float *restrict w, const float *restrict rest, const float *restrict b, wb_view_f32 y)
{
    const wb_conv2d s = p.sizes;
    const int o = g * s.filters + f, taps = s.window.kh * s.window.kw, others = s.channels - s.kept;
    const wb_epilogue end = wb_fused(s.fused, wb_layer_end(p.activation, b, o));
    const float *image = wb_row_of_f32(x, n, g * s.channels, row);
    float *out = wb_row_of_f32(y, n, o, t.row);
    if (rest && s.groups == 1) {
        windows_f32(s.kept, x.plane, taps, v, h, wb_fused(s.fused, wb_plain), image, w + o * s.kept * taps, out);
        windows_f32(others, x.plane, taps, v, h, wb_onto(end), image + s.kept * x.plane, rest + o * others * taps, out);
    } else {
        const float *filter = rest && g >= s.kept ? rest + (o - s.kept * s.filters) * s.channels * taps
                                                  : w + o * s.channels * taps;
        windows_f32(s.channels, x.plane, taps, v, h, end, image, filter, out);
    }
}

WB_KERNEL void conv2d_f32(wb_conv2d_f32 p, wb_tile t, wb_view_f32 x, const float *restrict w, const float *restrict rest,
                          const float *restrict b, wb_view_f32 y, uint32_t *restrict mask)
{
    const wb_conv2d s = p.sizes;
    const wb_axis rows = conv2d_rows(s, x.pitch, y.pitch, x.gaps), h = conv2d_columns(s);
    const int in_place = rows.taps == 1 && windows_in_place(rows), row = in_place ? t.row : x.row;
    const wb_axis v = windows_of_tile(rows, t, row, in_place ? t.row_end : x.row_end);
    const int pointwise = in_place && h.taps == 1 && windows_in_place(h) && s.channels > 1;
    for (int n = t.image; n < t.image_end; ++n)
        for (int g = 0; g < s.groups; ++g)
            if (pointwise && (!rest || s.groups == 1))
                conv2d_pixels_f32(p, n, g, t, x, w + g * s.filters * s.channels, rest, b, y);
            else
                for (int f = 0; f < s.filters; ++f)
                    conv2d_filter_f32(p, n, g, f, row, t, v, h, x, w, rest, b, y);
    clip_mask_tile_f32(p.activation, (wb_shape){ s.groups * s.filters, s.out_height, s.out_width }, t, y, mask);
}
