/* conv2d_backward_weight_f32.h - dw[o][c][ky][kx] = sum dy[n][o][oy][ox] * x[n][c][oy*sh + ky*dh - pt][ox*sw + kx*dw - pl].
 *
 * For each weight the pixels that see it form a rectangle, known before the loops: no test inside. Where windows are the
 * pixels in their places (1x1), four filters by four channels are summed at a time.
 * conv2d_backward_weight_into_f32 hands each element on to a sink (sink_f32.h). A tile of dy gives the filters of its
 * channels: it holds whole groups, or some filters of the only one. A tile of rows has all channels, and its products are
 * added to the sums of earlier tiles, which are in memory: the order is that of the whole, image by image and row by row. */
#pragma once
#include "activation_f32.h"
#include "fpu.h"
#include "sink_f32.h"
#include "tiles.h"
#include "windows.h"

/* channels, filters: of a group. fused: see windows.h. */
typedef struct {
    int groups, channels, in_height, in_width, filters, out_height, out_width, fused;
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

/* `sum` and the products of tap column kx with the elements [begin, end) of one row of dy. Element `at` of x begins the
 * row of x that lies under it. */
WB_KERNEL float weight_gradient_part_f32(wb_conv2d_backward_weight p, int kx, int begin, int end, const float *dy,
                                         const float *x, int at, float sum)
{
    const wb_window w = p.window;
    const int left = kx * w.dw - w.pl;
    const int ox0 = wb_max(begin, wb_ceil_div(-left, w.sw)), ox1 = wb_min(end, wb_ceil_div(p.in_width - left, w.sw));
#pragma GCC unroll 8
    for (int ox = ox0; ox < ox1; ++ox)
        sum = wb_multiply_add_f32(p.fused, dy[ox], x[at + left + ox * w.sw], sum);
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
            sum = weight_gradient_part_f32(p, kx, 0, p.out_width, dy + n * dy_image + oy * p.out_width, x,
                                           n * x_image + (oy * w.sh + top) * p.in_width, sum);
    return sum;
}

WB_KERNEL wb_axis weight_columns(wb_conv2d_backward_weight p)
{
    const wb_window w = p.window;
    return (wb_axis){ p.in_width, p.out_width, -w.pl, w.sw, w.kw, w.dw, 1, 1, 1, 0 };
}

/* Columns of taps, and filters, whose sums are in registers at a time: 16 at most. */
WB_KERNEL int weight_taps(wb_conv2d_backward_weight p) { return !WB_ANY_SHAPE && p.window.kw <= 8 ? p.window.kw : 1; }
WB_KERNEL int weight_filters(wb_conv2d_backward_weight p, int count)
{
    return count % 4 == 0 && weight_taps(p) <= 4 ? 4 : count % 2 == 0 ? 2 : 1;
}

/* Adds the products of some pixels of a row, whose windows are clipped as those from column `like` on are, to the sums of
 * some filters and of `taps` taps from column kx on. Element `at` of x would lie under the first of both. */
WB_KERNEL void weight_gradients_step_f32(wb_conv2d_backward_weight p, int filters, int taps, int kx, int pixels, int like,
                                         int plane, const float *dy, const float *x, int at, float *s)
{
#pragma GCC unroll 4
    for (int i = 0; i < pixels; ++i)
#pragma GCC unroll 4
        for (int f = 0; f < filters; ++f)
#pragma GCC unroll 8
            for (int t = 0; t < taps; ++t)
                if (windows_sees(weight_columns(p), like + i, kx + t))
                    s[f * taps + t] = wb_multiply_add_f32(p.fused, dy[f * plane + i],
                                                          x[at + i * p.window.sw + t * p.window.dw], s[f * taps + t]);
}

/* Those of a row and of one tap, of as many filters as are a literal here. */
WB_KERNEL void weight_gradients_of_tap_f32(wb_conv2d_backward_weight p, int filters, int kx, int plane, const float *dy,
                                           const float *x, int at, float *s)
{
    const wb_axis h = weight_columns(p);
    const int left = h.first + kx * h.dilation;
    const int begin = wb_max(0, wb_ceil_div(-left, h.step)), end = wb_min(h.outputs, wb_ceil_div(h.size - left, h.step));
    float sums[4] = { 0.0f };
#pragma GCC unroll 4
    for (int f = 0; f < filters; ++f)
        sums[f] = s[f];
    for (int i = begin; i < end; ++i) {
        const float by = x[at + i * h.step];
#pragma GCC unroll 4
        for (int f = 0; f < filters; ++f)
            sums[f] = wb_multiply_add_f32(p.fused, dy[f * plane + i], by, sums[f]);
    }
#pragma GCC unroll 4
    for (int f = 0; f < filters; ++f)
        s[f] = sums[f];
}

/* Those of a row. */
WB_KERNEL void weight_gradients_along_f32(wb_conv2d_backward_weight p, int filters, int taps, int kx, int plane,
                                          const float *dy, const float *x, int at, float *s)
{
    if (WB_ANY_SHAPE) {
        if (filters == 4)
            weight_gradients_of_tap_f32(p, 4, kx, plane, dy, x, at, s);
        else if (filters == 2)
            weight_gradients_of_tap_f32(p, 2, kx, plane, dy, x, at, s);
        else
            weight_gradients_of_tap_f32(p, 1, kx, plane, dy, x, at, s);
        return;
    }
    const wb_tiles c = windows_tiles(weight_columns(p), 4);
    const int step = p.window.sw;
    for (int j = 0; j < c.head; j += c.each)
        weight_gradients_step_f32(p, filters, taps, kx, c.each, j, plane, dy + j, x, at + j * step, s);
    for (int j = c.head; j < c.inside; j += c.each)
        weight_gradients_step_f32(p, filters, taps, kx, c.each, c.head, plane, dy + j, x, at + j * step, s);
    for (int j = c.inside; j < c.whole; j += c.each)
        weight_gradients_step_f32(p, filters, taps, kx, c.each, j, plane, dy + j, x, at + j * step, s);
    if (c.whole < p.out_width)
        weight_gradients_step_f32(p, filters, taps, kx, p.out_width - c.whole, c.whole, plane, dy + c.whole, x,
                                  at + c.whole * step, s);
}

/* s[f * taps + t]: the gradients of weight_taps(p) taps of row ky, from column kx on, of one channel in some filters; plane,
 * dy_image, x_image: elements from one filter of dy to the next, and from one image. */
WB_SHARED void weight_gradients_f32(wb_conv2d_backward_weight p, int images, int filters, int ky, int kx, int plane,
                                    int dy_image, int x_image, const float *dy, const float *x, float *s)
{
    const wb_window w = p.window;
    const int top = ky * w.dh - w.pt; /* the row of x under output row 0 */
    const int oy0 = wb_ceil_div(-top, w.sh), oy1 = wb_min(p.out_height, wb_ceil_div(p.in_height - top, w.sh));
    float sums[16] = { 0.0f };
    for (int n = 0; n < images; ++n)
        for (int oy = oy0; oy < oy1; ++oy)
            weight_gradients_along_f32(p, filters, weight_taps(p), kx, plane, dy + n * dy_image + oy * p.out_width, x,
                                       n * x_image + (oy * w.sh + top) * p.in_width + kx * w.dw - w.pl, sums);
#pragma GCC unroll 16
    for (int i = 0; i < filters * weight_taps(p); ++i)
        s[i] = sums[i];
}

/* Whether each pixel's window is the pixel in its place, and there is one group. */
WB_KERNEL int weight_is_pointwise(wb_conv2d_backward_weight p)
{
    const wb_window w = p.window;
    return p.groups == 1 && w.kh * w.kw == 1 && w.sh == 1 && w.sw == 1 && w.pt == 0 && w.pl == 0
           && p.in_height == p.out_height && p.in_width == p.out_width;
}

/* s[4 * f + c]: the gradients of some filters and channels, at most four of each, over images of so many pixels. */
WB_KERNEL void weight_gradients_tile_f32(int filters, int channels, int images, int pixels, int dy_image, int x_image, int fused,
                                         const float *dy, const float *x, float *s)
{
#if WB_FPU
    if (filters == 4 && (channels == 2 || channels == 4) && images == 1 && pixels % 4 == 0) {
        wb_gradients_f32(fused, pixels, dy, x, s);
        if (channels == 4)
            wb_gradients_f32(fused, pixels, dy, x + 2 * pixels, s + 2);
        return;
    }
#endif
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i)
        s[i] = 0.0f;
    for (int n = 0; n < images; ++n)
        for (int p = 0; p < pixels; ++p) {
            float of[4];
#pragma GCC unroll 4
            for (int c = 0; c < channels; ++c)
                of[c] = x[n * x_image + c * pixels + p];
#pragma GCC unroll 4
            for (int f = 0; f < filters; ++f) {
                const float by = dy[n * dy_image + f * pixels + p];
#pragma GCC unroll 4
                for (int c = 0; c < channels; ++c)
                    s[4 * f + c] = wb_multiply_add_f32(fused, by, of[c], s[4 * f + c]);
            }
        }
}

