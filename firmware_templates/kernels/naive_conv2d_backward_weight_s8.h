/* naive_conv2d_backward_weight_s8.h - naive_conv2d_backward_weight_f32 with x as int8, each element made a float where it is
 * used. Its bits are those of conv2d_backward_weight_s8. */
#pragma once
#include "conv2d_backward_weight_s8.h"

/* `sum`, and the products that tap (ky, kx) of channel c of filter o has in a tile of dy. */
WB_KERNEL float naive_gradient_s8(wb_conv2d_backward_weight_s8 q, int fused, wb_tile t, int o, int c, int ky, int kx,
                                  wb_view_f32 dy, wb_view_s8 x, float sum)
{
    const wb_conv2d_backward_weight p = q.convolution;
    const wb_window k = p.window;
    for (int n = t.image; n < t.image_end; ++n)
        for (int oy = t.row; oy < t.row_end; ++oy)
            for (int ox = 0; ox < p.out_width; ++ox) {
                const int iy = oy * k.sh - k.pt + ky * k.dh, ix = ox * k.sw - k.pl + kx * k.dw;
                if (iy >= 0 && iy < p.in_height && ix >= 0 && ix < p.in_width)
                    sum = wb_multiply_add_f32(fused, wb_row_of_f32(dy, n, o, oy)[ox],
                                              (float)(wb_row_of_s8(x, n, c, iy)[ix] - q.x_zero_point), sum);
            }
    return sum;
}

/* Of a tile of filters each gradient goes to the sink; to those of a tile of rows all of its products are added, and with the
 * last row of all they are multiplied by the scale of x. */
WB_KERNEL void naive_conv2d_backward_weight_into_s8(wb_conv2d_backward_weight_s8 q, wb_tile t, wb_view_f32 dy, wb_view_s8 x,
                                                    wb_sink_s8 sink)
{
    const wb_conv2d_backward_weight p = q.convolution;
    const wb_window k = p.window;
    const int last = t.row < t.row_end && t.row_end == p.out_height && t.image_end == q.images;
    for (int o = t.channel; o < t.channel_end; ++o) {
        const float rate = sink_rate_s8(sink, o);
        for (int c = 0; c < p.channels; ++c)
            for (int ky = 0; ky < k.kh; ++ky)
                for (int kx = 0; kx < k.kw; ++kx) {
                    const int in_filter = (c * k.kh + ky) * k.kw + kx, at = o * p.channels * k.kh * k.kw + in_filter;
                    const int of = o / p.filters * p.channels + c;
                    const float begun = t.begun ? sink.store[at] : 0.0f;
                    const float sum = p.fused ? naive_gradient_s8(q, 1, t, o, of, ky, kx, dy, x, begun)
                                              : naive_gradient_s8(q, 0, t, o, of, ky, kx, dy, x, begun);
                    sink_s8(sink, rate, o, at, in_filter, t.begun && !last ? sum : sum * q.x_scale);
                }
    }
}

WB_KERNEL void naive_conv2d_backward_weight_s8(wb_conv2d_backward_weight_s8 p, wb_tile t, wb_view_f32 dy, wb_view_s8 x,
                                               float *restrict dweight)
{
    naive_conv2d_backward_weight_into_s8(p, t, dy, x, (wb_sink_s8){ .store = dweight });
}
