/* naive_batch_matmul_f32.h - y[i] = a[i] * b[i], as naive_matmul_f32.h has it. */
#pragma once
#include "batch_matmul_f32.h"
#include "naive_matmul_f32.h"

WB_KERNEL void naive_batch_matmul_f32(wb_batch_matmul p, const float *restrict a, const float *restrict b, float *restrict y)
{
    const wb_matmul m = p.each;
    for (int i = 0; i < p.count; ++i)
        naive_matmul_f32(m, a + i * (m.rows * m.inner), b + i * (m.inner * m.columns), 0, y + i * (m.rows * m.columns));
}
