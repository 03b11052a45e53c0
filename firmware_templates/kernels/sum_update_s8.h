/* sum_update_s8.h - the gradient of an int32 bias that is never in memory: each element goes straight into the bias. */
#pragma once
#include "sgd_s8.h"
#include "sum_f32.h"

WB_KERNEL void sum_sgd_s8(int batch, int channels, int plane, float times, int first, int apart, int parameter, int rounding, int qas,
                          float unit, float scale, float weight_decay, int taps, const int16_t *filters,
                          const int16_t *no_channels, int32_t *restrict b, const float *restrict x,
                          const float *restrict s, const float *restrict lr, const int32_t *restrict seed,
                          const int32_t *restrict step)
{
    const wb_update_s8 update = wb_update_of(1 << 30, first, apart, parameter, rounding, qas, unit, scale, weight_decay, taps,
                                             filters, no_channels, *lr, seed ? *seed : 0, step ? *step : 0);
    for (int c = 0; c < channels; ++c)
        b[c] = wb_updated(wb_update_at(update, s[c]), b[c], channel_sum_f32(batch, channels, plane, c, times, x),
                          c, 0);
}