/* The elements of some channels from c on, of these filters: those of one row of weights side by side. */
WB_KERNEL void conv2d_backward_weight_pixels_f32(wb_conv2d_backward_weight p, wb_tile t, int first, int filters, int c,
                                                 int channels, wb_view_f32 dy, wb_view_f32 x, wb_sink sink,
                                                 float *restrict to, float *restrict v)
{
    float s[16];
    weight_gradients_tile_f32(filters, channels, t.image_end - t.image, p.in_height * p.in_width, dy.image, x.image, p.fused,
                              wb_row_of_f32(dy, t.image, first, 0), wb_row_of_f32(x, t.image, c, 0), s);
#pragma GCC unroll 4
    for (int f = 0; f < filters; ++f)
#pragma GCC unroll 4
        for (int i = 0; i < channels; ++i)
            sink_f32(sink, (first + f) * p.channels + c + i, to, v, s[4 * f + i]);
}

WB_KERNEL void conv2d_backward_weight_tiles_f32(wb_conv2d_backward_weight p, wb_tile t, wb_view_f32 dy, wb_view_f32 x,
                                                wb_sink sink, float *restrict to, float *restrict v)
{
    const int tiled = p.channels / 4 * 4, count = t.channel_end - t.channel, four = count / 4 * 4;
    for (int f = 0; f < count; f += 4) {
        const int filters = count % 4 && f == four ? count % 4 : 4;
        for (int c = 0; c < tiled; c += 4)
            conv2d_backward_weight_pixels_f32(p, t, t.channel + f, filters, c, 4, dy, x, sink, to, v);
        if (p.channels % 4)
            conv2d_backward_weight_pixels_f32(p, t, t.channel + f, filters, tiled, p.channels % 4, dy, x, sink, to, v);
    }
}

