/* avg_pool2d_f32.h - the mean of each window; padding counts only if include_pad. Its gradient gives each element of a
 * window dy / count; windows that overlap add up. */
#pragma once
#include "wb_kernel.h"

/* in: of x, or of dx; out: of y, or of dy. Windows of (kh, kw) elements, (sh, sw) apart; the first begins pt rows above x
 * and pl columns left of it. */
typedef struct {
    int planes, in_height, in_width, out_height, out_width, kh, kw, sh, sw, pt, pl, include_pad;
} wb_avg_pool2d;

WB_KERNEL void avg_pool2d_f32(wb_avg_pool2d p, const float *restrict x, float *restrict y)
{
    for (int plane = 0; plane < p.planes; ++plane, x += p.in_height * p.in_width)
        for (int oy = 0; oy < p.out_height; ++oy) {
            const int y0 = wb_max(0, oy * p.sh - p.pt), y1 = wb_min(p.in_height, oy * p.sh - p.pt + p.kh);
            for (int ox = 0; ox < p.out_width; ++ox) {
                const int x0 = wb_max(0, ox * p.sw - p.pl), x1 = wb_min(p.in_width, ox * p.sw - p.pl + p.kw);
                float sum = 0.0f;
                for (int iy = y0; iy < y1; ++iy)
                    for (int ix = x0; ix < x1; ++ix)
                        sum += x[iy * p.in_width + ix];
                *y++ = sum * (1.0f / (float)(p.include_pad ? p.kh * p.kw : (y1 - y0) * (x1 - x0)));
            }
        }
}

WB_KERNEL void avg_pool2d_grad_f32(wb_avg_pool2d p, const float *restrict dy, float *restrict dx)
{
    for (int i = 0; i < p.planes * p.in_height * p.in_width; ++i)
        dx[i] = 0.0f;
    for (int plane = 0; plane < p.planes; ++plane, dx += p.in_height * p.in_width)
        for (int oy = 0; oy < p.out_height; ++oy) {
            const int y0 = wb_max(0, oy * p.sh - p.pt), y1 = wb_min(p.in_height, oy * p.sh - p.pt + p.kh);
            for (int ox = 0; ox < p.out_width; ++ox) {
                const int x0 = wb_max(0, ox * p.sw - p.pl), x1 = wb_min(p.in_width, ox * p.sw - p.pl + p.kw);
                const float share = *dy++ * (1.0f / (float)(p.include_pad ? p.kh * p.kw : (y1 - y0) * (x1 - x0)));
                for (int iy = y0; iy < y1; ++iy)
                    for (int ix = x0; ix < x1; ++ix)
                        dx[iy * p.in_width + ix] += share;
            }
        }
}
