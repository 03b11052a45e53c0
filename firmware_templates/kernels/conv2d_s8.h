/* conv2d_s8.h - y[n][o] = clip(zero_y + factor[o] * (b[o] + sum (x - zero_x) * w[o])) over windows and channels, by groups.
 * m: multipliers and shifts of the filters, one row each (requantize_s8.h). mask may be 0. */
#pragma once
#include "pointwise_s8.h"

/* The bias of the windows inside the image: there each tap of a filter sees zero_x once. */
WB_KERNEL int inside_bias_s8(int b, int zero, int count, wb_filter_s8 f, int kept, int rest)
{
    return b - zero * (f.rest ? sum_s8(kept, f.w) + sum_s8(rest, f.rest) : sum_s8(count, f.w));
}

/* Filter f of group g: of a grouped convolution all in one array, else some of its channels in each. */
WB_KERNEL wb_filter_s8 filter_s8(int groups, int g, int f, int filters, int channels, int taps, int kept,
                                 const int8_t *w, const int8_t *rest)
{
    const int o = g * filters + f;
    if (!rest)
        return (wb_filter_s8){ w + o * channels * taps, 0, channels };
    if (groups > 1)
        return (wb_filter_s8){ g < kept ? w + o * channels * taps : rest + (o - kept * filters) * channels * taps, 0, channels };
    return (wb_filter_s8){ w + o * kept * taps, rest + o * (channels - kept) * taps, kept };
}

WB_KERNEL void conv2d_parts_s8(int batch, int groups, int channels, int in_height, int in_width,
                               int filters, int out_height, int out_width,
                               int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw,
                               int zero_x, int zero_y, int low, int high, int form, int kept,
                               const int8_t *restrict x, const int8_t *restrict w, const int8_t *restrict rest,
                               const int32_t *restrict b, const int32_t *restrict m,
                               int8_t *restrict y, uint32_t *restrict mask)
{
    const wb_axis v = { in_height, out_height, -pt, sh, kh, dh, kw, in_width, out_width, 0 };
    const wb_axis h = { in_width, out_width, -pl, sw, kw, dw, 1, 1, 1, 0 };
    const int in_plane = in_height * in_width, out_plane = out_height * out_width, taps = kh * kw;
    const wb_factor first = { form, zero_y, low, high, 0, 0 };
    wb_none_pass(batch * groups * filters * out_plane, mask);
    if (groups == 1 && taps == 1 && windows_in_place(v) && windows_in_place(h)) {
        const wb_pixels pixels = { in_plane, in_plane, in_plane, in_plane };
        for (int n = 0; n < batch; ++n)
            pointwise_s8(channels, in_plane < 4, pixels, filters, zero_x, first, x + n * channels * in_plane,
                         (wb_filter_s8){ w, rest, kept }, b, m, y + n * filters * in_plane, mask, n * filters * in_plane);
        return;
    }
    for (int n = 0; n < batch; ++n)
        for (int g = 0; g < groups; ++g)
#pragma GCC unroll 1
            for (int f = 0; f < filters; ++f) {
                const int o = g * filters + f, plane = n * groups * filters + o;
                const wb_filter_s8 filter = filter_s8(groups, g, f, filters, channels, taps, kept, w, rest);
                const int inside = inside_bias_s8(b[o], zero_x, channels * taps, filter, kept * taps,
                                                  (channels - kept) * taps);
                const wb_end_s8 end = { b[o], inside, wb_factor_of(form, zero_y, low, high, groups * filters, m, o),
                                        mask, plane * out_plane, out_width };
                windows_s8(channels, in_plane, taps, v, h, zero_x, end, x + (n * groups + g) * channels * in_plane,
                           filter, y + plane * out_plane);
            }
}

WB_KERNEL void conv2d_s8(int batch, int groups, int channels, int in_height, int in_width,
                         int filters, int out_height, int out_width,
                         int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw,
                         int zero_x, int zero_y, int low, int high, int form,
                         const int8_t *restrict x, const int8_t *restrict w,
                         const int32_t *restrict b, const int32_t *restrict m,
                         int8_t *restrict y, uint32_t *restrict mask)
{
    conv2d_parts_s8(batch, groups, channels, in_height, in_width, filters, out_height, out_width, kh, kw, sh, sw, pt, pl,
                    dh, dw, zero_x, zero_y, low, high, form, 0, x, w, 0, b, m, y, mask);
}

/* The same with w in two arrays: its first `kept` input channels (of a grouped convolution, groups) and the rest. */
WB_KERNEL void conv2d_split_s8(int batch, int groups, int channels, int in_height, int in_width,
                               int filters, int out_height, int out_width,
                               int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw,
                               int zero_x, int zero_y, int low, int high, int form, int kept,
                               const int8_t *restrict x, const int8_t *restrict w, const int8_t *restrict rest,
                               const int32_t *restrict b, const int32_t *restrict m,
                               int8_t *restrict y, uint32_t *restrict mask)
{
    conv2d_parts_s8(batch, groups, channels, in_height, in_width, filters, out_height, out_width, kh, kw, sh, sw, pt, pl,
                    dh, dw, zero_x, zero_y, low, high, form, kept, x, w, rest, b, m, y, mask);
}
