/* batch_matmul_f32.h - y[i] = a[i] * b[i], matrices one behind the other (see matmul_f32.h). */
#pragma once
#include "matmul_f32.h"

typedef struct {
    int count;
    wb_matmul each;
} wb_batch_matmul;

WB_KERNEL void batch_matmul_f32(wb_batch_matmul p, const float *restrict a, const float *restrict b, float *restrict y)
{
    const wb_matmul m = p.each;
    for (int i = 0; i < p.count; ++i)
        matmul_f32(m, a + i * (m.rows * m.inner), b + i * (m.inner * m.columns), 0, y + i * (m.rows * m.columns));
}
