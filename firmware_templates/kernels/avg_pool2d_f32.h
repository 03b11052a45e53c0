/* avg_pool2d_f32.h - the mean of each window; padding counts only if include_pad. */
#pragma once
#include "wb_kernel.h"

WB_KERNEL void avg_pool2d_f32(int planes, int in_height, int in_width, int out_height, int out_width, int kh, int kw,
                              int sh, int sw, int pt, int pl, int include_pad, const float *restrict x, float *restrict y)
{
    for (int p = 0; p < planes; ++p, x += in_height * in_width)
        for (int oy = 0; oy < out_height; ++oy) {
            const int y0 = wb_max(0, oy * sh - pt), y1 = wb_min(in_height, oy * sh - pt + kh);
            for (int ox = 0; ox < out_width; ++ox) {
                const int x0 = wb_max(0, ox * sw - pl), x1 = wb_min(in_width, ox * sw - pl + kw);
                float sum = 0.0f;
                for (int iy = y0; iy < y1; ++iy)
                    for (int ix = x0; ix < x1; ++ix)
                        sum += x[iy * in_width + ix];
                *y++ = sum * (1.0f / (float)(include_pad ? kh * kw : (y1 - y0) * (x1 - x0)));
            }
        }
}
