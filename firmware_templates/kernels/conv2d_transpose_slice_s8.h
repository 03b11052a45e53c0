/* conv2d_transpose_slice_s8.h - a channel tile of conv2d_transpose_s8, of one image: [first, first + count) of dx's
 * channels, of dx's and dy's, or of dy's, the reduction's. */
#pragma once
#include "conv2d_transpose_s8.h"

/* Those channels of dx, from all of dy. */
WB_KERNEL void conv2d_transpose_made_s8(int channels, int in_height, int in_width, int filters, int out_height, int out_width,
                                        int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw, int kept,
                                        int first, int count, const float *restrict dy, const int8_t *restrict w,
                                        const int8_t *restrict rest, float *restrict dx, void *scratch)
{
    for (int c = 0; c < count; ++c) {
        input_channel_s8(1, 0, channels, first + c, filters, kh * kw, kept, w, rest, scratch);
        conv2d_transpose_channels_f32(1, kh * kw, in_height, in_width, filters, out_height, out_width, kh, kw, sh, sw, pt, pl, dh, dw,
                                      wb_plain, dy, scratch, dx + c * in_height * in_width);
    }
}

/* Of a depthwise convolution: those channels of dx, from those of dy. */
WB_KERNEL void conv2d_transpose_each_s8(int groups, int in_height, int in_width, int out_height, int out_width,
                                        int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw, int kept,
                                        int first, int count, const float *restrict dy, const int8_t *restrict w,
                                        const int8_t *restrict rest, float *restrict dx, void *scratch)
{
    for (int c = 0; c < count; ++c) {
        input_channel_s8(groups, first + c, 1, 0, 1, kh * kw, kept, w, rest, scratch);
        conv2d_transpose_channels_f32(1, kh * kw, in_height, in_width, 1, out_height, out_width, kh, kw, sh, sw, pt, pl, dh, dw,
                                      wb_plain, dy + c * out_height * out_width, scratch, dx + c * in_height * in_width);
    }
}

/* All of dx, its sums gone on with by those channels of dy. */
WB_KERNEL void conv2d_transpose_onto_s8(int channels, int in_height, int in_width, int out_height, int out_width,
                                        int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw, int kept,
                                        int first, int count, const float *restrict dy, const int8_t *restrict w,
                                        const int8_t *restrict rest, float *restrict dx, void *scratch)
{
    const int taps = kh * kw, in_rest = rest ? channels - kept : 0;
    w += first * (channels - in_rest) * taps;
    if (in_rest)
        rest += first * in_rest * taps;
    for (int c = 0; c < channels; ++c) {
        input_channel_s8(1, 0, channels, c, count, taps, kept, w, in_rest ? rest : 0, scratch);
        conv2d_transpose_channels_f32(1, kh * kw, in_height, in_width, count, out_height, out_width, kh, kw, sh, sw, pt, pl, dh, dw,
                                      wb_onto(wb_plain), dy, scratch, dx + c * in_height * in_width);
    }
}
