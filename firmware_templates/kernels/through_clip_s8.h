/* through_clip_s8.h - g = s[c] * dy where the bit of a quantized layer's clip is set, else 0. */
#pragma once
#include "fpu.h"
#include "tiles.h"

/* Elements that share a word of the mask; bits: theirs. */
WB_KERNEL void through_clip_word_s8(int count, float s, const float *dy, uint32_t bits, float *g)
{
    int i = 0;
#pragma GCC unroll 1
    for (; i + 3 < count; i += 4)
        bits = wb_scaled_where(bits, s, dy + i, g + i);
    for (; i < count; ++i, bits >>= 1)
        g[i] = bits & 1u ? dy[i] * s : 0.0f;
}

/* Elements of one channel, whose bits of the mask begin at `bit`. */
WB_KERNEL void through_clip_run_s8(int count, float s, const float *dy, const uint32_t *mask, int bit, float *g)
{
    for (int done = 0; done < count;) {
        const int here = wb_min(count - done, 32 - bit % 32);
        through_clip_word_s8(here, s, dy + done, mask[bit / 32] >> bit % 32, g + done);
        done += here;
        bit += here;
    }
}

/* Whether channels of so many elements are known, when the kernel is compiled, to be whole words of the mask, or words to be
 * whole channels. */
WB_KERNEL int through_clip_fits(int count)
{
    return __builtin_constant_p(count) && count > 0 && (count % 32 == 0 || 32 % count == 0);
}

WB_KERNEL void through_clip_s8(wb_shape p, wb_tile t, wb_view_f32 dy, const uint32_t *restrict mask, const float *restrict s,
                               wb_view_f32 g)
{
    const int most = __builtin_constant_p(t.row_end - t.row) ? WB_A_CHANNEL : WB_A_ROW; /* so that lengths are known */
    const wb_runs_in_tile runs = wb_runs_f32(t, p.columns, most, dy, g, g);
    if ((runs.length == p.columns || runs.length == p.rows * p.columns) && through_clip_fits(runs.length)) {
        const int count = wb_min(runs.length, 32);
        WB_FOR_RUNS(runs, t, n, c, r)
            for (int done = 0; done < runs.length; done += count) {
                const uint32_t bit = (uint32_t)(wb_row_in(p, n, c, r) + done);
                through_clip_word_s8(count, s[c], wb_row_of_f32(dy, n, c, r) + done, mask[bit / 32u] >> bit % 32u,
                                     wb_row_of_f32(g, n, c, r) + done);
            }
        return;
    }
    WB_FOR_RUNS(runs, t, n, c, r)
        through_clip_run_s8(runs.length, s[c], wb_row_of_f32(dy, n, c, r), mask, wb_row_in(p, n, c, r),
                            wb_row_of_f32(g, n, c, r));
}
