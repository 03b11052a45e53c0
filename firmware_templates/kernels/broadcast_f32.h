/* broadcast_f32.h - y = a + b, a - b or a * b. y may lie over an operand of its own shape. */
#pragma once
#include "add_f32.h"
#include "broadcast.h"

WB_KERNEL float wb_of_two_f32(int how, float a, float b)
{
    return how == WB_PLUS ? a + b : how == WB_MINUS ? a - b : a * b;
}

WB_KERNEL void broadcast_f32(int how, wb_broadcast p, const float *a, const float *b, float *y)
{
    for (int i = 0; i < p.n[0]; ++i)
        for (int j = 0; j < p.n[1]; ++j)
            for (int k = 0; k < p.n[2]; ++k, y += p.n[3]) {
                const float *from = a + (i * p.a[0] + j * p.a[1] + k * p.a[2]);
                const float *other = b + (i * p.b[0] + j * p.b[1] + k * p.b[2]);
#pragma GCC unroll 4
                for (int l = 0; l < p.n[3]; ++l)
                    y[l] = wb_of_two_f32(how, from[l * p.a[3]], other[l * p.b[3]]);
            }
}
