/* conv2d_f32.h - y[n][o][oy][ox] = sum x[n][c][oy*sh + ky*dh - pt][ox*sw + kx*dw - pl] * w[o][c][ky][kx], by groups. */
#pragma once
#include "windows_f32.h"

WB_KERNEL void conv2d_f32(int batch, int groups, int channels, int in_height, int in_width,
                          int filters, int out_height, int out_width,
                          int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw,
                          const float *restrict x, const float *restrict w, float *restrict y)
{
    const wb_axis v = { in_height, out_height, -pt, sh, kh, dh, kw, in_width, out_width };
    const wb_axis h = { in_width, out_width, -pl, sw, kw, dw, 1, 1, 1 };
    for (int n = 0; n < batch; ++n)
        for (int g = 0; g < groups; ++g)
            for (int o = 0; o < filters; ++o)
                windows_f32(channels, in_height * in_width, kh * kw, v, h,
                            x + (n * groups + g) * channels * in_height * in_width,
                            w + (g * filters + o) * channels * kh * kw,
                            y + ((n * groups + g) * filters + o) * out_height * out_width);
}
