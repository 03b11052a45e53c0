/* rescale_s8.h - y = clip(zero_y + (x - zero_x) * factor) of int8; y may lie over x. */
#pragma once
#include "requantize_s8.h"
#include "tiles.h"

typedef struct {
    wb_shape shape;
    int zero_x;
    wb_factor factor;
} wb_rescale;

/* Elements whose bits of the mask, zero before, begin at `bit`. */
WB_KERNEL void rescale_run_s8(wb_factor factor, int zero, int count, const int8_t *x, int8_t *y, uint32_t *restrict mask,
                              int bit)
{
    for (int i = 0; i < count; ++i)
        y[i] = wb_requantize_s8(factor, x[i] - zero, mask, bit + i);
}

WB_KERNEL void rescale_s8(wb_rescale p, wb_tile t, wb_view_s8 x, wb_view_s8 y, uint32_t *restrict mask)
{
    if (wb_is_everything(t, p.shape))
        wb_none_pass(wb_row_in(p.shape, t.image_end, 0, 0), mask);
    const wb_runs_in_tile runs = wb_runs_s8(t, p.shape.columns, mask ? wb_joined_in(t, p.shape) : WB_ALL_IMAGES, x, y, y);
    WB_FOR_RUNS(runs, t, n, c, r)
        rescale_run_s8(p.factor, p.zero_x, runs.length, wb_row_of_s8(x, n, c, r), wb_row_of_s8(y, n, c, r), mask,
                       wb_row_in(p.shape, n, c, r));
}
