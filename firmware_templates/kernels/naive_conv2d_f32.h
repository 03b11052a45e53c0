/* naive_conv2d_f32.h - conv2d_f32 as a textbook has it: a loop for each index, one sum at a time, each tap tested for whether
 * it lies on the image.
 *
 * A sum goes channel by channel, each row of taps by row: so does that of conv2d_f32, but where it clips rows of taps. */
#pragma once
#include "conv2d_f32.h"

/* `sum`, and the products of the window of output (oy, ox) with `channels` channels of x from `channel` on. w: their weights. */
WB_KERNEL float naive_window_f32(wb_conv2d s, int fused, wb_view_f32 x, int n, int channel, int channels, int oy, int ox,
                                 const float *w, float sum)
{
    const wb_window k = s.window;
    for (int c = 0; c < channels; ++c)
        for (int ky = 0; ky < k.kh; ++ky)
            for (int kx = 0; kx < k.kw; ++kx) {
                const int iy = oy * k.sh - k.pt + ky * k.dh, ix = ox * k.sw - k.pl + kx * k.dw;
                if (iy >= 0 && iy < s.in_height && ix >= 0 && ix < s.in_width)
                    sum = wb_multiply_add_f32(fused, wb_row_of_f32(x, n, channel + c, iy)[ix],
                                              w[(c * k.kh + ky) * k.kw + kx], sum);
            }
    return sum;
}

/* The same, whether products are fused being known when it runs: asked once a window. */
WB_KERNEL float naive_products_f32(wb_conv2d s, wb_view_f32 x, int n, int channel, int channels, int oy, int ox, const float *w,
                                   float sum)
{
    return s.fused ? naive_window_f32(s, 1, x, n, channel, channels, oy, ox, w, sum)
                   : naive_window_f32(s, 0, x, n, channel, channels, oy, ox, w, sum);
}

/* Output (oy, ox) of filter f of group g, whose weights may lie in two arrays: of a grouped convolution those of its last
 * groups, else those of each filter's last channels, in `rest`. */
WB_KERNEL float naive_sum_f32(wb_conv2d s, wb_view_f32 x, int n, int g, int f, int oy, int ox, const float *w, const float *rest)
{
    const int taps = s.window.kh * s.window.kw, parted = rest && s.groups == 1, kept = parted ? s.kept : s.channels;
    const int o = g * s.filters + f, others = s.channels - kept;
    const float *own = rest && !parted && g >= s.kept ? rest + (o - s.kept * s.filters) * s.channels * taps : w + o * kept * taps;
    const float sum = naive_products_f32(s, x, n, g * s.channels, kept, oy, ox, own, 0.0f);
    return parted ? naive_products_f32(s, x, n, kept, others, oy, ox, rest + o * others * taps, sum) : sum;
}

WB_KERNEL void naive_conv2d_f32(wb_conv2d_f32 p, wb_tile t, wb_view_f32 x, const float *restrict w, const float *restrict rest,
                                const float *restrict b, wb_view_f32 y, uint32_t *restrict mask)
{
    const wb_conv2d s = p.sizes;
    const wb_shape shape = { s.groups * s.filters, s.out_height, s.out_width };
    if (mask && t.whole)
        wb_zero_words((t.image_end * shape.channels * shape.rows * shape.columns + 31) / 32, mask);
    for (int n = t.image; n < t.image_end; ++n)
        for (int g = 0; g < s.groups; ++g)
            for (int f = 0; f < s.filters; ++f)
                for (int oy = t.row; oy < t.row_end; ++oy)
                    for (int ox = 0; ox < s.out_width; ++ox) {
                        const int o = g * s.filters + f, bit = wb_row_in(shape, n, o, oy) + ox;
                        const float value = wb_finish_f32(wb_layer_end(p.activation, b, o),
                                                          naive_sum_f32(s, x, n, g, f, oy, ox, w, rest));
                        wb_row_of_f32(y, n, o, oy)[ox] = value;
                        if (mask)
                            mask[bit / 32] |= wb_passes_f32(p.activation, value) << bit % 32;
                    }
}
