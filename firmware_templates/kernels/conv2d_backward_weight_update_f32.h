/* conv2d_backward_weight_update_f32.h - a convolution's weight gradient that is never in memory: each element goes straight
 * to the sum over several batches, or into the weight. */
#pragma once
#include "conv2d_backward_weight_f32.h"

WB_KERNEL void conv2d_backward_weight_accumulate_f32(int batch, int groups, int channels, int in_height, int in_width,
                                                     int filters, int out_height, int out_width,
                                                     int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw,
                                                     float *restrict sum, const float *restrict dy,
                                                     const float *restrict x)
{
    const wb_sink sink = { .kind = WB_ADD };
    conv2d_backward_weight_into_f32(batch, groups, channels, in_height, in_width, filters, out_height, out_width, kh,
                                    kw, sh, sw, pt, pl, dh, dw, dy, x, sink, sum, 0);
}

WB_KERNEL void conv2d_backward_weight_sgd_f32(int batch, int groups, int channels, int in_height, int in_width,
                                              int filters, int out_height, int out_width,
                                              int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw,
                                              float scale, float weight_decay,
                                              float *restrict w, const float *restrict dy,
                                              const float *restrict x, const float *restrict lr)
{
    const wb_sink sink = { .kind = WB_SGD, .rate = *lr, .scale = scale, .weight_decay = weight_decay };
    conv2d_backward_weight_into_f32(batch, groups, channels, in_height, in_width, filters, out_height, out_width, kh,
                                    kw, sh, sw, pt, pl, dh, dw, dy, x, sink, w, 0);
}

WB_KERNEL void conv2d_backward_weight_sgd_momentum_f32(int batch, int groups, int channels, int in_height, int in_width,
                                                       int filters, int out_height, int out_width,
                                                       int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw,
                                                       float momentum, float scale, float weight_decay,
                                                       float *restrict w, const float *restrict dy,
                                                       const float *restrict x, float *restrict v, const float *restrict lr)
{
    const wb_sink sink = { .kind = WB_MOMENTUM, .rate = *lr,
                           .momentum = momentum, .scale = scale, .weight_decay = weight_decay };
    conv2d_backward_weight_into_f32(batch, groups, channels, in_height, in_width, filters, out_height, out_width, kh,
                                    kw, sh, sw, pt, pl, dh, dw, dy, x, sink, w, v);
}
