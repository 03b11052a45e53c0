/* naive_conv2d_backward_weight_f32.h - conv2d_backward_weight_f32 as a textbook has it: a loop for each index, one weight's
 * gradient at a time, each product tested for whether its element of x lies on the image. A sum goes image by image, row by
 * row, as in conv2d_backward_weight_f32: its bits are the same. */
#pragma once
#include "conv2d_backward_weight_f32.h"

/* `sum`, and the products that tap (ky, kx) of channel c of filter o has in a tile of dy. */
WB_KERNEL float naive_gradient_f32(wb_conv2d_backward_weight p, int fused, wb_tile t, int o, int c, int ky, int kx,
                                   wb_view_f32 dy, wb_view_f32 x, float sum)
{
    const wb_window k = p.window;
    for (int n = t.image; n < t.image_end; ++n)
        for (int oy = t.row; oy < t.row_end; ++oy)
            for (int ox = 0; ox < p.out_width; ++ox) {
                const int iy = oy * k.sh - k.pt + ky * k.dh, ix = ox * k.sw - k.pl + kx * k.dw;
                if (iy >= 0 && iy < p.in_height && ix >= 0 && ix < p.in_width)
                    sum = wb_multiply_add_f32(fused, wb_row_of_f32(dy, n, o, oy)[ox], wb_row_of_f32(x, n, c, iy)[ix], sum);
            }
    return sum;
}

/* Of a tile of filters each gradient goes to the sink; to those of a tile of rows all of its products are added. */
WB_KERNEL void naive_conv2d_backward_weight_into_f32(wb_conv2d_backward_weight p, wb_tile t, wb_view_f32 dy, wb_view_f32 x,
                                                     wb_sink sink, float *restrict to, float *restrict v)
{
    const wb_window k = p.window;
    for (int o = t.channel; o < t.channel_end; ++o)
        for (int c = 0; c < p.channels; ++c)
            for (int ky = 0; ky < k.kh; ++ky)
                for (int kx = 0; kx < k.kw; ++kx) {
                    const int at = ((o * p.channels + c) * k.kh + ky) * k.kw + kx, of = o / p.filters * p.channels + c;
                    const float begun = t.begun ? to[at] : 0.0f;
                    const float sum = p.fused ? naive_gradient_f32(p, 1, t, o, of, ky, kx, dy, x, begun)
                                              : naive_gradient_f32(p, 0, t, o, of, ky, kx, dy, x, begun);
                    sink_f32(sink, at, to, v, sum);
                }
}

WB_KERNEL void naive_conv2d_backward_weight_f32(wb_conv2d_backward_weight p, wb_tile t, wb_view_f32 dy, wb_view_f32 x,
                                                float *restrict dweight)
{
    naive_conv2d_backward_weight_into_f32(p, t, dy, x, (wb_sink){ .kind = WB_STORE }, dweight, 0);
}
