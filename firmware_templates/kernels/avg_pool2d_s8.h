/* avg_pool2d_s8.h - the mean of each window as int8; padding does not count. */
#pragma once
#include "avg_pool2d_f32.h"
#include "requantize_s8.h"

/* WB_ROUNDED: the factor holds 1 / elements too. WB_TFLITE: of the factor the clip alone counts. */
typedef struct {
    wb_avg_pool2d pool;
    int zero_x;
    wb_factor factor;
} wb_avg_pool2d_s8;

/* Without padding: the sum of each window, rounded and scaled. */
WB_KERNEL void avg_pool2d_rounded_s8(wb_avg_pool2d p, int zero_x, wb_factor factor, const int8_t *restrict x,
                                     int8_t *restrict y, uint32_t *restrict mask)
{
    for (int plane = 0, at = 0; plane < p.planes; ++plane, x += p.in_height * p.in_width)
        for (int oy = 0; oy < p.out_height; ++oy)
            for (int ox = 0; ox < p.out_width; ++ox, ++at) {
                int sum = -zero_x * p.kh * p.kw;
                for (int iy = oy * p.sh; iy < oy * p.sh + p.kh; ++iy)
                    for (int ix = ox * p.sw; ix < ox * p.sw + p.kw; ++ix)
                        sum += x[iy * p.in_width + ix];
                y[at] = wb_requantize_s8(factor, sum, mask, at);
            }
}

/* As TensorFlow Lite: one scale and zero point on both sides, the mean rounded half away from zero. */
WB_KERNEL void avg_pool2d_tflite_s8(wb_avg_pool2d p, wb_factor factor, const int8_t *restrict x, int8_t *restrict y,
                                    uint32_t *restrict mask)
{
    for (int plane = 0, at = 0; plane < p.planes; ++plane, x += p.in_height * p.in_width)
        for (int oy = 0; oy < p.out_height; ++oy) {
            const int y0 = wb_max(0, oy * p.sh - p.pt), y1 = wb_min(p.in_height, oy * p.sh - p.pt + p.kh);
            for (int ox = 0; ox < p.out_width; ++ox, ++at) {
                const int x0 = wb_max(0, ox * p.sw - p.pl), x1 = wb_min(p.in_width, ox * p.sw - p.pl + p.kw);
                const int count = (y1 - y0) * (x1 - x0);
                int sum = 0;
                for (int iy = y0; iy < y1; ++iy)
                    for (int ix = x0; ix < x1; ++ix)
                        sum += x[iy * p.in_width + ix];
                const int mean = sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
                y[at] = wb_clip_s8(factor.low, factor.high, mean, mask, at);
            }
        }
}

WB_KERNEL void avg_pool2d_s8(wb_avg_pool2d_s8 p, const int8_t *restrict x, int8_t *restrict y, uint32_t *restrict mask)
{
    wb_none_pass(p.pool.planes * p.pool.out_height * p.pool.out_width, mask);
    if (p.factor.form == WB_TFLITE)
        avg_pool2d_tflite_s8(p.pool, p.factor, x, y, mask);
    else
        avg_pool2d_rounded_s8(p.pool, p.zero_x, p.factor, x, y, mask);
}
