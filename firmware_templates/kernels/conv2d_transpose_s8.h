/* conv2d_transpose_s8.h - conv2d_transpose_f32 with int8 weights: the filters of one input channel at a time as floats. */
#pragma once
#include "conv2d_transpose_f32.h"

/* `count` runs of `taps` weights, `apart` from one to the next, as floats side by side. */
WB_KERNEL void widened_s8(int count, int taps, int apart, const int8_t *restrict w, float *restrict wide)
{
    for (int o = 0; o < count; ++o)
#pragma GCC unroll 9
        for (int t = 0; t < taps; ++t)
            *wide++ = (float)w[o * apart + t];
}

/* Input channel c of the filters of group g, as floats; `rest` is 0 where w is in one array. */
WB_KERNEL void input_channel_s8(int groups, int g, int channels, int c, int filters, int taps, int kept,
                                const int8_t *restrict w, const int8_t *restrict rest, float *restrict wide)
{
    const int group = filters * channels * taps;
    if (rest && groups == 1 && c < kept)
        widened_s8(filters, taps, kept * taps, w + c * taps, wide);
    else if (rest && groups == 1)
        widened_s8(filters, taps, (channels - kept) * taps, rest + (c - kept) * taps, wide);
    else if (rest && g >= kept)
        widened_s8(filters, taps, channels * taps, rest + (g - kept) * group + c * taps, wide);
    else
        widened_s8(filters, taps, channels * taps, w + g * group + c * taps, wide);
}

WB_KERNEL void conv2d_transpose_parts_s8(int batch, int groups, int channels, int in_height, int in_width,
                                         int filters, int out_height, int out_width,
                                         int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw, int kept,
                                         const float *restrict dy, const int8_t *restrict w,
                                         const int8_t *restrict rest, const float *onto, float *dx, float *restrict wide)
{
    const wb_epilogue end = wb_begun_f32(batch * groups * channels * in_height * in_width, onto, dx);
    const int in_plane = in_height * in_width;
    for (int g = 0; g < groups; ++g)
        for (int c = 0; c < channels; ++c) {
            input_channel_s8(groups, g, channels, c, filters, kh * kw, kept, w, rest, wide);
            for (int n = 0; n < batch; ++n)
                conv2d_transpose_channels_f32(1, kh * kw, in_height, in_width, filters, out_height, out_width,
                                              kh, kw, sh, sw, pt, pl, dh, dw, end,
                                              dy + (n * groups + g) * filters * out_height * out_width, wide,
                                              dx + ((n * groups + g) * channels + c) * in_plane);
        }
}

WB_KERNEL void conv2d_transpose_s8(int batch, int groups, int channels, int in_height, int in_width,
                                   int filters, int out_height, int out_width,
                                   int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw,
                                   const float *restrict dy, const int8_t *restrict w, const float *onto, float *dx, void *scratch)
{
    conv2d_transpose_parts_s8(batch, groups, channels, in_height, in_width, filters, out_height, out_width,
                              kh, kw, sh, sw, pt, pl, dh, dw, 0, dy, w, 0, onto, dx, scratch);
}

/* The same with w in two arrays: its first `kept` input channels (of a grouped convolution, groups) and the rest. */
WB_KERNEL void conv2d_transpose_split_s8(int batch, int groups, int channels, int in_height, int in_width,
                                         int filters, int out_height, int out_width,
                                         int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw, int kept,
                                         const float *restrict dy, const int8_t *restrict w,
                                         const int8_t *restrict rest, const float *onto, float *dx, void *scratch)
{
    conv2d_transpose_parts_s8(batch, groups, channels, in_height, in_width, filters, out_height, out_width,
                              kh, kw, sh, sw, pt, pl, dh, dw, kept, dy, w, rest, onto, dx, scratch);
}
