/* concatenate_f32.h - each row of y = a piece of every operand in turn, `outer` rows of `row` elements.
 *
 * Any number of operands come as an array, not as variable arguments: of those, gcc's figure of the stack leaves out what
 * the called function pushes. */
#pragma once
#include "wb_kernel.h"

#define WB_CONCATENATE(SUFFIX, TYPE)                                                                                   \
WB_KERNEL void concatenate_piece_##SUFFIX(int outer, int row, int size, const TYPE *restrict x, TYPE *restrict y)      \
{                                                                                                                      \
    for (int o = 0; o < outer; ++o)                                                                                    \
        for (int e = 0; e < size; ++e)                                                                                 \
            y[o * row + e] = x[o * size + e];                                                                          \
}                                                                                                                      \
                                                                                                                       \
WB_KERNEL void concatenate_##SUFFIX(int outer, int row, int count, const int *sizes, const TYPE *const *operands,      \
                                    TYPE *y)                                                                           \
{                                                                                                                      \
    int begin = 0;                                                                                                     \
    _Pragma("GCC unroll 16")                                                                                           \
    for (int i = 0; i < count; ++i) {                                                                                  \
        concatenate_piece_##SUFFIX(outer, row, sizes[i], operands[i], y + begin);                                      \
        begin += sizes[i];                                                                                             \
    }                                                                                                                  \
}

WB_CONCATENATE(f32, float)
WB_CONCATENATE(s8, int8_t)
