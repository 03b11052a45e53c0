/* conv2d_backward_weight_s8.h - dw = x_scale * sum of dy * (x - zero), x being int8: one channel of it at a time as floats. */
#pragma once
#include "conv2d_backward_weight_f32.h"
#include "sgd_s8.h"

/* Channel c of all images of x, side by side. */
WB_KERNEL void centred_s8(int batch, int plane, int image, int zero, const int8_t *restrict x, float *restrict wide)
{
    for (int n = 0; n < batch; ++n)
#pragma GCC unroll 4
        for (int i = 0; i < plane; ++i)
            *wide++ = (float)(x[n * image + i] - zero);
}

/* Where elements of dw go: into memory, to a sum, or into the int8 weights at once. */
typedef struct {
    float *store, *add;
    int8_t *w;
    const float *s;
    wb_update_s8 update;
} wb_sink_s8;

WB_KERNEL void sink_s8(wb_sink_s8 sink, int o, int at, int in_filter, float g)
{
    if (sink.store)
        sink.store[at] = g;
    if (sink.add)
        sink.add[at] += g;
    if (sink.w)
        sink.w[at] = (int8_t)wb_updated(wb_update_at(sink.update, sink.s[o]), sink.w[at], g, o, in_filter);
}

WB_KERNEL void conv2d_backward_weight_into_s8(int batch, int groups, int channels, int in_height, int in_width,
                                              int filters, int out_height, int out_width,
                                              int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw,
                                              float x_scale, int zero, const float *restrict dy,
                                              const int8_t *restrict x, wb_sink_s8 sink, float *restrict wide)
{
    const int in_plane = in_height * in_width, out_plane = out_height * out_width, taps = kh * kw;
    for (int group = 0; group < groups; ++group)
        for (int c = 0; c < channels; ++c) {
            centred_s8(batch, in_plane, groups * channels * in_plane, zero, x + (group * channels + c) * in_plane, wide);
            for (int o = group * filters; o < (group + 1) * filters; ++o)
#pragma GCC unroll 3
                for (int ky = 0; ky < kh; ++ky)
#pragma GCC unroll 3
                    for (int kx = 0; kx < kw; ++kx) {
                        const int in_filter = c * taps + ky * kw + kx;
                        const float sum = weight_gradient_f32(batch, in_height, in_width, out_height, out_width, ky, kx,
                                                              sh, sw, pt, pl, dh, dw, groups * filters * out_plane,
                                                              in_plane, dy + o * out_plane, wide);
                        sink_s8(sink, o, o * channels * taps + in_filter, in_filter, sum * x_scale);
                    }
        }
}

WB_KERNEL void conv2d_backward_weight_s8(int batch, int groups, int channels, int in_height, int in_width,
                                         int filters, int out_height, int out_width,
                                         int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw,
                                         float x_scale, int zero,
                                         const float *restrict dy, const int8_t *restrict x, float *restrict dweight,
                                         void *scratch)
{
    conv2d_backward_weight_into_s8(batch, groups, channels, in_height, in_width, filters, out_height, out_width, kh, kw,
                                   sh, sw, pt, pl, dh, dw, x_scale, zero, dy, x, (wb_sink_s8){ .store = dweight }, scratch);
}
