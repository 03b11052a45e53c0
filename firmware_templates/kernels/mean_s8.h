/* mean_s8.h - the mean over some axes as int8, rescaled: loops as in mean_f32.h; the factor holds 1 / elements too. */
#pragma once
#include "requantize_s8.h"

WB_KERNEL void mean_s8(int n0, int s0, int n1, int s1, int n2, int s2, int m0, int t0, int m1, int t1, int m2, int t2,
                       int form, int zero_x, int zero_y, int low, int high, int m, int shift,
                       const int8_t *restrict x, int8_t *restrict y, uint32_t *restrict mask)
{
    const wb_factor factor = { form, zero_y, low, high, m, shift };
    int at = 0;
    wb_none_pass(n0 * n1 * n2, mask);
    for (int a = 0; a < n0; ++a)
        for (int b = 0; b < n1; ++b)
            for (int c = 0; c < n2; ++c, ++at) {
                const int8_t *p = x + a * s0 + b * s1 + c * s2;
                int sum = -zero_x * m0 * m1 * m2;
                for (int d = 0; d < m0; ++d)
                    for (int e = 0; e < m1; ++e)
#pragma GCC unroll 4
                        for (int f = 0; f < m2; ++f)
                            sum += p[d * t0 + e * t1 + f * t2];
                y[at] = wb_requantize_s8(factor, sum, mask, at);
            }
}
