/* conv2d_transpose_s8.h - conv2d_transpose_f32 with int8 weights: the filters of one input channel at a time as floats; of
 * 1x1 windows, those of four channels, some at a time. */
#pragma once
#include "conv2d_transpose_f32.h"

typedef struct {
    wb_conv2d sizes;
    int at_once; /* filters of 1x1 windows that are floats at a time */
} wb_transposed_s8;

/* `count` runs of `taps` weights, `apart` from one to the next, as floats side by side. */
WB_KERNEL void widened_s8(int count, int taps, int apart, const int8_t *restrict w, float *restrict wide)
{
    for (int o = 0; o < count; ++o)
#pragma GCC unroll 9
        for (int t = 0; t < taps; ++t)
            *wide++ = (float)w[o * apart + t];
}

/* Channel c of group g in the filters of dy's view, as floats. */
WB_KERNEL void input_channel_s8(wb_conv2d p, int g, int c, wb_view_f32 dy,
                                const int8_t *restrict w, const int8_t *restrict rest, float *restrict wide)
{
    const int filters = dy.channel_end - dy.channel, taps = p.window.kh * p.window.kw;
    const int in_w = rest ? p.kept : p.channels, in_rest = p.channels - in_w;
    const int group = p.filters * p.channels * taps;
    if (rest && p.groups > 1 && g >= p.kept)
        widened_s8(filters, taps, p.channels * taps, rest + (g - p.kept) * group + c * taps, wide);
    else if (p.groups > 1)
        widened_s8(filters, taps, p.channels * taps, w + g * group + c * taps, wide);
    else if (!rest || c < in_w)
        widened_s8(filters, taps, in_w * taps, w + (dy.channel * in_w + c) * taps, wide);
    else
        widened_s8(filters, taps, in_rest * taps, rest + (dy.channel * in_rest + c - in_w) * taps, wide);
}

/* `count` times four weights that lie side by side, `apart` from one four to the next. */
WB_KERNEL void four_widened_s8(int count, int apart, const int8_t *restrict w, float *restrict wide)
{
#pragma GCC unroll 4
    for (int o = 0; o < count; ++o)
        wide = wb_put_floats(wide, w[o * apart], w[o * apart + 1], w[o * apart + 2], w[o * apart + 3]);
}

/* Of channels [channel, channel + count) and dy's filters [filter, filter_end), all weights of one pixel, as floats: those
 * of four channels side by side. */
WB_KERNEL void some_widened_s8(wb_conv2d p, int channel, int count, int filter, int filter_end,
                               const int8_t *restrict w, const int8_t *restrict rest, float *restrict wide)
{
    const int in_w = rest ? p.kept : p.channels, in_rest = p.channels - in_w;
    if (count == 4 && !rest) {
        four_widened_s8(filter_end - filter, in_w, w + filter * in_w + channel, wide);
        return;
    }
    if (count == 4 && (channel + 4 <= in_w || channel >= in_w)) { /* of one array */
        const int first = channel < in_w;
        const int8_t *from = first ? w + filter * in_w + channel : rest + filter * in_rest + channel - in_w;
        four_widened_s8(filter_end - filter, first ? in_w : in_rest, from, wide);
        return;
    }
    for (int i = 0; i < count; ++i) { /* those of the two arrays may lie anywhere to each other */
        const int c = channel + i, first = !rest || c < in_w;
        const int8_t *from = first ? w + filter * in_w + c : rest + filter * in_rest + c - in_w;
#pragma GCC unroll 4
        for (int o = 0; o < filter_end - filter; ++o)
            wide[4 * o + i] = (float)from[o * (first ? in_w : in_rest)];
    }
}

/* Some channels of a tile of 1x1 windows, at most four, from c on, and some of dy's filters at a time. The sums go on from
 * what those before left. */
WB_KERNEL void conv2d_transpose_pixels_s8(wb_conv2d p, int at_once, wb_tile t, int c, int channels, wb_epilogue end, wb_view_f32 dy,
                                          const int8_t *restrict w, const int8_t *restrict rest, wb_view_f32 dx,
                                          float *restrict wide)
{
    const int filters = dy.channel_end - dy.channel;
    for (int o = 0; o < filters; o += at_once) {
        const int count = filters % at_once ? wb_min(filters - o, at_once) : at_once;
        wb_view_f32 of = dy;
        of.at += o * dy.plane;
        of.channel += o;
        of.channel_end = of.channel + count;
        some_widened_s8(p, t.channel + c, channels, of.channel, of.channel_end, w, rest, wide);
        for (int n = t.image; n < t.image_end; ++n)
            transpose_pixels_f32(p, n, t, c, channels, 4, 1, o ? wb_onto(end) : end, of, wide, dx);
    }
}

/* A tile of one channel, which is of group g. */
WB_KERNEL void conv2d_transpose_channel_s8(wb_conv2d p, wb_tile t, int g, wb_epilogue end, wb_view_f32 dy,
                                           const int8_t *restrict w, const int8_t *restrict rest, wb_view_f32 dx,
                                           float *restrict wide)
{
    input_channel_s8(p, g, t.channel - g * p.channels, dy, w, rest, wide);
    for (int n = t.image; n < t.image_end; ++n)
        conv2d_transpose_channels_f32(p, n, t, p.window.kh * p.window.kw, end, dy, wide, dx);
}

WB_KERNEL void conv2d_transpose_s8(wb_transposed_s8 record, wb_tile t, wb_view_f32 dy, const int8_t *restrict w,
                                   const int8_t *restrict rest, wb_view_f32 onto, wb_view_f32 dx, void *scratch)
{
    const wb_conv2d p = record.sizes;
    const wb_epilogue end = wb_fused(p.fused, wb_begun_f32(t, p.in_width, onto, dx));
    if (transpose_is_pointwise(p) && p.groups == 1) {
        const int channels = t.channel_end - t.channel, tiled = channels / 4 * 4;
        for (int c = 0; c < tiled; c += 4)
            conv2d_transpose_pixels_s8(p, record.at_once, t, c, 4, end, dy, w, rest, dx, scratch);
        if (channels % 4)
            conv2d_transpose_pixels_s8(p, record.at_once, t, tiled, channels % 4, end, dy, w, rest, dx, scratch);
        return;
    }
    __asm("" : "+r"(scratch)); /* GCC keeps this address in a register, and loads none for each weight: 30 % of a 1x1 */
    for (int i = 0; i < transpose_groups(p, t); ++i) {
        const int g = transpose_first_group(p, t) + i;
        const wb_view_f32 filters = transpose_filters(p, dy, g);
        const wb_tile here = transpose_tile(p, t, g);
        for (int c = 0; c < here.channel_end - here.channel; ++c) {
            wb_tile one = here;
            one.channel += c;
            one.channel_end = one.channel + 1;
            conv2d_transpose_channel_s8(p, one, g, end, filters, w, rest, dx, scratch);
        }
    }
}
