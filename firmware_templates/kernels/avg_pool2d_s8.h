/* avg_pool2d_s8.h - the mean of each window as int8; padding does not count. */
#pragma once
#include "avg_pool2d_f32.h"
#include "requantize_s8.h"

/* WB_ROUNDED: the factor holds 1 / elements too, and there is no padding. WB_TFLITE: one scale and zero point on both
 * sides, the mean rounded half away from zero; of the factor the clip alone counts. */
typedef struct {
    wb_avg_pool2d pool;
    int zero_x;
    wb_factor factor;
} wb_avg_pool2d_s8;

WB_KERNEL int8_t wb_average_s8(wb_avg_pool2d_s8 p, int sum, int count, uint32_t *mask, int bit)
{
    if (p.factor.form == WB_ROUNDED)
        return wb_requantize_s8(p.factor, sum - p.zero_x * count, mask, bit);
    const int mean = sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
    return wb_clip_s8(p.factor.low, p.factor.high, mean, mask, bit);
}

/* Row oy of a channel. x: the first row of its windows that lies on the image, with the next `pitch` behind it; bit: the
 * place of y's first element in the mask. */
WB_KERNEL void avg_pool2d_row_s8(wb_avg_pool2d_s8 p, int oy, int pitch, const int8_t *restrict x, int8_t *restrict y,
                                 uint32_t *restrict mask, int bit)
{
    for (int ox = 0; ox < p.pool.y.columns; ++ox) {
        const wb_area a = wb_area_of(p.pool, oy, ox);
        int sum = 0;
        for (int iy = 0; iy < a.y1 - a.y0; ++iy)
            for (int ix = a.x0; ix < a.x1; ++ix)
                sum += x[iy * pitch + ix];
        y[ox] = wb_average_s8(p, sum, (a.y1 - a.y0) * (a.x1 - a.x0), mask, bit + ox);
    }
}

WB_KERNEL void avg_pool2d_s8(wb_avg_pool2d_s8 p, wb_tile t, wb_view_s8 x, wb_view_s8 y, uint32_t *restrict mask)
{
    if (wb_is_everything(t, p.pool.y))
        wb_none_pass(wb_row_in(p.pool.y, t.image_end, 0, 0), mask);
    for (int n = t.image; n < t.image_end; ++n)
        for (int c = t.channel; c < t.channel_end; ++c)
            for (int oy = t.row; oy < t.row_end; ++oy)
                avg_pool2d_row_s8(p, oy, x.pitch, wb_row_of_s8(x, n, c, wb_area_of(p.pool, oy, 0).y0),
                                  wb_row_of_s8(y, n, c, oy), mask, wb_row_in(p.pool.y, n, c, oy));
}
