/* gemm_f32.h - y[f][p] = sum over k of w[f][k] * x[k][p], in tiles of four filters by four pixels: eight loads for sixteen
 * products. Each sum is added up from k = 0 on, whatever the tile. */
#pragma once
#include "activation_f32.h"
#include "fpu.h"

/* k: products of each sum. x_next, w_next: elements from one k to the next; w_filter, y_plane: from one filter to the next. */
typedef struct {
    int k, x_next, w_next, w_filter, y_plane, fused;
} wb_gemm_f32;

/* What is done to the sums: where `onto` they go on from y; b: a bias each, or 0. */
typedef struct {
    int activation, onto;
    const float *b;
} wb_ends_f32;

/* Adds the products of one k. */
WB_KERNEL void gemm_step_f32(wb_gemm_f32 g, int filters, int pixels, const float *x, const float *w, float *s)
{
    float at[4];
#pragma GCC unroll 4
    for (int p = 0; p < pixels; ++p)
        at[p] = x[p];
#pragma GCC unroll 4
    for (int f = 0; f < filters; ++f) {
        const float by = w[f * g.w_filter];
#pragma GCC unroll 4
        for (int p = 0; p < pixels; ++p)
            s[4 * f + p] = wb_multiply_add_f32(g.fused, at[p], by, s[4 * f + p]);
    }
}

WB_KERNEL void gemm_tile_f32(wb_gemm_f32 g, int filters, int pixels, wb_ends_f32 end,
                             const float *restrict x, const float *restrict w, float *restrict y)
{
#if WB_FPU
    if (filters == 4 && pixels == 4 && g.w_filter == 1 && g.w_next == 4 && end.activation == WB_LINEAR && !end.b) {
        wb_tile_f32(g.fused, end.onto, g.k, g.x_next, g.y_plane, x, w, y);
        return;
    }
#endif
    float s[16] = { 0.0f };
#pragma GCC unroll 4
    for (int f = 0; f < filters; ++f)
#pragma GCC unroll 4
        for (int p = 0; p < pixels; ++p)
            s[4 * f + p] = end.onto ? y[f * g.y_plane + p] : 0.0f;
    int k = 0;
    for (; k + 3 < g.k; k += 4) /* four at a time: a quarter of the turns */
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i)
            gemm_step_f32(g, filters, pixels, x + (k + i) * g.x_next, w + (k + i) * g.w_next, s);
#pragma GCC unroll 3
    for (; k < g.k; ++k)
        gemm_step_f32(g, filters, pixels, x + k * g.x_next, w + k * g.w_next, s);
#pragma GCC unroll 4
    for (int f = 0; f < filters; ++f)
#pragma GCC unroll 4
        for (int p = 0; p < pixels; ++p)
            y[f * g.y_plane + p] = wb_finish_f32(wb_layer_end(end.activation, end.b, f), s[4 * f + p]);
}

/* Some filters, at most four, and `pixels` that lie side by side. */
WB_KERNEL void gemm_pixels_f32(wb_gemm_f32 g, int filters, int pixels, wb_ends_f32 end,
                               const float *restrict x, const float *restrict w, float *restrict y)
{
    const int tiled = pixels - pixels % 4;
    for (int p = 0; p < tiled; p += 4)
        gemm_tile_f32(g, filters, 4, end, x + p, w, y + p);
    for (int p = tiled; p < pixels; ++p)
        gemm_tile_f32(g, filters, 1, end, x + p, w, y + p);
}

WB_SHARED void gemm_f32(wb_gemm_f32 g, int filters, int pixels, wb_ends_f32 end,
                        const float *restrict x, const float *restrict w, float *restrict y)
{
    const int tiled = filters - filters % 4;
    for (int f = 0; f < tiled; f += 4)
        gemm_pixels_f32(g, 4, pixels, (wb_ends_f32){ end.activation, end.onto, end.b ? end.b + f : 0 }, x,
                        w + f * g.w_filter, y + f * g.y_plane);
    if (WB_ANY_SHAPE)
        for (int f = tiled; f < filters; ++f)
            gemm_pixels_f32(g, 1, pixels, (wb_ends_f32){ end.activation, end.onto, end.b ? end.b + f : 0 }, x,
                            w + f * g.w_filter, y + f * g.y_plane);
    else if (filters % 4)
        gemm_pixels_f32(g, filters % 4, pixels, (wb_ends_f32){ end.activation, end.onto, end.b ? end.b + tiled : 0 }, x,
                        w + tiled * g.w_filter, y + tiled * g.y_plane);
}
