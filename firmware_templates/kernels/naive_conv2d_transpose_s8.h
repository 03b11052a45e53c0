/* naive_conv2d_transpose_s8.h - naive_conv2d_transpose_f32 with int8 weights, each made a float where it is used. */
#pragma once
#include "conv2d_transpose_s8.h"
#include "naive_conv2d_transpose_f32.h"

WB_KERNEL void naive_conv2d_transpose_s8(wb_transposed_s8 record, wb_tile t, wb_view_f32 dy, const int8_t *restrict w,
                                         const int8_t *restrict rest, wb_view_f32 onto, wb_view_f32 dx)
{
    const wb_conv2d p = record.sizes;
    naive_begin_f32(p, t, onto, dx);
    for (int n = t.image; n < t.image_end; ++n)
        for (int o = dy.channel; o < dy.channel_end; ++o) {
            const wb_channels of = naive_channels(p, t, o);
            for (int c = of.begin; c < of.end; ++c) {
                const int8_t *from = naive_in_rest(p, rest != 0, o, c) ? rest : w;
                naive_plane_f32(p, n, t, o, c, dy, 0, from + naive_taps_at(p, rest != 0, o, c), dx);
            }
        }
}
