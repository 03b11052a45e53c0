/* concatenate_f32.h - each row of y = a piece of every operand in turn, `outer` rows of `row` elements.
 *
 * Any number of operands come as an array, not as variable arguments: of those, gcc's figure of the stack leaves out what
 * the called function pushes. */
#pragma once
#include "wb_kernel.h"

WB_KERNEL void concatenate_piece_f32(int outer, int row, int size, const float *restrict x, float *restrict y)
{
    for (int o = 0; o < outer; ++o)
        for (int e = 0; e < size; ++e)
            y[o * row + e] = x[o * size + e];
}

WB_KERNEL void concatenate_f32(int outer, int row, int count, const int *sizes, const float *const *operands, float *y)
{
    int begin = 0;
#pragma GCC unroll 16
    for (int i = 0; i < count; ++i) {
        concatenate_piece_f32(outer, row, sizes[i], operands[i], y + begin);
        begin += sizes[i];
    }
}
