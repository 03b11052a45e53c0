/* strided_slice_f32.h - y = elements [begin, end) of each of `outer` rows of x; the gradient puts them back amid zeros. */
#pragma once
#include "wb_kernel.h"

WB_KERNEL void strided_slice_f32(int outer, int row, int begin, int end, const float *restrict x, float *restrict y)
{
    for (int o = 0; o < outer; ++o, x += row)
#pragma GCC unroll 4
        for (int e = begin; e < end; ++e)
            *y++ = x[e];
}

WB_KERNEL void strided_slice_s8(int outer, int row, int begin, int end, const int8_t *restrict x, int8_t *restrict y)
{
    for (int o = 0; o < outer; ++o, x += row)
#pragma GCC unroll 4
        for (int e = begin; e < end; ++e)
            *y++ = x[e];
}

WB_KERNEL void strided_slice_grad_f32(int outer, int row, int begin, int end, const float *restrict dy,
                                      float *restrict dx)
{
    for (int o = 0; o < outer; ++o, dx += row) {
        for (int e = 0; e < begin; ++e)
            dx[e] = 0.0f;
#pragma GCC unroll 4
        for (int e = begin; e < end; ++e)
            dx[e] = *dy++;
        for (int e = end; e < row; ++e)
            dx[e] = 0.0f;
    }
}
