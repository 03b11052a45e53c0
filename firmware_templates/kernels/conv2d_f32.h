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

/* Some channels of a convolution's groups, from an array of weights that has no others. */
WB_KERNEL wb_windows_f32 conv2d_windows_f32(wb_conv2d s, int channels, wb_view_f32 x, wb_view_f32 y)
{
    const int taps = s.window.kh * s.window.kw;
    return (wb_windows_f32){ channels, x.plane, taps, s.filters, channels * taps, y.plane, s.fused };
}

/* Group g of image n; x: from row `row` on. */
WB_KERNEL void conv2d_group_f32(wb_conv2d_f32 p, int n, int g, int row, wb_tile t, wb_axis v, wb_axis h, wb_view_f32 x,
                                const float *restrict w, const float *restrict rest, const float *restrict b, wb_view_f32 y)
{
    const wb_conv2d s = p.sizes;
    const int group = s.filters * s.channels * s.window.kh * s.window.kw;
    const wb_ends_f32 end = { p.activation, 0, b ? b + g * s.filters : 0 };
    const float *image = wb_row_of_f32(x, n, g * s.channels, row);
    float *out = wb_row_of_f32(y, n, g * s.filters, t.row);
    if (rest && s.groups == 1) {
        windows_f32(conv2d_windows_f32(s, s.kept, x, y), v, h, (wb_ends_f32){ WB_LINEAR, 0, 0 }, image, w, out);
        windows_f32(conv2d_windows_f32(s, s.channels - s.kept, x, y), v, h, (wb_ends_f32){ p.activation, 1, end.b },
                    image + s.kept * x.plane, rest, out);
    } else
        windows_f32(conv2d_windows_f32(s, s.channels, x, y), v, h, end, image,
                    rest && g >= s.kept ? rest + (g - s.kept) * group : w + g * group, out);
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
                conv2d_group_f32(p, n, g, row, t, v, h, x, w, rest, b, y);
    clip_mask_tile_f32(p.activation, (wb_shape){ s.groups * s.filters, s.out_height, s.out_width }, t, y, mask);
}
