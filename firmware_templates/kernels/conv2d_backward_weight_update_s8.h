/* conv2d_backward_weight_update_s8.h - an int8 convolution's weight gradient that is never in memory: each element goes
 * straight to the sum over several batches, or into the int8 weight. */
#pragma once
#include "conv2d_backward_weight_s8.h"

WB_KERNEL void conv2d_backward_weight_accumulate_s8(int batch, int groups, int channels, int in_height, int in_width,
                                                    int filters, int out_height, int out_width,
                                                    int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw,
                                                    float x_scale, int zero, float *restrict sum,
                                                    const float *restrict dy, const int8_t *restrict x, void *scratch)
{
    conv2d_backward_weight_into_s8(batch, groups, channels, in_height, in_width, filters, out_height, out_width, kh, kw,
                                   sh, sw, pt, pl, dh, dw, x_scale, zero, dy, x, (wb_sink_s8){ .add = sum }, scratch);
}

WB_KERNEL void conv2d_backward_weight_sgd_s8(int batch, int groups, int channels, int in_height, int in_width,
                                             int filters, int out_height, int out_width,
                                             int kh, int kw, int sh, int sw, int pt, int pl, int dh, int dw,
                                             float x_scale, int zero, int first, int apart, int parameter, int rounding, int qas,
                                             float unit, float scale, float weight_decay, int taps,
                                             const int16_t *filters_were, const int16_t *channels_were,
                                             int8_t *restrict w, const float *restrict dy, const int8_t *restrict x,
                                             const float *restrict s, const float *restrict lr,
                                             const int32_t *restrict seed, const int32_t *restrict step, void *scratch)
{
    const wb_update_s8 update = wb_update_of(127, first, apart, parameter, rounding, qas, unit, scale, weight_decay, taps,
                                             filters_were, channels_were, *lr, seed ? *seed : 0, step ? *step : 0);
    const wb_sink_s8 sink = { .w = w, .s = s, .update = update };
    conv2d_backward_weight_into_s8(batch, groups, channels, in_height, in_width, filters, out_height, out_width, kh, kw,
                                   sh, sw, pt, pl, dh, dw, x_scale, zero, dy, x, sink, scratch);
}
