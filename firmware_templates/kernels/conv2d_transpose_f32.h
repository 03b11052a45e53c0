/* conv2d_transpose_f32.h - dx[n][c][iy][ix] = sum dy[n][o][oy][ox] * w[o][c][ky][kx] over oy*sh + ky*dh - pt = iy.
 *
 * Gathered, so that each dx is written once: for every tap of the filter that a pixel falls on there is one oy.
 * With stride 1 and the pixel inside, all taps count and the loops have literal ends. */
#include "wb_kernel.h"

WB_KERNEL void conv2d_transpose_f32(int batch, int groups, int channels, int in_height, int in_width,
                                    int filters, int out_height, int out_width,
                                    int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw,
                                    const float *restrict dy, const float *restrict w, float *restrict dx)
{
    const int plane = out_height * out_width, taps = kh * kw;
    for (int n = 0; n < batch; ++n)
        for (int g = 0; g < groups; ++g) {
            const float *gradient = dy + (n * groups + g) * filters * plane;
            for (int c = 0; c < channels; ++c) {
                const float *filter = w + (g * filters * channels + c) * taps;
                for (int iy = 0; iy < in_height; ++iy)
                    for (int ix = 0; ix < in_width; ++ix) {
                        const int ty = iy + pt, tx = ix + pl; /* the padded pixel */
                        float sum = 0.0f;
                        if (sh == 1 && sw == 1 && ty >= (kh - 1) * dh && ty < out_height
                            && tx >= (kw - 1) * dw && tx < out_width) {
                            const float *d = gradient + ty * out_width + tx, *f = filter;
                            for (int o = 0; o < filters; ++o, d += plane, f += channels * taps)
#pragma GCC unroll 7
                                for (int ky = 0; ky < kh; ++ky)
#pragma GCC unroll 7
                                    for (int kx = 0; kx < kw; ++kx)
                                        sum += d[-ky * dh * out_width - kx * dw] * f[ky * kw + kx];
                        } else {
                            for (int ky = 0; ky < kh; ++ky) {
                                const int ry = ty - ky * dh;
                                if (ry < 0 || ry % sh != 0 || ry / sh >= out_height)
                                    continue;
                                for (int kx = 0; kx < kw; ++kx) {
                                    const int rx = tx - kx * dw;
                                    if (rx < 0 || rx % sw != 0 || rx / sw >= out_width)
                                        continue;
                                    const float *d = gradient + ry / sh * out_width + rx / sw, *f = filter + ky * kw + kx;
                                    for (int o = 0; o < filters; ++o, d += plane, f += channels * taps)
                                        sum += *d * *f;
                                }
                            }
                        }
                        *dx++ = sum;
                    }
            }
        }
}
