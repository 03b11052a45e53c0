/* naive_conv2d_transpose_f32.h - conv2d_transpose_f32 as a textbook has it: the loops of the convolution, in which each
 * element of dy is added, times a weight, to each element of dx under its window.
 *
 * A sum goes filter by filter, each row of dy by row: so does that of conv2d_transpose_f32, but where it clips rows of taps. */
#pragma once
#include "conv2d_transpose_f32.h"

/* How all of a tile's sums begin: at 0, at what is in dx, or at `onto`. */
WB_KERNEL void naive_begin_f32(wb_conv2d p, wb_tile t, wb_view_f32 onto, wb_view_f32 dx)
{
    if (!wb_begun_f32(t, p.in_width, onto, dx).onto)
        wb_zero_tile_f32(t, p.in_width, dx);
}

/* The channels of a tile that a filter reads: those of its group. */
typedef struct {
    int begin, end;
} wb_channels;

WB_KERNEL wb_channels naive_channels(wb_conv2d p, wb_tile t, int o)
{
    const int first = o / p.filters * p.channels;
    return (wb_channels){ wb_max(t.channel, first), wb_min(t.channel_end, first + p.channels) };
}

/* Whether the taps of channel c of filter o lie in the second array of two, and where they begin in theirs. */
WB_KERNEL int naive_in_rest(wb_conv2d p, int rest, int o, int c)
{
    return rest && (p.groups == 1 ? c : o / p.filters) >= p.kept;
}

WB_KERNEL int naive_taps_at(wb_conv2d p, int rest, int o, int c)
{
    const int taps = p.window.kh * p.window.kw, channel = c - o / p.filters * p.channels;
    if (!rest || p.groups > 1)
        return ((naive_in_rest(p, rest, o, c) ? o - p.kept * p.filters : o) * p.channels + channel) * taps;
    return (c < p.kept ? o * p.kept + c : o * (p.channels - p.kept) + c - p.kept) * taps;
}

/* What a plane of dy adds to one of dx: of filter o and channel c of image n, whose taps are w, or int8 ones w8. */
WB_KERNEL void naive_spread_f32(wb_conv2d p, int fused, int n, wb_tile t, int o, int c, wb_view_f32 dy, const float *w,
                                const int8_t *w8, wb_view_f32 dx)
{
    const wb_window k = p.window;
    for (int oy = dy.row; oy < dy.row_end; ++oy)
        for (int ox = 0; ox < p.out_width; ++ox)
            for (int ky = 0; ky < k.kh; ++ky)
                for (int kx = 0; kx < k.kw; ++kx) {
                    const int iy = oy * k.sh - k.pt + ky * k.dh, ix = ox * k.sw - k.pl + kx * k.dw;
                    if (iy >= t.row && iy < t.row_end && ix >= 0 && ix < p.in_width) {
                        float *to = wb_row_of_f32(dx, n, c, iy) + ix;
                        const float weight = w8 ? (float)w8[ky * k.kw + kx] : w[ky * k.kw + kx];
                        *to = wb_multiply_add_f32(fused, wb_row_of_f32(dy, n, o, oy)[ox], weight, *to);
                    }
                }
}

/* The same, whether products are fused being known when it runs: asked once a plane. */
WB_KERNEL void naive_plane_f32(wb_conv2d p, int n, wb_tile t, int o, int c, wb_view_f32 dy, const float *w, const int8_t *w8,
                               wb_view_f32 dx)
{
    if (p.fused)
        naive_spread_f32(p, 1, n, t, o, c, dy, w, w8, dx);
    else
        naive_spread_f32(p, 0, n, t, o, c, dy, w, w8, dx);
}

WB_KERNEL void naive_conv2d_transpose_f32(wb_conv2d p, wb_tile t, wb_view_f32 dy, const float *restrict w,
                                          const float *restrict rest, wb_view_f32 onto, wb_view_f32 dx)
{
    naive_begin_f32(p, t, onto, dx);
    for (int n = t.image; n < t.image_end; ++n)
        for (int o = dy.channel; o < dy.channel_end; ++o) {
            const wb_channels of = naive_channels(p, t, o);
            for (int c = of.begin; c < of.end; ++c) {
                const float *from = naive_in_rest(p, rest != 0, o, c) ? rest : w;
                naive_plane_f32(p, n, t, o, c, dy, from + naive_taps_at(p, rest != 0, o, c), 0, dx);
            }
        }
}
