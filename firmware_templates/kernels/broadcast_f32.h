/* broadcast_f32.h - y = a + b, a - b, a * b, a / b, or what compares them. y may lie over an operand of its own
 * shape. */
#pragma once
#include "broadcast.h"

/* shape: of y. alike: a and b have it, too, and `loops` is not needed. a, b: for tiles of a result that has loops. */
typedef struct {
    int how, alike;
    wb_shape shape;
    wb_broadcast loops;
    wb_moves a, b;
} wb_two_f32;

WB_KERNEL float wb_of_two_f32(int how, float a, float b)
{
    switch (how) {
    case WB_PLUS: return a + b;
    case WB_MINUS: return a - b;
    case WB_TIMES: return a * b;
    case WB_OVER: return a / b;
    case WB_LARGER: return a > b || a != a ? a : b;
    case WB_SMALLER: return a < b || a != a ? a : b;
    default: return a > b ? 1.0f : a == b ? 0.5f : 0.0f; /* WB_ABOVE */
    }
}

/* y by its loops, at once. */
WB_KERNEL void broadcast_f32(int how, wb_broadcast s, const float *a, const float *b, float *y)
{
    for (int i = 0; i < s.n[0]; ++i)
        for (int j = 0; j < s.n[1]; ++j)
            for (int k = 0; k < s.n[2]; ++k, y += s.n[3]) {
                const float *from = a + (i * s.a[0] + j * s.a[1] + k * s.a[2]);
                const float *other = b + (i * s.b[0] + j * s.b[1] + k * s.b[2]);
#pragma GCC unroll 4
                for (int l = 0; l < s.n[3]; ++l)
                    y[l] = wb_of_two_f32(how, from[l * s.a[3]], other[l * s.b[3]]);
            }
}

/* step_a, step_b: from element to element. */
WB_KERNEL void of_two_run_f32(int how, int count, int step_a, int step_b, const float *a, const float *b, float *y)
{
#pragma GCC unroll 4
    for (int i = 0; i < count; ++i)
        y[i] = wb_of_two_f32(how, a[i * step_a], b[i * step_b]);
}

WB_KERNEL const float *wb_moved_f32(wb_view_f32 x, wb_moves m, int n, int c, int r)
{
    return wb_row_of_f32(x, m.image ? n : 0, m.channel ? c : 0, m.row ? r : 0);
}

WB_KERNEL void of_two_f32(wb_two_f32 p, wb_tile t, wb_view_f32 a, wb_view_f32 b, wb_view_f32 y)
{
    const int whole = wb_lies_whole_f32(a) && wb_lies_whole_f32(b) && wb_lies_whole_f32(y);
    if (!p.alike && whole && wb_is_everything(t, p.shape)) {
        broadcast_f32(p.how, p.loops, a.at, b.at, y.at);
        return;
    }
    const wb_runs_in_tile runs = wb_runs_f32(t, p.shape.columns, p.alike ? WB_ALL_IMAGES : WB_A_ROW, a, b, y);
    WB_FOR_RUNS(runs, t, n, c, r)
        of_two_run_f32(p.how, runs.length, p.a.column, p.b.column, wb_moved_f32(a, p.a, n, c, r),
                       wb_moved_f32(b, p.b, n, c, r), wb_row_of_f32(y, n, c, r));
}
