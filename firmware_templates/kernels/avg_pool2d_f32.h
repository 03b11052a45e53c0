/* avg_pool2d_f32.h - the mean of each window; padding counts only if include_pad. Its gradient gives each element of a
 * window dy / count; windows that overlap add up. */
#pragma once
#include "tiles.h"

/* Images of x and of y (those of dx and dy). Windows of (kh, kw) elements, (sh, sw) apart; the first begins pt rows above x
 * and pl columns left of it. */
typedef struct {
    wb_shape x, y;
    int kh, kw, sh, sw, pt, pl, include_pad;
} wb_avg_pool2d;

/* Elements [y0, y1) x [x0, x1) of x: what lies on it of a window. */
typedef struct {
    int y0, y1, x0, x1;
} wb_area;

WB_KERNEL wb_area wb_area_of(wb_avg_pool2d p, int oy, int ox)
{
    const int y = oy * p.sh - p.pt, x = ox * p.sw - p.pl;
    return (wb_area){ wb_max(0, y), wb_min(p.x.rows, y + p.kh), wb_max(0, x), wb_min(p.x.columns, x + p.kw) };
}

WB_KERNEL float wb_share_of(wb_avg_pool2d p, wb_area a)
{
    return 1.0f / (float)(p.include_pad ? p.kh * p.kw : (a.y1 - a.y0) * (a.x1 - a.x0));
}

/* The windows that row `row` of dx lies in begin at row wb_first_window of dy and end before wb_end_of_windows. */
WB_KERNEL int wb_first_window(wb_avg_pool2d p, int row) { return wb_ceil_div(row + p.pt - p.kh + 1, p.sh); }
WB_KERNEL int wb_end_of_windows(wb_avg_pool2d p, int row) { return wb_min(p.y.rows, (row + p.pt) / p.sh + 1); }

/* Row oy of a channel. x: the first row of its windows that lies on the image, with the next `pitch` behind it. */
WB_KERNEL void avg_pool2d_row_f32(wb_avg_pool2d p, int oy, int pitch, const float *restrict x, float *restrict y)
{
    for (int ox = 0; ox < p.y.columns; ++ox) {
        const wb_area a = wb_area_of(p, oy, ox);
        float sum = 0.0f;
        for (int iy = 0; iy < a.y1 - a.y0; ++iy)
            for (int ix = a.x0; ix < a.x1; ++ix)
                sum += x[iy * pitch + ix];
        y[ox] = sum * wb_share_of(p, a);
    }
}

WB_KERNEL void avg_pool2d_f32(wb_avg_pool2d p, wb_tile t, wb_view_f32 x, wb_view_f32 y)
{
    for (int n = t.image; n < t.image_end; ++n)
        for (int c = t.channel; c < t.channel_end; ++c)
            for (int oy = t.row; oy < t.row_end; ++oy)
                avg_pool2d_row_f32(p, oy, x.pitch, wb_row_of_f32(x, n, c, wb_area_of(p, oy, 0).y0),
                                   wb_row_of_f32(y, n, c, oy));
}

/* What row oy of dy gives to rows [row, row_end) of dx, the first of which is `dx`. */
WB_KERNEL void avg_pool2d_grad_row_f32(wb_avg_pool2d p, int oy, int row, int row_end, int pitch, const float *restrict dy,
                                       float *restrict dx)
{
    for (int ox = 0; ox < p.y.columns; ++ox) {
        const wb_area a = wb_area_of(p, oy, ox);
        const float share = dy[ox] * wb_share_of(p, a);
        for (int iy = wb_max(a.y0, row); iy < wb_min(a.y1, row_end); ++iy)
            for (int ix = a.x0; ix < a.x1; ++ix)
                dx[(iy - row) * pitch + ix] += share;
    }
}

/* Zero, and then what the windows that reach into these rows give them, in the order of the windows. */
WB_KERNEL void avg_pool2d_grad_f32(wb_avg_pool2d p, wb_tile t, wb_view_f32 dy, wb_view_f32 dx)
{
    wb_zero_tile_f32(t, p.x.columns, dx);
    if (t.row == t.row_end)
        return;
    for (int n = t.image; n < t.image_end; ++n)
        for (int c = t.channel; c < t.channel_end; ++c)
            for (int oy = wb_first_window(p, t.row); oy < wb_end_of_windows(p, t.row_end - 1); ++oy)
                avg_pool2d_grad_row_f32(p, oy, t.row, t.row_end, dx.pitch, wb_row_of_f32(dy, n, c, oy),
                                        wb_row_of_f32(dx, n, c, t.row));
}
