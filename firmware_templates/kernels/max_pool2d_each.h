/* max_pool2d_each.h - the kernels of max_pool2d_f32.h for one type of element; included once for each, so no #pragma once.
 * WB_ELEMENT: the type. WB_NAMED(name): what a function is called for it. WB_IS_NUMBER(x): it is not NaN. */
#include "wb_kernel.h"

WB_KERNEL void WB_NAMED(max_pool2d_each)(int planes, int in_height, int in_width, int out_height, int out_width,
                                         int kh, int kw, int sh, int sw, int pt, int pl,
                                         const WB_ELEMENT *restrict x, WB_ELEMENT *restrict y, int8_t *places8, int32_t *places32)
{
    for (int p = 0; p < planes; ++p, x += in_height * in_width)
        for (int oy = 0; oy < out_height; ++oy) {
            const int iy = oy * sh - pt, ky0 = wb_max(0, -iy), ky1 = wb_min(kh, in_height - iy);
            for (int ox = 0; ox < out_width; ++ox) {
                const int ix = ox * sw - pl, kx0 = wb_max(0, -ix), kx1 = wb_min(kw, in_width - ix);
                int place = ky0 * kw + kx0;
                WB_ELEMENT best = x[(iy + ky0) * in_width + ix + kx0];
                for (int ky = ky0; ky < ky1; ++ky)
                    for (int kx = kx0; kx < kx1; ++kx) {
                        const WB_ELEMENT value = x[(iy + ky) * in_width + ix + kx];
                        if (!(value <= best) && WB_IS_NUMBER(best)) {
                            best = value;
                            place = ky * kw + kx;
                        }
                    }
                *y++ = best;
                if (places8)
                    *places8++ = (int8_t)place;
                if (places32)
                    *places32++ = place;
            }
        }
}

WB_KERNEL void WB_NAMED(max_pool2d)(int planes, int in_height, int in_width, int out_height, int out_width, int kh, int kw,
                                    int sh, int sw, int pt, int pl, const WB_ELEMENT *restrict x, WB_ELEMENT *restrict y)
{
    WB_NAMED(max_pool2d_each)(planes, in_height, in_width, out_height, out_width, kh, kw, sh, sw, pt, pl, x, y, 0, 0);
}

WB_KERNEL void WB_NAMED(max_pool2d_argmax_i8)(int planes, int in_height, int in_width, int out_height, int out_width,
                                              int kh, int kw, int sh, int sw, int pt, int pl,
                                              const WB_ELEMENT *restrict x, WB_ELEMENT *restrict y, int8_t *restrict argmax)
{
    WB_NAMED(max_pool2d_each)(planes, in_height, in_width, out_height, out_width, kh, kw, sh, sw, pt, pl, x, y, argmax, 0);
}

WB_KERNEL void WB_NAMED(max_pool2d_argmax_i32)(int planes, int in_height, int in_width, int out_height, int out_width,
                                               int kh, int kw, int sh, int sw, int pt, int pl,
                                               const WB_ELEMENT *restrict x, WB_ELEMENT *restrict y, int32_t *restrict argmax)
{
    WB_NAMED(max_pool2d_each)(planes, in_height, in_width, out_height, out_width, kh, kw, sh, sw, pt, pl, x, y, 0, argmax);
}
