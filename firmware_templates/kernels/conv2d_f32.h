/* conv2d_f32.h - y[n][o][oy][ox] = sum x[n][c][oy*sh + ky*dh - pt][ox*sw + kx*dw - pl] * w[o][c][ky][kx], by groups.
 *
 * One accumulator a pixel. Where the whole window lies inside the image the loops over it have literal ends and
 * unroll; along the border they are clamped, and the channels unroll instead. */
#include "wb_kernel.h"

/* A window that lies inside the image. */
WB_KERNEL float conv2d_inside_f32(int channels, int in_height, int in_width, int kh, int kw, int dh, int dw,
                                  const float *restrict x, const float *restrict w)
{
    float sum = 0.0f;
    for (int c = 0; c < channels; ++c, x += in_height * in_width, w += kh * kw)
#pragma GCC unroll 7
        for (int ky = 0; ky < kh; ++ky)
#pragma GCC unroll 7
            for (int kx = 0; kx < kw; ++kx)
                sum += x[ky * dh * in_width + kx * dw] * w[ky * kw + kx];
    return sum;
}

/* A window of which only rows [ky0, ky1) and columns [kx0, kx1) lie inside; channels innermost, their ends are literal. */
WB_KERNEL float conv2d_border_f32(int channels, int in_height, int in_width, int kh, int kw, int dh, int dw,
                                  int ky0, int ky1, int kx0, int kx1, const float *restrict x, const float *restrict w)
{
    float sum = 0.0f;
    for (int ky = ky0; ky < ky1; ++ky)
        for (int kx = kx0; kx < kx1; ++kx) {
            const float *p = x + ky * dh * in_width + kx * dw, *q = w + ky * kw + kx;
#pragma GCC unroll 8
            for (int c = 0; c < channels; ++c)
                sum += p[c * in_height * in_width] * q[c * kh * kw];
        }
    return sum;
}

WB_KERNEL void conv2d_f32(int batch, int groups, int channels, int in_height, int in_width,
                          int filters, int out_height, int out_width,
                          int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw,
                          const float *restrict x, const float *restrict w, float *restrict y)
{
    const int inside_y = (kh - 1) * dh, inside_x = (kw - 1) * dw; /* a window reaches this far beyond its first element */
    for (int n = 0; n < batch; ++n)
        for (int g = 0; g < groups; ++g) {
            const float *image = x + (n * groups + g) * channels * in_height * in_width;
            for (int o = 0; o < filters; ++o) {
                const float *filter = w + (g * filters + o) * channels * kh * kw;
                for (int oy = 0; oy < out_height; ++oy) {
                    const int iy = oy * sh - pt;
                    const int ky0 = wb_ceil_div(-iy, dh), ky1 = wb_min(kh, wb_ceil_div(in_height - iy, dh));
                    for (int ox = 0; ox < out_width; ++ox) {
                        const int ix = ox * sw - pl;
                        const float *corner = image + iy * in_width + ix;
                        if (iy >= 0 && iy + inside_y < in_height && ix >= 0 && ix + inside_x < in_width)
                            *y++ = conv2d_inside_f32(channels, in_height, in_width, kh, kw, dh, dw, corner, filter);
                        else
                            *y++ = conv2d_border_f32(channels, in_height, in_width, kh, kw, dh, dw, ky0, ky1,
                                                     wb_ceil_div(-ix, dw), wb_min(kw, wb_ceil_div(in_width - ix, dw)),
                                                     corner, filter);
                    }
                }
            }
        }
}
