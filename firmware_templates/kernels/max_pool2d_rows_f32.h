/* max_pool2d_rows_f32.h - rows [begin, end) of max_pool2d_f32 and of its gradient; argmax is that of one whole image. */
#pragma once
#include "rows_f32.h"

WB_KERNEL void max_pool2d_rows_each_f32(int channels, int in_height, int in_width, int out_height, int out_width,
                                        int kh, int kw, int sh, int sw, int pt, int pl, int begin, int end,
                                        wb_rows x, wb_rows y, int8_t *places8, int32_t *places32)
{
    for (int c = 0; c < channels; ++c)
        for (int oy = begin; oy < end; ++oy) {
            const int iy = oy * sh - pt, ky0 = wb_max(0, -iy), ky1 = wb_min(kh, in_height - iy);
            const float *rows = wb_row(x, c, iy + ky0);
            float *to = wb_row(y, c, oy);
            for (int ox = 0; ox < out_width; ++ox) {
                const int ix = ox * sw - pl, kx0 = wb_max(0, -ix), kx1 = wb_min(kw, in_width - ix);
                int place = ky0 * kw + kx0;
                float best = rows[ix + kx0];
                for (int ky = ky0; ky < ky1; ++ky)
                    for (int kx = kx0; kx < kx1; ++kx) {
                        const float value = rows[(ky - ky0) * x.pitch + ix + kx];
                        if (!(value <= best) && best == best) {
                            best = value;
                            place = ky * kw + kx;
                        }
                    }
                to[ox] = best;
                if (places8)
                    places8[(c * out_height + oy) * out_width + ox] = (int8_t)place;
                if (places32)
                    places32[(c * out_height + oy) * out_width + ox] = place;
            }
        }
}

#define WB_MAX_POOL2D_ROWS(NAME, PLACE, PLACES8, PLACES32)                                                             \
    WB_KERNEL void NAME(int channels, int in_height, int in_width, int out_height, int out_width, int kh, int kw,     \
                        int sh, int sw, int pt, int pl, int begin, int end, wb_rows x, wb_rows y, PLACE *argmax)      \
    {                                                                                                                  \
        max_pool2d_rows_each_f32(channels, in_height, in_width, out_height, out_width, kh, kw, sh, sw, pt, pl,        \
                                 begin, end, x, y, PLACES8, PLACES32);                                                \
    }

WB_MAX_POOL2D_ROWS(max_pool2d_argmax_i8_rows_f32, int8_t, argmax, 0)
WB_MAX_POOL2D_ROWS(max_pool2d_argmax_i32_rows_f32, int32_t, 0, argmax)

WB_KERNEL void max_pool2d_rows_f32(int channels, int in_height, int in_width, int out_height, int out_width,
                                   int kh, int kw, int sh, int sw, int pt, int pl, int begin, int end,
                                   wb_rows x, wb_rows y)
{
    max_pool2d_rows_each_f32(channels, in_height, in_width, out_height, out_width, kh, kw, sh, sw, pt, pl, begin, end,
                             x, y, 0, 0);
}

/* Zero, and then what the windows that reach into these rows give them. */
#define WB_MAX_POOL2D_GRAD_ROWS(NAME, PLACE)                                                                           \
    WB_KERNEL void NAME(int channels, int in_width, int out_height, int out_width, int kh, int kw, int sh, int sw,    \
                        int pt, int pl, int begin, int end, wb_rows dy, const PLACE *restrict argmax, wb_rows dx)     \
    {                                                                                                                  \
        const int first = wb_max(dy.first, wb_ceil_div(begin + pt - kh + 1, sh));                                     \
        const wb_runs runs = wb_runs_of(end - begin, in_width, dx.pitch == in_width);                                  \
        for (int c = 0; c < channels; ++c) {                                                                           \
            for (int i = 0; i < runs.count; ++i)                                                                       \
                wb_zero_f32(runs.length, wb_row(dx, c, begin + i));                                                    \
            for (int oy = first; oy < wb_min(dy.end, (end - 1 + pt) / sh + 1); ++oy)                                   \
                for (int ox = 0; ox < out_width; ++ox) {                                                               \
                    const int place = argmax[(c * out_height + oy) * out_width + ox];                                 \
                    const int row = oy * sh - pt + place / kw;                                                         \
                    if (row >= begin && row < end)                                                                     \
                        wb_row(dx, c, row)[ox * sw - pl + place % kw] += wb_row(dy, c, oy)[ox];                       \
                }                                                                                                      \
        }                                                                                                              \
    }

WB_MAX_POOL2D_GRAD_ROWS(max_pool2d_grad_i8_rows_f32, int8_t)
WB_MAX_POOL2D_GRAD_ROWS(max_pool2d_grad_i32_rows_f32, int32_t)
