/* conv2d_f32.h - y[n][o][oy][ox] = sum x[n][c][oy*sh + ky*dh - pt][ox*sw + kx*dw - pl] * w[o][c][ky][kx], by groups;
 * to each sum b[o] is added, if there is one, and the activation applied. b and mask may be 0.
 * w may lie in two arrays: what of it the second one holds begins at `rest` (0: it lies in one). */
#pragma once
#include "clipped_tile_f32.h"
#include "windows_f32.h"

typedef struct {
    wb_conv2d sizes;
    int activation;
} wb_conv2d_f32;

/* A 1x1 window of stride 1 lies on its row: then the tile's rows are all of the image, and join into one long row. */
WB_KERNEL void conv2d_f32(wb_conv2d_f32 p, wb_tile t, wb_view_f32 x, const float *restrict w, const float *restrict rest,
                          const float *restrict b, wb_view_f32 y, uint32_t *restrict mask)
{
    const wb_conv2d s = p.sizes;
    const wb_axis rows = conv2d_rows(s, x.pitch, y.pitch, x.gaps), h = conv2d_columns(s);
    const int in_place = rows.taps == 1 && windows_in_place(rows), row = in_place ? t.row : x.row;
    const wb_axis v = windows_of_tile(rows, t, row, in_place ? t.row_end : x.row_end);
    const int taps = s.window.kh * s.window.kw, others = s.channels - s.kept;
    for (int n = t.image; n < t.image_end; ++n)
        for (int g = 0; g < s.groups; ++g)
            for (int f = 0; f < s.filters; ++f) {
                const int o = g * s.filters + f;
                const wb_epilogue end = wb_layer_end(p.activation, b, o);
                const float *image = wb_row_of_f32(x, n, g * s.channels, row);
                float *out = wb_row_of_f32(y, n, o, t.row);
                if (rest && s.groups == 1) {
                    windows_f32(s.kept, x.plane, taps, v, h, wb_plain, image, w + o * s.kept * taps, out);
                    windows_f32(others, x.plane, taps, v, h, wb_onto(end), image + s.kept * x.plane,
                                rest + o * others * taps, out);
                } else {
                    const float *filter = rest && g >= s.kept ? rest + (o - s.kept * s.filters) * s.channels * taps
                                                              : w + o * s.channels * taps;
                    windows_f32(s.channels, x.plane, taps, v, h, end, image, filter, out);
                }
            }
    clip_mask_tile_f32(p.activation, (wb_shape){ s.groups * s.filters, s.out_height, s.out_width }, t, y, mask);
}
