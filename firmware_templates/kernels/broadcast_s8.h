/* broadcast_s8.h - y = clip(a + b), clip(a - b) or clip(a * b) of int8, rescaled; y may lie over an operand of its shape. */
#pragma once
#include "broadcast.h"
#include "clip_four_s8.h"
#include "requantize_s8.h"

/* Multipliers and shifts of a, of b, and of both: WB_TFLITE as its reference has them. A WB_ROUNDED sum has one shift to the
 * right and whole factors of a and b; a product is rescaled as any layer's sum. */
typedef struct {
    int how, form, zero_a, zero_b, zero_y, low, high;
    int a_m, a_shift, b_m, b_shift, m, shift;
} wb_pair_s8;

/* shape: of y. alike: a and b have it, too, and `loops` is not needed. a, b: for tiles of a result that has loops. */
typedef struct {
    wb_pair_s8 pair;
    int alike;
    wb_shape shape;
    wb_broadcast loops;
    wb_moves a, b;
} wb_two_s8;

WB_KERNEL int8_t wb_of_two_s8(wb_pair_s8 q, int a, int b, uint32_t *mask, int bit)
{
    a -= q.zero_a;
    b -= q.zero_b;
    if (q.how == WB_TIMES)
        return wb_requantize_s8((wb_factor){ q.form, q.zero_y, q.low, q.high, q.m, q.shift }, a * b, mask, bit);
    if (q.form == WB_ROUNDED) {
        const int of_b = q.how == WB_PLUS ? q.b_m : -q.b_m;
        return wb_clip_s8(q.low, q.high, q.zero_y + ((a * q.a_m + b * of_b + (1 << (q.shift - 1))) >> q.shift), mask, bit);
    }
    const int of_a = wb_times_tflite(a * (1 << 20), q.a_m, q.a_shift);
    const int of_b = wb_times_tflite(b * (1 << 20), q.b_m, q.b_shift);
    const int both = q.how == WB_PLUS ? of_a + of_b : of_a - of_b;
    return wb_clip_s8(q.low, q.high, q.zero_y + wb_times_tflite(both, q.m, q.shift), mask, bit);
}

/* y by its loops, at once. */
WB_KERNEL void broadcast_s8(wb_pair_s8 q, wb_broadcast s, const int8_t *a, const int8_t *b, int8_t *y,
                            uint32_t *restrict mask)
{
    int bit = 0;
    for (int i = 0; i < s.n[0]; ++i)
        for (int j = 0; j < s.n[1]; ++j)
            for (int k = 0; k < s.n[2]; ++k) {
                const int8_t *from = a + (i * s.a[0] + j * s.a[1] + k * s.a[2]);
                const int8_t *other = b + (i * s.b[0] + j * s.b[1] + k * s.b[2]);
                for (int l = 0; l < s.n[3]; ++l, ++bit)
                    y[bit] = wb_of_two_s8(q, from[l * s.a[3]], other[l * s.b[3]], mask, bit);
            }
}

/* Four of a WB_ROUNDED sum, of which each b counts of_b times; half: what all of them have in common. */
WB_KERNEL void of_two_four_s8(wb_pair_s8 q, int of_b, int half, const int8_t *a, const int8_t *b, int8_t *y, uint32_t *mask,
                              int bit)
{
    uint32_t four_a = wb_four(a), four_b = wb_four(b);
    const int zero = q.zero_y + clip_raise(q.low, q.high, mask);
    int v[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i, four_a >>= 8, four_b >>= 8)
        v[i] = zero + (((int8_t)(uint8_t)four_a * q.a_m + (int8_t)(uint8_t)four_b * of_b + half) >> q.shift);
    clip_four_s8(q.low, q.high, 4, v[0], v[1], v[2], v[3], y, mask, bit);
}

/* Elements whose bits of the mask, zero before, begin at `bit`; step_a, step_b: from one to the next. What the zero points
 * of a WB_ROUNDED sum add is one number. */
WB_KERNEL void of_two_run_s8(wb_pair_s8 q, int count, int step_a, int step_b, const int8_t *a, const int8_t *b, int8_t *y,
                             uint32_t *restrict mask, int bit)
{
    if (q.form != WB_ROUNDED || q.how == WB_TIMES) {
        for (int i = 0; i < count; ++i)
            y[i] = wb_of_two_s8(q, a[i * step_a], b[i * step_b], mask, bit + i);
        return;
    }
    const int of_b = q.how == WB_PLUS ? q.b_m : -q.b_m;
    const int half = (1 << (q.shift - 1)) - q.zero_a * q.a_m - q.zero_b * of_b;
    int i = 0;
    if (step_a == 1 && step_b == 1)
        for (; i + 3 < count; i += 4)
            of_two_four_s8(q, of_b, half, a + i, b + i, y + i, mask, bit + i);
    for (; i < count; ++i) {
        const int sum = a[i * step_a] * q.a_m + b[i * step_b] * of_b + half;
        y[i] = wb_clip_s8(q.low, q.high, q.zero_y + (sum >> q.shift), mask, bit + i);
    }
}

WB_KERNEL const int8_t *wb_moved_s8(wb_view_s8 x, wb_moves m, int n, int c, int r)
{
    return wb_row_of_s8(x, m.image ? n : 0, m.channel ? c : 0, m.row ? r : 0);
}

WB_KERNEL void of_two_s8(wb_two_s8 p, wb_tile t, wb_view_s8 a, wb_view_s8 b, wb_view_s8 y, uint32_t *restrict mask)
{
    if (wb_is_everything(t, p.shape))
        wb_none_pass(wb_row_in(p.shape, t.image_end, 0, 0), mask);
    const int whole = wb_lies_whole_s8(a) && wb_lies_whole_s8(b) && wb_lies_whole_s8(y);
    if (!p.alike && whole && wb_is_everything(t, p.shape)) {
        broadcast_s8(p.pair, p.loops, a.at, b.at, y.at, mask);
        return;
    }
    const int joined = !p.alike ? WB_A_ROW : mask ? wb_joined_in(t, p.shape) : WB_ALL_IMAGES;
    const wb_runs_in_tile runs = wb_runs_s8(t, p.shape.columns, joined, a, b, y);
    WB_FOR_RUNS(runs, t, n, c, r)
        of_two_run_s8(p.pair, runs.length, p.a.column, p.b.column, wb_moved_s8(a, p.a, n, c, r),
                      wb_moved_s8(b, p.b, n, c, r), wb_row_of_s8(y, n, c, r), mask, wb_row_in(p.shape, n, c, r));
}
