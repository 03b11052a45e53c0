/* sum_to_f32.h - y = times * sum x * (b - zero): the steps of y are `a` of the loops, 0 where it sums; x is read in order.
 *
 * y may lie over x where nothing is summed. */
#pragma once
#include "broadcast.h"

/* count: of y; zero: of an int8 b. */
typedef struct {
    int count;
    wb_broadcast loops;
    float times;
    int zero;
} wb_sum_to;

/* What x is multiplied by: an element of `real` or of `whole`; where both are 0, one. */
WB_KERNEL float wb_other_f32(const float *real, const int8_t *whole, int i, int zero)
{
    return real ? real[i] : whole ? (float)(whole[i] - zero) : 1.0f;
}

WB_KERNEL void sum_to_any(wb_sum_to q, const float *x, const float *real, const int8_t *whole, float *y)
{
    const wb_broadcast p = q.loops;
    const int sums = p.n[0] * p.n[1] * p.n[2] * p.n[3] != q.count;
    if (sums)
        for (int i = 0; i < q.count; ++i)
            y[i] = 0.0f;
    for (int i = 0; i < p.n[0]; ++i)
        for (int j = 0; j < p.n[1]; ++j)
            for (int k = 0; k < p.n[2]; ++k, x += p.n[3]) {
                float *to = y + (i * p.a[0] + j * p.a[1] + k * p.a[2]);
                const int other = i * p.b[0] + j * p.b[1] + k * p.b[2];
                if (!sums) {
                    for (int l = 0; l < p.n[3]; ++l) {
                        const float product = x[l] * wb_other_f32(real, whole, other + l * p.b[3], q.zero);
                        to[l * p.a[3]] = q.times == 1.0f ? product : product * q.times;
                    }
                } else if (p.a[3]) {
                    for (int l = 0; l < p.n[3]; ++l)
                        to[l] += x[l] * wb_other_f32(real, whole, other + l * p.b[3], q.zero);
                } else {
                    float sum = *to;
                    for (int l = 0; l < p.n[3]; ++l)
                        sum += x[l] * wb_other_f32(real, whole, other + l * p.b[3], q.zero);
                    *to = sum;
                }
            }
    if (sums && q.times != 1.0f)
        for (int i = 0; i < q.count; ++i)
            y[i] = y[i] * q.times;
}

WB_KERNEL void sum_to_f32(wb_sum_to p, const float *x, const float *b, float *y)
{
    sum_to_any(p, x, b, 0, y);
}

WB_KERNEL void sum_to_s8(wb_sum_to p, const float *x, const int8_t *b, float *y)
{
    sum_to_any(p, x, 0, b, y);
}
