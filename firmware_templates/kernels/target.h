/* target.h - the target of a loss of numbers: float32, or int8 dequantized as it is read. */
#pragma once
#include "wb_kernel.h"

typedef struct {
    const float *f32; /* 0: int8 */
    const int8_t *s8;
    float scale;
    int zero;
} wb_target;

WB_KERNEL float wb_target_at(wb_target t, int i) { return t.f32 ? t.f32[i] : (float)(t.s8[i] - t.zero) * t.scale; }
