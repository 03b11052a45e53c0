/* avg_pool2d_s8.h - the mean of each window as int8; padding does not count. */
#pragma once
#include "requantize_s8.h"

/* The sum of the window that begins at row y and column x, rounded and scaled: factor holds 1 / elements too. */
WB_KERNEL void avg_pool2d_s8(int planes, int in_height, int in_width, int out_height, int out_width, int kh, int kw,
                             int sh, int sw, int pt, int pl, int low, int high, int zero_x, int zero_y, int m, int shift,
                             const int8_t *restrict x, int8_t *restrict y, uint32_t *restrict mask)
{
    const wb_factor factor = { WB_ROUNDED, zero_y, low, high, m, shift };
    (void)pt, (void)pl;
    wb_none_pass(planes * out_height * out_width, mask);
    for (int p = 0, at = 0; p < planes; ++p, x += in_height * in_width)
        for (int oy = 0; oy < out_height; ++oy)
            for (int ox = 0; ox < out_width; ++ox, ++at) {
                int sum = -zero_x * kh * kw;
                for (int iy = oy * sh; iy < oy * sh + kh; ++iy)
                    for (int ix = ox * sw; ix < ox * sw + kw; ++ix)
                        sum += x[iy * in_width + ix];
                y[at] = wb_requantize_s8(factor, sum, mask, at);
            }
}

/* As TensorFlow Lite: one scale and zero point on both sides, the mean rounded half away from zero. */
WB_KERNEL void avg_pool2d_tflite_s8(int planes, int in_height, int in_width, int out_height, int out_width,
                                    int kh, int kw, int sh, int sw, int pt, int pl, int low, int high,
                                    const int8_t *restrict x, int8_t *restrict y, uint32_t *restrict mask)
{
    wb_none_pass(planes * out_height * out_width, mask);
    for (int p = 0, at = 0; p < planes; ++p, x += in_height * in_width)
        for (int oy = 0; oy < out_height; ++oy) {
            const int y0 = wb_max(0, oy * sh - pt), y1 = wb_min(in_height, oy * sh - pt + kh);
            for (int ox = 0; ox < out_width; ++ox, ++at) {
                const int x0 = wb_max(0, ox * sw - pl), x1 = wb_min(in_width, ox * sw - pl + kw);
                const int count = (y1 - y0) * (x1 - x0);
                int sum = 0;
                for (int iy = y0; iy < y1; ++iy)
                    for (int ix = x0; ix < x1; ++ix)
                        sum += x[iy * in_width + ix];
                const int mean = sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
                y[at] = wb_clip_s8(low, high, mean, mask, at);
            }
        }
}
