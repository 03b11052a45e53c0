/* sgd_s8.h - w -= u, rounded and saturated, for int8 weights (to ±127) and int32 biases (to ±2^30); u in units of the
 * scale s.
 *
 *     u = lr * scale * dw / (unit * s)^2 + lr * weight_decay * w          without qas: not divided
 *
 * Rounding is stochastic by a hash of seed, step, parameter and element (of the model's own order), to nearest, or
 * towards zero. What it is, and the numbers, are literals at every call; `filters` and `channels` tell where each of the
 * weight's stood in the model's own order, 0: where it stands. */
#pragma once
#include "wb_kernel.h"

enum { WB_STOCHASTIC, WB_NEAREST, WB_TRUNCATE };

typedef struct {
    int rounding, qas, limit, first, apart, taps;
    const int16_t *filters, *channels;
    float unit, scale, weight_decay, lr, rate;
    uint32_t key;
} wb_update_s8;

/* "lowbias32" of Chris Wellons, 2018. */
WB_KERNEL uint32_t wb_mixed(uint32_t x)
{
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return x ^ x >> 16;
}

/* Filter 0 is the `first` of the model's order, or of its table; filters are `apart` elements from one to the next there,
 * channels `taps`. */
WB_KERNEL wb_update_s8 wb_update_of(int limit, int first, int apart, int parameter, int rounding, int qas, float unit, float scale,
                                    float weight_decay, int taps, const int16_t *filters, const int16_t *channels,
                                    float lr, int32_t seed, int32_t step)
{
    const uint32_t key = wb_mixed(wb_mixed(wb_mixed((uint32_t)seed ^ 0x9e3779b9u) + (uint32_t)step) + (uint32_t)parameter);
    return (wb_update_s8){ rounding, qas, limit, first, apart, taps, filters, channels,
                           unit, scale, weight_decay, lr, lr * scale, key };
}

/* The place in the model's own order of element i of filter o. */
WB_KERNEL uint32_t wb_own_element(wb_update_s8 to, int o, int i)
{
    const int filter = to.filters ? to.filters[to.first + o] : to.first + o;
    return (uint32_t)(filter * to.apart + (to.channels ? to.channels[i / to.taps] * to.taps + i % to.taps : i));
}

/* For the filter whose scale is s. */
WB_KERNEL wb_update_s8 wb_update_at(wb_update_s8 to, float s)
{
    if (to.qas)
        to.rate = to.rate / (to.unit * s * (to.unit * s));
    return to;
}

/* Towards zero. What is no number counts as 0: C leaves open what a conversion makes of it, these cores' makes 0. */
WB_KERNEL int wb_truncated(float x)
{
#ifdef __arm__
    return (int)x;
#else
    return x != x ? 0 : (int)x;
#endif
}

/* The largest whole number that is not above x, for |x| up to 2^30 and a bit; 0 for what is no number. */
WB_KERNEL int wb_floor(float x)
{
    const int whole = wb_truncated(x);
    return whole - ((float)whole > x);
}

/* Element i of filter o behind its update. */
WB_KERNEL int wb_updated(wb_update_s8 to, int w, float dw, int o, int i)
{
    float u = to.rate * dw;
    if (to.weight_decay != 0.0f)
        u = u + to.lr * to.weight_decay * (float)w;
    u = u >= 1073741824.0f ? 1073741824.0f : u;
    u = u <= -1073741824.0f ? -1073741824.0f : u; /* what is no number stays so, and moves nothing */
    int64_t updated;
    if (to.rounding == WB_TRUNCATE) {
        const int down = wb_floor(-u);
        updated = (int64_t)w + down;
        updated = updated >= 0 ? updated : (int64_t)w - wb_floor(u);
    } else {
        const float r =
            to.rounding == WB_NEAREST ? 0.5f : (float)(wb_mixed(to.key + wb_own_element(to, o, i)) >> 8) * 0x1p-24f;
        updated = (int64_t)w + wb_floor(-u + r);
    }
    updated = updated < to.limit ? updated : to.limit;
    return (int)(updated > -to.limit ? updated : -to.limit);
}

/* Rows are filters, `count` elements each in w and dw. */
#define WB_SGD_S8(name, type, most)                                                                                    \
    WB_KERNEL void name(int rows, int count, int first, int apart, int parameter, int rounding, int qas, float unit, float scale, \
                        float weight_decay, int taps, const int16_t *filters, const int16_t *channels,                 \
                        type *restrict w, const float *restrict dw, const float *restrict s,                           \
                        const float *restrict lr, const int32_t *restrict seed, const int32_t *restrict step)          \
    {                                                                                                                  \
        const wb_update_s8 all = wb_update_of(most, first, apart, parameter, rounding, qas, unit, scale, weight_decay, taps,  \
                                              filters, channels, *lr, seed ? *seed : 0, step ? *step : 0);             \
        for (int o = 0; o < rows; ++o) {                                                                               \
            const wb_update_s8 to = wb_update_at(all, s[o]);                                                           \
            for (int i = 0; i < count; ++i, ++w)                                                                       \
                *w = (type)wb_updated(to, *w, *dw++, o, i);                                                            \
        }                                                                                                              \
    }

WB_SGD_S8(sgd_s8, int8_t, 127)
WB_SGD_S8(sgd_s32, int32_t, 1 << 30)
