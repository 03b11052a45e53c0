/* conv2d_transpose_slice_f32.h - a channel tile of conv2d_transpose_f32, of one image: [first, first + count) of dx's
 * channels, of dx's and dy's, or of dy's, the reduction's. `rest` is 0 where w is in one array. */
#pragma once
#include "conv2d_transpose_f32.h"

/* Those channels of dx, from all of dy. */
WB_KERNEL void conv2d_transpose_made_f32(int channels, int in_height, int in_width, int filters, int out_height,
                                         int out_width, int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw,
                                         int kept, int first, int count, const float *restrict dy,
                                         const float *restrict w, const float *restrict rest, float *restrict dx)
{
    const int taps = kh * kw, inside = rest ? kept : channels, here = wb_max(0, wb_min(count, inside - first));
    if (here)
        conv2d_transpose_channels_f32(here, inside * taps, in_height, in_width, filters, out_height, out_width, kh, kw, sh,
                                      sw, pt, pl, dh, dw, wb_plain, dy, w + first * taps, dx);
    if (rest && here < count)
        conv2d_transpose_channels_f32(count - here, (channels - kept) * taps, in_height, in_width, filters, out_height,
                                      out_width, kh, kw, sh, sw, pt, pl, dh, dw, wb_plain, dy,
                                      rest + (first + here - kept) * taps, dx + here * in_height * in_width);
}

/* Of a depthwise convolution: those channels of dx, from those of dy. */
WB_KERNEL void conv2d_transpose_each_f32(int groups, int in_height, int in_width, int out_height, int out_width,
                                         int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw, int kept,
                                         int first, int count, const float *restrict dy, const float *restrict w,
                                         const float *restrict rest, float *restrict dx)
{
    const int taps = kh * kw, inside = rest ? kept : groups;
    for (int c = 0; c < count; ++c)
        conv2d_transpose_channels_f32(1, taps, in_height, in_width, 1, out_height, out_width, kh, kw, sh, sw, pt, pl, dh, dw,
                                      wb_plain, dy + c * out_height * out_width,
                                      first + c < inside ? w + (first + c) * taps : rest + (first + c - inside) * taps,
                                      dx + c * in_height * in_width);
}

/* All of dx, its sums gone on with by those channels of dy. */
WB_KERNEL void conv2d_transpose_onto_f32(int channels, int in_height, int in_width, int out_height, int out_width,
                                         int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw, int kept,
                                         int first, int count, const float *restrict dy, const float *restrict w,
                                         const float *restrict rest, float *restrict dx)
{
    const int inside = (rest ? kept : channels) * kh * kw, outside = channels * kh * kw - inside;
    conv2d_transpose_channels_f32(rest ? kept : channels, inside, in_height, in_width, count, out_height, out_width, kh, kw,
                                  sh, sw, pt, pl, dh, dw, wb_onto(wb_plain), dy, w + first * inside, dx);
    if (rest)
        conv2d_transpose_channels_f32(channels - kept, outside, in_height, in_width, count, out_height, out_width, kh, kw,
                                      sh, sw, pt, pl, dh, dw, wb_onto(wb_plain), dy, rest + first * outside,
                                      dx + kept * in_height * in_width);
}