WB_KERNEL void conv2d_backward_weight_into_f32(wb_conv2d_backward_weight p, wb_tile t, wb_view_f32 dy, wb_view_f32 x,
                                               wb_sink sink, float *restrict to, float *restrict v)
{
    const int images = t.image_end - t.image, kh = p.window.kh, kw = p.window.kw;
    const wb_filters filters = filters_in(p, t);
    if (weight_is_pointwise(p)) {
        conv2d_backward_weight_tiles_f32(p, t, dy, x, sink, to, v);
        return;
    }
    const int some = weight_filters(p, filters.count), taps = weight_taps(p);
    for (int g = filters.group; g < filters.group_end; ++g)
        for (int i = 0; i < filters.count; i += some)
            for (int c = 0; c < p.channels; ++c)
                for (int ky = 0; ky < kh; ++ky)
                    for (int kx = 0; kx < kw; kx += taps) {
                        const int o = filters.first + g * p.filters + i;
                        float s[16];
                        weight_gradients_f32(p, images, some, ky, kx, dy.plane, dy.image, x.image,
                                             wb_row_of_f32(dy, t.image, o, 0),
                                             wb_row_of_f32(x, t.image, g * p.channels + c, 0), s);
#pragma GCC unroll 4
                        for (int f = 0; f < some; ++f)
#pragma GCC unroll 8
                            for (int k = 0; k < taps; ++k)
                                sink_f32(sink, (((o + f) * p.channels + c) * kh + ky) * kw + kx + k, to, v, s[f * taps + k]);
                    }
}

