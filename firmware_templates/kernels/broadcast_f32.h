/* broadcast_f32.h - y = a + b, a - b or a * b. y may lie over an operand of its own shape. */
#pragma once
#include "broadcast.h"

typedef struct {
    int how;
    wb_broadcast loops;
} wb_two_f32;

/* alike: a and b are of this shape, too, and `loops` is not needed. */
typedef struct {
    int alike;
    wb_shape shape;
    wb_broadcast loops;
} wb_add_f32;

WB_KERNEL float wb_of_two_f32(int how, float a, float b)
{
    return how == WB_PLUS ? a + b : how == WB_MINUS ? a - b : a * b;
}

WB_KERNEL void broadcast_f32(wb_two_f32 p, const float *a, const float *b, float *y)
{
    const wb_broadcast s = p.loops;
    for (int i = 0; i < s.n[0]; ++i)
        for (int j = 0; j < s.n[1]; ++j)
            for (int k = 0; k < s.n[2]; ++k, y += s.n[3]) {
                const float *from = a + (i * s.a[0] + j * s.a[1] + k * s.a[2]);
                const float *other = b + (i * s.b[0] + j * s.b[1] + k * s.b[2]);
#pragma GCC unroll 4
                for (int l = 0; l < s.n[3]; ++l)
                    y[l] = wb_of_two_f32(p.how, from[l * s.a[3]], other[l * s.b[3]]);
            }
}

WB_KERNEL void add_run_f32(int count, const float *a, const float *b, float *y)
{
#pragma GCC unroll 4
    for (int i = 0; i < count; ++i)
        y[i] = a[i] + b[i];
}

WB_KERNEL void add_f32(wb_add_f32 p, wb_tile t, wb_view_f32 a, wb_view_f32 b, wb_view_f32 y)
{
    if (!p.alike) {
        broadcast_f32((wb_two_f32){ WB_PLUS, p.loops }, a.at, b.at, y.at);
        return;
    }
    const wb_runs_in_tile runs = wb_runs_f32(t, p.shape.columns, WB_ALL_IMAGES, a, b, y);
    WB_FOR_RUNS(runs, t, n, c, r)
        add_run_f32(runs.length, wb_row_of_f32(a, n, c, r), wb_row_of_f32(b, n, c, r), wb_row_of_f32(y, n, c, r));
}
