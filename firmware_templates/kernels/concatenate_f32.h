/* concatenate_f32.h - each row of y = a piece of every operand in turn, `outer` rows.
 *
 * After `count` come as many piece sizes, as many operands, and y. This is the one kernel that is not inlined: C has no
 * other way to take any number of operands. */
#pragma once
#include <stdarg.h>

#include "wb_kernel.h"

static __attribute__((noinline)) void concatenate_f32(int outer, int row, int count, ...)
{
    va_list sizes, operands, result;
    va_start(sizes, count);
    va_copy(operands, sizes);
    for (int i = 0; i < count; ++i)
        (void)va_arg(operands, int);
    va_copy(result, operands);
    for (int i = 0; i < count; ++i)
        (void)va_arg(result, const float *);
    float *restrict y = va_arg(result, float *);
    for (int i = 0; i < count; ++i) {
        const int size = va_arg(sizes, int);
        const float *restrict x = va_arg(operands, const float *);
        for (int o = 0; o < outer; ++o, x += size)
            for (int e = 0; e < size; ++e)
                y[o * row + e] = x[e];
        y += size;
    }
    va_end(result);
    va_end(operands);
    va_end(sizes);
}
