/* apply_mask_f32.h - dx = the mask's bit is set ? dy : 0, lowest bit of a word first. dx may be dy. */
#pragma once
#include "tiles.h"

/* Elements whose bits begin at `first`. fours: they are, and begin at a fourth bit: four bits of one word at a time. */
WB_KERNEL void apply_mask_run_f32(int fours, int count, const float *dy, const uint32_t *restrict mask, int first, float *dx)
{
    if (fours) {
        for (int done = 0; done < count; done += 4, first += 4) {
            const uint32_t at = (uint32_t)first, bits = mask[at / 32] >> at % 32;
#pragma GCC unroll 4
            for (int i = 0; i < 4; ++i)
                dx[done + i] = bits >> i & 1u ? dy[done + i] : 0.0f;
        }
        return;
    }
    mask += first / 32;
    for (int done = 0, bit = first % 32; done < count; bit = 0) {
        const int here = wb_min(count - done, 32 - bit);
        uint32_t bits = *mask++ >> bit;
        for (int i = 0; i < here; ++i, bits >>= 1, ++dy)
            *dx++ = bits & 1u ? *dy : 0.0f;
        done += here;
    }
}

WB_KERNEL void apply_mask_f32(wb_shape p, wb_tile t, wb_view_f32 dy, const uint32_t *restrict mask, wb_view_f32 dx)
{
    const wb_runs_in_tile runs = wb_runs_f32(t, p.columns, wb_joined_in(t, p), dy, dx, dx);
    WB_FOR_RUNS(runs, t, n, c, r)
        apply_mask_run_f32(p.columns % 4 == 0, runs.length, wb_row_of_f32(dy, n, c, r), mask, wb_row_in(p, n, c, r),
                           wb_row_of_f32(dx, n, c, r));
}
