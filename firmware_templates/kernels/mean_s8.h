/* mean_s8.h - the mean over some axes as int8, rescaled: loops as in mean_f32.h; the factor holds 1 / elements too. */
#pragma once
#include "loops.h"
#include "requantize_s8.h"

typedef struct {
    wb_loops loops;
    int zero_x;
    wb_factor factor;
} wb_mean_s8;

WB_KERNEL void mean_s8(wb_mean_s8 p, const int8_t *restrict x, int8_t *restrict y, uint32_t *restrict mask)
{
    const wb_loops l = p.loops;
    int at = 0;
    wb_none_pass(l.n[0] * l.n[1] * l.n[2], mask);
    for (int a = 0; a < l.n[0]; ++a)
        for (int b = 0; b < l.n[1]; ++b)
            for (int c = 0; c < l.n[2]; ++c, ++at) {
                const int8_t *from = x + wb_in_loops(l, a, b, c, 0, 0);
                int sum = -p.zero_x * l.n[3] * l.n[4] * l.n[5];
                for (int d = 0; d < l.n[3]; ++d)
                    for (int e = 0; e < l.n[4]; ++e)
#pragma GCC unroll 4
                        for (int f = 0; f < l.n[5]; ++f)
                            sum += from[d * l.step[3] + e * l.step[4] + f * l.step[5]];
                y[at] = wb_requantize_s8(p.factor, sum, mask, at);
            }
}
