/* through_clip_s8.h - g = s[c] * dy where the bit of a quantized layer's clip is set, else 0. */
#pragma once
#include "tiles.h"

/* Elements of one channel, whose bits of the mask begin at `bit`. */
WB_KERNEL void through_clip_run_s8(int count, float s, const float *dy, const uint32_t *mask, int bit, float *g)
{
    for (int done = 0; done < count;) {
        const int here = wb_min(count - done, 32 - bit % 32);
        uint32_t bits = mask[bit / 32] >> bit % 32;
        for (int i = 0; i < here; ++i, bits >>= 1, ++dy)
            *g++ = bits & 1u ? *dy * s : 0.0f;
        done += here;
        bit += here;
    }
}

WB_KERNEL void through_clip_s8(wb_shape p, wb_tile t, wb_view_f32 dy, const uint32_t *restrict mask, const float *restrict s,
                               wb_view_f32 g)
{
    const wb_runs_in_tile runs = wb_runs_f32(t, p.columns, WB_A_CHANNEL, dy, g, g);
    WB_FOR_RUNS(runs, t, n, c, r)
        through_clip_run_s8(runs.length, s[c], wb_row_of_f32(dy, n, c, r), mask, wb_row_in(p, n, c, r),
                            wb_row_of_f32(g, n, c, r));
}
