/* conv2d_f32.h - y[n][o][oy][ox] = sum x[n][c][oy*sh + ky*dh - pt][ox*sw + kx*dw - pl] * w[o][c][ky][kx], by groups;
 * to each sum b[o] is added, if there is one, and the activation applied. b and mask may be 0. */
#pragma once
#include "windows_f32.h"

WB_KERNEL void conv2d_f32(int batch, int groups, int channels, int in_height, int in_width,
                          int filters, int out_height, int out_width,
                          int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw, int activation,
                          const float *restrict x, const float *restrict w, const float *restrict b,
                          float *restrict y, uint32_t *restrict mask)
{
    const wb_axis v = { in_height, out_height, -pt, sh, kh, dh, kw, in_width, out_width, 0 };
    const wb_axis h = { in_width, out_width, -pl, sw, kw, dw, 1, 1, 1, 0 };
    const int in_plane = in_height * in_width, out_plane = out_height * out_width;
    for (int n = 0; n < batch; ++n)
        for (int g = 0; g < groups; ++g)
            for (int o = 0; o < filters; ++o)
                windows_f32(channels, in_plane, kh * kw, v, h, wb_layer_end(activation, b, g * filters + o),
                            x + (n * groups + g) * channels * in_plane, w + (g * filters + o) * channels * kh * kw,
                            y + ((n * groups + g) * filters + o) * out_plane);
    if (mask)
        clip_mask_f32(activation, batch * groups * filters * out_plane, y, mask);
}

/* The same with w in two arrays: its first `kept` input channels (of a grouped convolution, groups) and the rest. */
WB_KERNEL void conv2d_split_f32(int batch, int groups, int channels, int in_height, int in_width,
                                int filters, int out_height, int out_width,
                                int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw, int activation, int kept,
                                const float *restrict x, const float *restrict w, const float *restrict rest,
                                const float *restrict b, float *restrict y, uint32_t *restrict mask)
{
    const wb_axis v = { in_height, out_height, -pt, sh, kh, dh, kw, in_width, out_width, 0 };
    const wb_axis h = { in_width, out_width, -pl, sw, kw, dw, 1, 1, 1, 0 };
    const int in_plane = in_height * in_width, out_plane = out_height * out_width, taps = kh * kw;
    for (int n = 0; n < batch; ++n)
        for (int g = 0; g < groups; ++g) {
            const float *image = x + (n * groups + g) * channels * in_plane;
            for (int o = 0; o < filters; ++o) {
                const wb_epilogue end = wb_layer_end(activation, b, g * filters + o);
                float *out = y + ((n * groups + g) * filters + o) * out_plane;
                if (groups > 1) {
                    const float *part = g < kept ? w + g * filters * channels * taps
                                                 : rest + (g - kept) * filters * channels * taps;
                    windows_f32(channels, in_plane, taps, v, h, end, image, part + o * channels * taps, out);
                } else {
                    windows_f32(kept, in_plane, taps, v, h, wb_plain, image, w + o * kept * taps, out);
                    windows_f32(channels - kept, in_plane, taps, v, h, wb_onto(end), image + kept * in_plane,
                                rest + o * (channels - kept) * taps, out);
                }
            }
        }
    if (mask)
        clip_mask_f32(activation, batch * groups * filters * out_plane, y, mask);
}
