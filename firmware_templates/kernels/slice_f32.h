/* slice_f32.h - slice: y is a part of x, which begins at element `first`; pad: x is such a part of y, the rest is `value`.
 * An axis of the part has n elements, s apart in the larger array. */
#pragma once
#include "transpose_f32.h"

#define WB_SLICE(SUFFIX, TYPE)                                                                                       \
WB_KERNEL void slice_##SUFFIX(int first, int n0, int s0, int n1, int s1, int n2, int s2, int n3, int s3,             \
                              int n4, int s4, int n5, int s5, const TYPE *restrict x, TYPE *restrict y)              \
{                                                                                                                    \
    transpose_##SUFFIX(n0, s0, n1, s1, n2, s2, n3, s3, n4, s4, n5, s5, x + first, y);                                \
}                                                                                                                    \
                                                                                                                     \
WB_KERNEL void pad_##SUFFIX(int elements, int first, int n0, int s0, int n1, int s1, int n2, int s2, int n3, int s3, \
                            int n4, int s4, int n5, int s5, TYPE value, const TYPE *restrict x, TYPE *restrict y)    \
{                                                                                                                    \
    for (int i = 0; i < elements; ++i)                                                                               \
        y[i] = value;                                                                                                \
    for (int a = 0; a < n0; ++a)                                                                                     \
        for (int b = 0; b < n1; ++b)                                                                                 \
            for (int c = 0; c < n2; ++c)                                                                             \
                for (int d = 0; d < n3; ++d)                                                                         \
                    for (int e = 0; e < n4; ++e) {                                                                   \
                        TYPE *p = y + first + a * s0 + b * s1 + c * s2 + d * s3 + e * s4;                            \
                        _Pragma("GCC unroll 4")                                                                      \
                        for (int f = 0; f < n5; ++f)                                                                 \
                            p[f * s5] = *x++;                                                                        \
                    }                                                                                                \
}

WB_SLICE(f32, float)
WB_SLICE(s8, int8_t)
