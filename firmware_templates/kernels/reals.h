/* reals.h - numbers that are float32 as they lie, or int8 that stand for (q - zero) * scale. */
#pragma once
#include "wb_kernel.h"

/* scale and zero: of int8 ones. */
typedef struct {
    int count;
    float scale;
    int zero;
} wb_reals;

/* Number i, of one of the two arrays; the other is 0. */
WB_KERNEL float wb_real(wb_reals p, const float *f32, const int8_t *s8, int i)
{
    return f32 ? f32[i] : (float)(s8[i] - p.zero) * p.scale;
}
