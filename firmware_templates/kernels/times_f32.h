/* times_f32.h - y = a * b.
 * b may lie in two arrays: its first `kept` channels, and the others in `rest` (0: it lies in one). */
#pragma once
#include "broadcast_f32.h"

typedef struct {
    wb_two_f32 both;
    int kept;
} wb_times_f32;

WB_KERNEL void times_f32(wb_times_f32 p, wb_tile t, wb_view_f32 a, wb_view_f32 b, const float *rest, wb_view_f32 y)
{
    if (!rest) {
        of_two_f32(p.both, t, a, b, y);
        return;
    }
    wb_tile first = t, second = t;
    wb_view_f32 others = b;
    first.channel_end = second.channel = others.channel = p.kept;
    others.at = (float *)rest;
    of_two_f32(p.both, first, a, b, y);
    of_two_f32(p.both, second, a, others, y);
}
