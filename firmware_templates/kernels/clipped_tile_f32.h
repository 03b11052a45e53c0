/* clipped_tile_f32.h - a tile of y = clip(x), of its mask, and of its gradient, for the clips of activation_f32.h. */
#pragma once
#include "activation_f32.h"
#include "tiles.h"

/* A mask whose words have been zero: sets the bit of each element of `count` that lies from bit `start` on. */
WB_KERNEL void clip_mask_bits_f32(int activation, int count, const float *restrict y, uint32_t *restrict words, int start)
{
    words += start / 32;
    start %= 32;
    for (int done = 0; done < count;) {
        const int here = wb_min(count - done, 32 - start);
        uint32_t bits = 0;
        for (int i = here; i-- > 0;)
            bits = bits << 1 | wb_passes_f32(activation, y[done + i]);
        *words++ |= bits << start;
        done += here;
        start = 0;
    }
}

/* The mask of a tile, where there is one: all of its words, or bits of words that have been zero. */
WB_KERNEL void clip_mask_tile_f32(int activation, wb_shape p, wb_tile t, wb_view_f32 y, uint32_t *mask)
{
    if (!mask)
        return;
    const wb_runs_in_tile runs = wb_runs_f32(t, p.columns, wb_joined_in(t, p), y, y, y);
    if (wb_is_everything(t, p) && wb_is_one(runs)) {
        clip_mask_f32(activation, runs.length, y.at, mask);
        return;
    }
    WB_FOR_RUNS(runs, t, n, c, r)
        clip_mask_bits_f32(activation, runs.length, wb_row_of_f32(y, n, c, r), mask, wb_row_in(p, n, c, r));
}

/* y = clip(x), and the mask, word by word. */
WB_KERNEL void clipped_mask_f32(int activation, int count, const float *x, float *y, uint32_t *restrict mask)
{
    for (int start = 0; start < count; start += 32) {
        uint32_t bits = 0;
        for (int i = start; i < wb_min(start + 32, count); ++i) {
            bits |= wb_passes_f32(activation, x[i]) << (i - start);
            y[i] = wb_clipped_f32(activation, x[i]);
        }
        *mask++ = bits;
    }
}

WB_KERNEL void clipped_run_f32(int activation, int count, const float *x, float *y)
{
#pragma GCC unroll 4
    for (int i = 0; i < count; ++i)
        y[i] = wb_clipped_f32(activation, x[i]);
}

WB_KERNEL void clipped_grad_run_f32(int activation, int count, const float *dy, const float *restrict y, float *dx)
{
#pragma GCC unroll 4
    for (int i = 0; i < count; ++i)
        dx[i] = wb_passes_f32(activation, y[i]) ? dy[i] : 0.0f;
}

WB_KERNEL void clipped_tile_f32(int activation, wb_shape p, wb_tile t, wb_view_f32 x, wb_view_f32 y, uint32_t *mask)
{
    const wb_runs_in_tile runs = wb_runs_f32(t, p.columns, WB_ALL_IMAGES, x, y, y);
    if (mask && wb_is_everything(t, p) && wb_is_one(runs)) {
        clipped_mask_f32(activation, runs.length, x.at, y.at, mask);
        return;
    }
    WB_FOR_RUNS(runs, t, n, c, r)
        clipped_run_f32(activation, runs.length, wb_row_of_f32(x, n, c, r), wb_row_of_f32(y, n, c, r));
    clip_mask_tile_f32(activation, p, t, y, mask);
}

WB_KERNEL void clipped_grad_tile_f32(int activation, wb_shape p, wb_tile t, wb_view_f32 dy, wb_view_f32 y, wb_view_f32 dx)
{
    const wb_runs_in_tile runs = wb_runs_f32(t, p.columns, WB_ALL_IMAGES, dy, y, dx);
    WB_FOR_RUNS(runs, t, n, c, r)
        clipped_grad_run_f32(activation, runs.length, wb_row_of_f32(dy, n, c, r), wb_row_of_f32(y, n, c, r),
                             wb_row_of_f32(dx, n, c, r));
}
