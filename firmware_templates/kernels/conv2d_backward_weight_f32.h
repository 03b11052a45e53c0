/* conv2d_backward_weight_f32.h - dw[o][c][ky][kx] = sum dy[n][o][oy][ox] * x[n][c][oy*sh + ky*dh - pt][ox*sw + kx*dw - pl].
 *
 * For each weight the pixels that see it form a rectangle, known before the loops: no test inside.
 * conv2d_backward_weight_into_f32 hands each element on to a sink (sink_f32.h). A tile of dy gives the filters of its
 * channels: it holds whole groups, or some filters of the only one. A tile of rows has all channels, and its products are
 * added to the sums of earlier tiles, which are in memory: the order is that of the whole, image by image and row by row. */
#pragma once
#include "sink_f32.h"
#include "tiles.h"
#include "windows.h"

/* channels, filters: of a group. */
typedef struct {
    int groups, channels, in_height, in_width, filters, out_height, out_width;
    wb_window window;
} wb_conv2d_backward_weight;

/* The filters of a tile: `count` of each of its groups g, from filter first + g * p.filters on. */
typedef struct {
    int group, group_end, first, count;
} wb_filters;

WB_KERNEL wb_filters filters_in(wb_conv2d_backward_weight p, wb_tile t)
{
    if (p.groups == 1)
        return (wb_filters){ 0, 1, t.channel, t.channel_end - t.channel };
    return (wb_filters){ t.channel / p.filters, t.channel_end / p.filters, 0, p.filters };
}

/* `sum` and the products of tap column kx with one row of dy. Element `at` of x begins the row of x that lies under it. */
WB_KERNEL float weight_gradient_row_f32(wb_conv2d_backward_weight p, int kx, const float *dy, const float *x, int at,
                                        float sum)
{
    const wb_window w = p.window;
    const int left = kx * w.dw - w.pl;
    const int ox0 = wb_ceil_div(-left, w.sw), ox1 = wb_min(p.out_width, wb_ceil_div(p.in_width - left, w.sw));
#pragma GCC unroll 8
    for (int ox = ox0; ox < ox1; ++ox)
        sum += dy[ox] * x[at + left + ox * w.sw];
    return sum;
}

/* The gradient of tap (ky, kx) of one channel of one filter; dy_image, x_image: elements from one image to the next. No
 * `restrict` here: where the caller's pointers have it, a second one hides that from GCC 12 (half as many instructions). */
WB_KERNEL float weight_gradient_f32(wb_conv2d_backward_weight p, int images, int ky, int kx, int dy_image, int x_image,
                                    const float *dy, const float *x)
{
    const wb_window w = p.window;
    const int top = ky * w.dh - w.pt; /* the row of x under output row 0 */
    const int oy0 = wb_ceil_div(-top, w.sh), oy1 = wb_min(p.out_height, wb_ceil_div(p.in_height - top, w.sh));
    float sum = 0.0f;
    for (int n = 0; n < images; ++n)
        for (int oy = oy0; oy < oy1; ++oy)
            sum = weight_gradient_row_f32(p, kx, dy + n * dy_image + oy * p.out_width, x,
                                          n * x_image + (oy * w.sh + top) * p.in_width, sum);
    return sum;
}

WB_KERNEL void conv2d_backward_weight_into_f32(wb_conv2d_backward_weight p, wb_tile t, wb_view_f32 dy, wb_view_f32 x,
                                               wb_sink sink, float *restrict to, float *restrict v)
{
    const int images = t.image_end - t.image, kh = p.window.kh, kw = p.window.kw;
    const wb_filters filters = filters_in(p, t);
    for (int g = filters.group; g < filters.group_end; ++g)
        for (int i = 0; i < filters.count; ++i)
            for (int c = 0; c < p.channels; ++c)
#pragma GCC unroll 3
                for (int ky = 0; ky < kh; ++ky)
#pragma GCC unroll 3
                    for (int kx = 0; kx < kw; ++kx) {
                        const int o = filters.first + g * p.filters + i;
                        sink_f32(sink, ((o * p.channels + c) * kh + ky) * kw + kx, to, v,
                                 weight_gradient_f32(p, images, ky, kx, dy.image, x.image,
                                                     wb_row_of_f32(dy, t.image, o, 0),
                                                     wb_row_of_f32(x, t.image, g * p.channels + c, 0)));
                    }
}

/* The rows [begin, end) of a tile under which tap row ky lies on the image. */
typedef struct {
    int begin, end;
} wb_rows;

WB_KERNEL wb_rows rows_under_tap(wb_conv2d_backward_weight p, wb_tile t, int ky)
{
    const wb_window w = p.window;
    const int top = ky * w.dh - w.pt;
    return (wb_rows){ wb_max(t.row, wb_ceil_div(-top, w.sh)), wb_min(t.row_end, wb_ceil_div(p.in_height - top, w.sh)) };
}

WB_KERNEL void conv2d_backward_weight_by_rows_f32(wb_conv2d_backward_weight p, wb_tile t, wb_view_f32 dy, wb_view_f32 x,
                                                  float *restrict dweight)
{
    const wb_window w = p.window;
    for (int n = t.image; n < t.image_end; ++n)
        for (int o = 0; o < p.groups * p.filters; ++o)
            for (int c = 0; c < p.channels; ++c)
#pragma GCC unroll 3
                for (int ky = 0; ky < w.kh; ++ky) {
                    const wb_rows rows = rows_under_tap(p, t, ky);
                    float *to = dweight + ((o * p.channels + c) * w.kh + ky) * w.kw;
                    for (int oy = rows.begin; oy < rows.end; ++oy)
#pragma GCC unroll 3
                        for (int kx = 0; kx < w.kw; ++kx)
                            to[kx] = weight_gradient_row_f32(
                                p, kx, wb_row_of_f32(dy, n, o, oy),
                                wb_row_of_f32(x, n, o / p.filters * p.channels + c, oy * w.sh + ky * w.dh - w.pt), 0, to[kx]);
                }
}

WB_KERNEL void conv2d_backward_weight_f32(wb_conv2d_backward_weight p, wb_tile t, wb_view_f32 dy, wb_view_f32 x,
                                          float *restrict dweight)
{
    if (t.begun)
        conv2d_backward_weight_by_rows_f32(p, t, dy, x, dweight);
    else
        conv2d_backward_weight_into_f32(p, t, dy, x, (wb_sink){ .kind = WB_STORE }, dweight, 0);
}
