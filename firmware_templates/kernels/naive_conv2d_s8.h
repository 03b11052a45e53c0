/* naive_conv2d_s8.h - conv2d_s8 as a textbook has it: a loop for each index, one sum at a time, each tap tested for whether it
 * lies on the image; weights as they lie, not packed. Its bits are those of conv2d_s8. */
#pragma once
#include "conv2d_s8.h"

/* `sum`, and the products of the window of output (oy, ox) with `channels` channels of x from `channel` on. w: their weights. */
WB_KERNEL int naive_window_s8(wb_conv2d s, int zero, wb_view_s8 x, int n, int channel, int channels, int oy, int ox,
                              const int8_t *w, int sum)
{
    const wb_window k = s.window;
    for (int c = 0; c < channels; ++c)
        for (int ky = 0; ky < k.kh; ++ky)
            for (int kx = 0; kx < k.kw; ++kx) {
                const int iy = oy * k.sh - k.pt + ky * k.dh, ix = ox * k.sw - k.pl + kx * k.dw;
                if (iy >= 0 && iy < s.in_height && ix >= 0 && ix < s.in_width)
                    sum += (wb_row_of_s8(x, n, channel + c, iy)[ix] - zero) * w[(c * k.kh + ky) * k.kw + kx];
            }
    return sum;
}

WB_KERNEL void naive_conv2d_s8(wb_conv2d_s8 p, wb_tile t, wb_view_s8 x, const int8_t *restrict w, const int8_t *restrict rest,
                               const int32_t *restrict b, const int32_t *restrict m, const int16_t *restrict delta,
                               wb_view_s8 y, uint32_t *restrict mask)
{
    const wb_conv2d s = p.sizes;
    const wb_shape shape = { s.groups * s.filters, s.out_height, s.out_width };
    const int taps = s.window.kh * s.window.kw, zero = p.numbers.zero_x;
    if (t.whole)
        wb_none_pass(t.image_end * shape.channels * shape.rows * shape.columns, mask);
    for (int n = t.image; n < t.image_end; ++n)
        for (int g = 0; g < s.groups; ++g)
            for (int f = 0; f < s.filters; ++f) {
                const int o = g * s.filters + f, bias = wb_bias((wb_biases_s8){ b, delta, p.wide }, o);
                const wb_rows_s8 rows = rows_of_group_s8(s, g, w, rest);
                const int kept = rows.length / taps, channel = g * s.channels;
                for (int oy = t.row; oy < t.row_end; ++oy)
                    for (int ox = 0; ox < s.out_width; ++ox) {
                        int sum = naive_window_s8(s, zero, x, n, channel, kept, oy, ox, rows.w + f * rows.length, bias);
                        if (rows.rest)
                            sum = naive_window_s8(s, zero, x, n, channel + kept, s.channels - kept, oy, ox,
                                                  rows.rest + f * rows.rest_length, sum);
                        wb_row_of_s8(y, n, o, oy)[ox] = wb_requantize_s8(wb_factor_of(p.numbers, shape.channels, m, o), sum,
                                                                         mask, wb_row_in(shape, n, o, oy) + ox);
                    }
            }
}
