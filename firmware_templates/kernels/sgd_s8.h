/* sgd_s8.h - w -= u, rounded and saturated, for int8 weights (to ±127) and int32 biases (to ±2^30), be they deltas
 * (biases_s8.h); u in units of the scale s.
 *
 *     u = lr * scale * dw / (unit * s)^2 + lr * weight_decay * w          without qas: not divided
 *
 * Rounding is stochastic by a hash of seed, step, parameter and element (of the model's own order), to nearest, or
 * towards zero. What it is, and the numbers, are literals at every call; `filters` and `channels` tell where each of the
 * weight's stood in the model's own order, 0: where it stands. */
#pragma once
#include "biases_s8.h"

enum { WB_STOCHASTIC, WB_NEAREST, WB_TRUNCATE };

/* What becomes of each element. In the model's order filters are `apart` elements from one to the next, channels `taps`. */
typedef struct {
    int apart, taps, parameter, rounding, qas;
    float unit, scale, weight_decay;
    const int16_t *filters, *channels;
} wb_integer_rule;

/* Rows are filters, of `count` elements each in w and dw. */
typedef struct {
    int rows, count;
    wb_integer_rule rule;
} wb_integer_sgd;

/* Of an int32 bias kept as a delta, one element a channel. */
typedef struct {
    wb_integer_rule bias;
    const int16_t *wide;
} wb_delta_rule;

typedef struct {
    int channels;
    wb_delta_rule rule;
} wb_delta_sgd;

/* limit: where the weight saturates. */
typedef struct {
    wb_integer_rule p;
    int limit;
    float lr;
    uint32_t key;
} wb_update_s8;

/* "lowbias32" of Chris Wellons, 2018. */
WB_KERNEL uint32_t wb_mixed(uint32_t x)
{
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return x ^ x >> 16;
}

/* 0 where nothing counts. */
WB_KERNEL uint32_t wb_counter(const int32_t *at)
{
    return at ? (uint32_t)*at : 0u;
}

WB_KERNEL wb_update_s8 wb_update_of(wb_integer_rule p, int limit, const float *lr, const int32_t *seed, const int32_t *step)
{
    const uint32_t drawn = wb_mixed(wb_mixed(wb_counter(seed) ^ 0x9e3779b9u) + wb_counter(step));
    return (wb_update_s8){ p, limit, *lr, wb_mixed(drawn + (uint32_t)p.parameter) };
}

/* The place in the model's own order of element i of filter o. */
WB_KERNEL uint32_t wb_own_element(wb_integer_rule p, int o, int i)
{
    const int filter = p.filters ? p.filters[o] : o;
    return (uint32_t)(filter * p.apart + (p.channels ? p.channels[i / p.taps] * p.taps + i % p.taps : i));
}

/* The rate at which the filter with scale s moves. */
WB_KERNEL float wb_rate_of(wb_update_s8 to, float s)
{
    const float rate = to.lr * to.p.scale;
    return to.p.qas ? rate / (to.p.unit * s * (to.p.unit * s)) : rate;
}

/* Towards zero. What is no number counts as 0: C leaves open what a conversion makes of it, that of an FPU makes 0. */
WB_KERNEL int wb_truncated(float x)
{
#ifdef __ARM_FP
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

/* w + down, saturated. */
WB_KERNEL int wb_saturated(int limit, int w, int down)
{
    if (limit < 1 << 29) {
        const int sum = w + down;
        return sum > limit ? limit : sum < -limit ? -limit : sum;
    }
    const int64_t sum = (int64_t)w + down;
    return sum > limit ? limit : sum < -limit ? -limit : (int)sum;
}

/* Element i of filter o behind its update. */
WB_KERNEL int wb_updated(wb_update_s8 to, float rate, int w, float dw, int o, int i)
{
    float u = rate * dw;
    if (to.p.weight_decay != 0.0f)
        u = u + to.lr * to.p.weight_decay * (float)w;
    u = u >= 1073741824.0f ? 1073741824.0f : u;
    u = u <= -1073741824.0f ? -1073741824.0f : u; /* what is no number stays so, and moves nothing */
    if (to.p.rounding == WB_TRUNCATE) {
        const int updated = wb_saturated(to.limit, w, wb_floor(-u));
        return updated >= 0 ? updated : wb_saturated(to.limit, w, -wb_floor(u));
    }
    const float r =
        to.p.rounding == WB_NEAREST ? 0.5f : (float)(wb_mixed(to.key + wb_own_element(to.p, o, i)) >> 8) * 0x1p-24f;
    return wb_saturated(to.limit, w, wb_floor(-u + r));
}

WB_KERNEL void sgd_s8(wb_integer_sgd p, int8_t *restrict w, const float *restrict dw, const float *restrict s,
                      const float *restrict lr, const int32_t *restrict seed, const int32_t *restrict step)
{
    const wb_update_s8 to = wb_update_of(p.rule, 127, lr, seed, step);
    for (int o = 0; o < p.rows; ++o) {
        const float rate = wb_rate_of(to, s[o]);
        for (int i = 0; i < p.count; ++i, ++w)
            *w = (int8_t)wb_updated(to, rate, *w, *dw++, o, i);
    }
}

WB_KERNEL void sgd_s32(wb_integer_sgd p, int32_t *restrict w, const float *restrict dw, const float *restrict s,
                       const float *restrict lr, const int32_t *restrict seed, const int32_t *restrict step)
{
    const wb_update_s8 to = wb_update_of(p.rule, 1 << 30, lr, seed, step);
    for (int o = 0; o < p.rows; ++o) {
        const float rate = wb_rate_of(to, s[o]);
        for (int i = 0; i < p.count; ++i, ++w)
            *w = wb_updated(to, rate, *w, *dw++, o, i);
    }
}

/* The bias of channel o behind its update, kept as a delta. */
WB_KERNEL void wb_update_delta(wb_update_s8 to, const int16_t *wide, int16_t *delta, const int32_t *b, float s, float db,
                               int o)
{
    const int updated = wb_updated(to, wb_rate_of(to, s), b[o] + wb_delta(delta, wide, o), db, o, 0);
    wb_set_delta(delta, wide, o, (int64_t)updated - b[o]);
}

WB_KERNEL void sgd_delta_s32(wb_delta_sgd p, int16_t *restrict delta, const float *restrict db, const int32_t *restrict b,
                             const float *restrict s, const float *restrict lr, const int32_t *restrict seed,
                             const int32_t *restrict step)
{
    const wb_update_s8 to = wb_update_of(p.rule.bias, 1 << 30, lr, seed, step);
    for (int o = 0; o < p.channels; ++o)
        wb_update_delta(to, p.rule.wide, delta, b, s[o], db[o], o);
}
