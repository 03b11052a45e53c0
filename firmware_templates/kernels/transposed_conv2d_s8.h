/* transposed_conv2d_s8.h - y[n][o][i][j] = clip(zero_y + factor[o] * (b[o] + sum (x[n][c][u][v] - zero_x) * w[o][c][ky][kx]))
 * over u*sh + ky - pt = i, v*sw + kx - pl = j: each y is gathered, by the phases of conv2d_transpose_f32.h. */
#pragma once
#include "conv2d_transpose_f32.h"
#include "windows_s8.h"

WB_KERNEL void transposed_conv2d_s8(int batch, int channels, int in_height, int in_width,
                                    int filters, int out_height, int out_width,
                                    int kh, int kw, int sh, int sw, int pt, int pl,
                                    int zero_x, int zero_y, int low, int high, int form,
                                    const int8_t *restrict x, const int8_t *restrict w,
                                    const int32_t *restrict b, const int32_t *restrict m,
                                    int8_t *restrict y, uint32_t *restrict mask)
{
    const int in_plane = in_height * in_width, out_plane = out_height * out_width, taps = kh * kw;
    wb_none_pass(batch * filters * out_plane, mask);
    for (int n = 0; n < batch; ++n)
        for (int o = 0; o < filters; ++o) {
            const wb_factor factor = wb_factor_of(form, zero_y, low, high, filters, m, o);
            for (int py = 0; py < wb_min(sh, out_height); ++py)
                for (int px = 0; px < wb_min(sw, out_width); ++px) {
                    int ky, kx;
                    const wb_axis v = transpose_axis(in_height, out_height, sh, py, kh, pt, 1, kw, in_width, out_width, &ky);
                    const wb_axis h = transpose_axis(in_width, out_width, sw, px, kw, pl, 1, 1, 1, 1, &kx);
                    const int8_t *filter = w + o * channels * taps + ky + kx;
                    for (int i = 0; i < v.outputs; ++i)
                        for (int j = 0; j < h.outputs; ++j) {
                            const int at = (n * filters + o) * out_plane + (py + i * sh) * out_width + px + j * sw;
                            const int sum = b[o] + windows_sum_s8(channels, in_plane, taps, v, h, zero_x,
                                                                  windows_begin(v, i), windows_end(v, i),
                                                                  windows_begin(h, j), windows_end(h, j),
                                                                  n * channels * in_plane + windows_row(v, h, i) + j, x,
                                                                  filter);
                            y[at] = wb_requantize_s8(factor, sum, mask, at);
                        }
                }
        }
}
