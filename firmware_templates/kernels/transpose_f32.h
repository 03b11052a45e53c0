/* transpose_f32.h - y in its own order; axis i of y has n_i elements, s_i apart in x. Loops of one element fold away. */
#pragma once
#include "wb_kernel.h"

#define WB_TRANSPOSE(NAME, TYPE)                                                                                    \
WB_KERNEL void NAME(int n0, int s0, int n1, int s1, int n2, int s2, int n3, int s3, int n4, int s4, int n5, int s5, \
                        const TYPE *restrict x, TYPE *restrict y)                                                   \
{                                                                                                                   \
    for (int a = 0; a < n0; ++a)                                                                                    \
        for (int b = 0; b < n1; ++b)                                                                                \
            for (int c = 0; c < n2; ++c)                                                                            \
                for (int d = 0; d < n3; ++d)                                                                        \
                    for (int e = 0; e < n4; ++e) {                                                                  \
                        const TYPE *p = x + a * s0 + b * s1 + c * s2 + d * s3 + e * s4;                             \
                        _Pragma("GCC unroll 4")                                                                     \
                        for (int f = 0; f < n5; ++f)                                                                \
                            *y++ = p[f * s5];                                                                       \
                    }                                                                                               \
}

WB_TRANSPOSE(transpose_f32, float)
WB_TRANSPOSE(transpose_s8, int8_t)