/* Adds the products of one row of dy with the row of x under it to a row of taps, three at a time: their sums stay in
 * registers where the windows of all three lie on the image, and each element of dy is loaded once. */
WB_KERNEL void weight_gradients_row_f32(wb_conv2d_backward_weight p, const float *dy, const float *x, float *to)
{
    const wb_window w = p.window;
    int kx = 0;
#pragma GCC unroll 3
    for (; kx + 3 <= w.kw; kx += 3) {
        const int left = kx * w.dw - w.pl, begin = wb_ceil_div(-left, w.sw);
        const int end = wb_min(p.out_width, wb_ceil_div(p.in_width - left - 2 * w.dw, w.sw));
        if (begin >= end)
            break;
        float a = to[kx], b = to[kx + 1], c = to[kx + 2];
        b = weight_gradient_part_f32(p, kx + 1, 0, begin, dy, x, 0, b);
        c = weight_gradient_part_f32(p, kx + 2, 0, begin, dy, x, 0, c);
#pragma GCC unroll 4
        for (int ox = begin; ox < end; ++ox) {
            const int at = left + ox * w.sw;
            a = wb_multiply_add_f32(p.fused, dy[ox], x[at], a);
            b = wb_multiply_add_f32(p.fused, dy[ox], x[at + w.dw], b);
            c = wb_multiply_add_f32(p.fused, dy[ox], x[at + 2 * w.dw], c);
        }
        to[kx] = weight_gradient_part_f32(p, kx, end, p.out_width, dy, x, 0, a);
        to[kx + 1] = weight_gradient_part_f32(p, kx + 1, end, p.out_width, dy, x, 0, b);
        to[kx + 2] = c;
    }
#pragma GCC unroll 3
    for (; kx < w.kw; ++kx)
        to[kx] = weight_gradient_part_f32(p, kx, 0, p.out_width, dy, x, 0, to[kx]);
}

/* The row of x under row oy of dy and tap row ky; none where it is not one of the image. */
WB_KERNEL int row_under_tap(wb_conv2d_backward_weight p, int oy, int ky)
{
    const int row = oy * p.window.sh + ky * p.window.dh - p.window.pt;
    return row < p.in_height ? row : -1;
}

WB_KERNEL void conv2d_backward_weight_by_rows_f32(wb_conv2d_backward_weight p, wb_tile t, wb_view_f32 dy, wb_view_f32 x,
                                                  float *restrict dweight)
{
    const int kh = p.window.kh, kw = p.window.kw;
    for (int n = t.image; n < t.image_end; ++n)
        for (int oy = t.row; oy < t.row_end; ++oy)
            for (int ky = 0; ky < kh; ++ky) {
                const int iy = row_under_tap(p, oy, ky);
                if (iy < 0)
                    continue;
                for (int g = 0; g < p.groups; ++g)
                    for (int o = g * p.filters; o < (g + 1) * p.filters; ++o)
                        for (int c = 0; c < p.channels; ++c)
                            weight_gradients_row_f32(p, wb_row_of_f32(dy, n, o, oy),
                                                     wb_row_of_f32(x, n, g * p.channels + c, iy),
                                                     dweight + ((o * p.channels + c) * kh + ky) * kw);
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
