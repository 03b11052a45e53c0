/* concatenate_f32.h - each row of y = a piece of every operand in turn.
 *
 * Any number of operands come as an array, not as variable arguments: of those, gcc's figure of the stack leaves out what
 * the called function pushes. */
#pragma once
#include "wb_kernel.h"

/* `rows` rows of `row` elements; sizes: of the piece of each of `count` operands. */
typedef struct {
    int rows, row, count;
    const int *sizes;
} wb_concatenate;

WB_KERNEL void concatenate_piece_f32(int rows, int row, int size, const float *restrict x, float *restrict y)
{
    for (int o = 0; o < rows; ++o)
        for (int e = 0; e < size; ++e)
            y[o * row + e] = x[o * size + e];
}

WB_KERNEL void concatenate_piece_s8(int rows, int row, int size, const int8_t *restrict x, int8_t *restrict y)
{
    for (int o = 0; o < rows; ++o)
        for (int e = 0; e < size; ++e)
            y[o * row + e] = x[o * size + e];
}

WB_KERNEL void concatenate_f32(wb_concatenate p, const float *const *operands, float *y)
{
#pragma GCC unroll 16
    for (int i = 0; i < p.count; y += p.sizes[i], ++i)
        concatenate_piece_f32(p.rows, p.row, p.sizes[i], operands[i], y);
}

WB_KERNEL void concatenate_s8(wb_concatenate p, const int8_t *const *operands, int8_t *y)
{
#pragma GCC unroll 16
    for (int i = 0; i < p.count; y += p.sizes[i], ++i)
        concatenate_piece_s8(p.rows, p.row, p.sizes[i], operands[i], y);
}
