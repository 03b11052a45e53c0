/* sum_update_f32.h - a bias gradient that is never in memory: each element goes straight to the sum over several batches,
 * or into the bias. */
#pragma once
#include "sum_f32.h"

WB_KERNEL void sum_accumulate_f32(int batch, int channels, int plane, float times,
                                  float *restrict sum, const float *restrict x)
{
    const wb_sink sink = { .kind = WB_ADD };
    sum_into_f32(batch, channels, plane, times, x, sink, sum, 0);
}

WB_KERNEL void sum_sgd_f32(int batch, int channels, int plane, float times,
                           float scale, float weight_decay,
                           float *restrict w, const float *restrict x, const float *restrict lr)
{
    const wb_sink sink = { .kind = WB_SGD, .rate = *lr, .scale = scale, .weight_decay = weight_decay };
    sum_into_f32(batch, channels, plane, times, x, sink, w, 0);
}

WB_KERNEL void sum_sgd_momentum_f32(int batch, int channels, int plane, float times,
                                    float momentum, float scale, float weight_decay,
                                    float *restrict w, const float *restrict x,
                                    float *restrict v, const float *restrict lr)
{
    const wb_sink sink = { .kind = WB_MOMENTUM, .rate = *lr,
                           .momentum = momentum, .scale = scale, .weight_decay = weight_decay };
    sum_into_f32(batch, channels, plane, times, x, sink, w, v);
}
