/* mean_f32.h - the mean over some axes: three loops over those that stay, (elements, apart in x), and three over those
 * that are added up; the gradient gives every element of a mean its share. Loops of one element fold away. */
#pragma once
#include "wb_kernel.h"

WB_KERNEL void mean_f32(int n0, int s0, int n1, int s1, int n2, int s2, int m0, int t0, int m1, int t1, int m2, int t2,
                        float share, const float *restrict x, float *restrict y)
{
    for (int a = 0; a < n0; ++a)
        for (int b = 0; b < n1; ++b)
            for (int c = 0; c < n2; ++c) {
                const float *p = x + a * s0 + b * s1 + c * s2;
                float sum = 0.0f;
                for (int d = 0; d < m0; ++d)
                    for (int e = 0; e < m1; ++e)
#pragma GCC unroll 4
                        for (int f = 0; f < m2; ++f)
                            sum += p[d * t0 + e * t1 + f * t2];
                *y++ = sum * share;
            }
}

/* dx in its own order; its axes have n elements, s apart in dy: 0 where they were added up. */
WB_KERNEL void mean_grad_f32(int n0, int s0, int n1, int s1, int n2, int s2, int n3, int s3, int n4, int s4,
                             int n5, int s5, float share, const float *restrict dy, float *restrict dx)
{
    for (int a = 0; a < n0; ++a)
        for (int b = 0; b < n1; ++b)
            for (int c = 0; c < n2; ++c)
                for (int d = 0; d < n3; ++d)
                    for (int e = 0; e < n4; ++e) {
                        const float *p = dy + a * s0 + b * s1 + c * s2 + d * s3 + e * s4;
#pragma GCC unroll 4
                        for (int f = 0; f < n5; ++f)
                            *dx++ = p[f * s5] * share;
                    }
}
