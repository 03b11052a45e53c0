/* slice_each.h - slice_f32.h for one type of element; included once for each, so no #pragma once. WB_ELEMENT: the type.
 * WB_VIEW: a view of such. WB_NAMED(name): what a function is called for it. */

WB_KERNEL void WB_NAMED(slice_tile)(wb_slice p, wb_tile t, WB_VIEW x, WB_VIEW y)
{
    const int whole = wb_is_everything(t, p.shape) && WB_NAMED(wb_lies_whole)(x) && WB_NAMED(wb_lies_whole)(y);
    if (!p.columns.size || whole) {
        WB_NAMED(transpose)(p.loops, x.at + p.first, y.at);
        return;
    }
    for (int n = t.image; n < t.image_end; ++n)
        for (int c = t.channel; c < t.channel_end; ++c)
            for (int r = t.row; r < t.row_end; ++r) {
                const WB_ELEMENT *restrict from = WB_NAMED(wb_row_of)(x, n, p.channels.first + c * p.channels.step,
                                                                      p.rows.first + r * p.rows.step);
                WB_ELEMENT *restrict to = WB_NAMED(wb_row_of)(y, n, c, r);
#pragma GCC unroll 4
                for (int i = 0; i < p.columns.size; ++i)
                    to[i] = from[p.columns.first + i * p.columns.step];
            }
}

/* All of y, at once. */
WB_KERNEL void WB_NAMED(pad_loops)(wb_pad p, const WB_ELEMENT *restrict x, WB_ELEMENT *restrict y)
{
    for (int i = 0; i < p.elements; ++i)
        y[i] = (WB_ELEMENT)p.value;
    WB_FOR_OUTER(p.loops, a, b, c, d, e) {
        WB_ELEMENT *to = y + p.first + wb_in_loops(p.loops, a, b, c, d, e);
#pragma GCC unroll 4
        for (int f = 0; f < p.loops.n[5]; ++f)
            to[f * p.loops.step[5]] = *x++;
    }
}

WB_KERNEL void WB_NAMED(pad_tile)(wb_pad p, wb_tile t, WB_VIEW x, WB_VIEW y)
{
    const int whole = wb_is_everything(t, p.shape) && WB_NAMED(wb_lies_whole)(x) && WB_NAMED(wb_lies_whole)(y);
    if (!p.columns.size || whole) {
        WB_NAMED(pad_loops)(p, x.at, y.at);
        return;
    }
    for (int n = t.image; n < t.image_end; ++n)
        for (int c = t.channel; c < t.channel_end; ++c)
            for (int r = t.row; r < t.row_end; ++r) {
                WB_ELEMENT *restrict to = WB_NAMED(wb_row_of)(y, n, c, r);
                for (int i = 0; i < p.shape.columns; ++i)
                    to[i] = (WB_ELEMENT)p.value;
                const int channel = wb_in_part(p.channels, c), row = wb_in_part(p.rows, r);
                if (channel < 0 || row < 0)
                    continue;
                const WB_ELEMENT *restrict from = WB_NAMED(wb_row_of)(x, n, channel, row);
                for (int i = 0; i < p.columns.size; ++i)
                    to[p.columns.first + i * p.columns.step] = from[i];
            }
}
