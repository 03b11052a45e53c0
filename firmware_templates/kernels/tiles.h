/* tiles.h - the part of a result that a kernel computes, and the parts of images that are in memory for it.
 *
 *     a tile    images [image, image_end), channels [channel, channel_end), rows [row, row_end) of a result
 *     a view    channel 0 |  row 4  |  row 5  |  row 6  |         | channel 1 |  row 4 …     rows [4, 7) are there
 *               at                                                |           plane: room for 4 rows
 *
 * That is one way in which an image lies, channel by channel (pitch: a row); the other is row by row (plane: a row, pitch: a
 * row of all channels), so that the rows before some row are one piece of memory. Whole tensors are tiles of everything:
 * there all numbers are literals. */
#pragma once
#include "wb_kernel.h"

/* begun: the result holds the sums of earlier tiles, and this tile's are added to them. whole: it is no tile of a region but
 * all of the result. */
typedef struct {
    int image, image_end, channel, channel_end, row, row_end, begun, whole;
} wb_tile;

/* at: the first element that is there. image, plane, pitch: elements from one image, one channel, one row to the next.
 * gaps: at first fewer rows are there than there is room for; between the rows of one channel and those of the next lies
 * memory that has never been written. */
typedef struct {
    float *at;
    int image, plane, pitch, channel, channel_end, row, row_end, gaps;
} wb_view_f32;

typedef struct {
    int8_t *at;
    int image, plane, pitch, channel, channel_end, row, row_end, gaps;
} wb_view_s8;

/* The sizes of each image of a tensor. */
typedef struct {
    int channels, rows, columns;
} wb_shape;

WB_KERNEL wb_tile wb_everything(int images, int channels, int rows)
{
    return (wb_tile){ 0, images, 0, channels, 0, rows, 0, 1 };
}

/* Whether a tile is known, when the kernel is compiled, to hold all channels and rows, from the first image on. */
WB_KERNEL int wb_is_everything(wb_tile t, wb_shape s)
{
    return WB_KNOWN(t.row_end - t.row) && WB_KNOWN(t.channel_end - t.channel)
           && t.image == 0 && t.channel == 0 && t.row == 0 && t.channel_end == s.channels && t.row_end == s.rows;
}

/* Whether a view is known, when the kernel is compiled, to be all of a tensor as it lies outside of regions. */
WB_KERNEL int wb_lies_whole_f32(wb_view_f32 x)
{
    const int plane = (x.row_end - x.row) * x.pitch;
    return WB_KNOWN(plane) && x.plane == plane && x.image == (x.channel_end - x.channel) * plane;
}

WB_KERNEL int wb_lies_whole_s8(wb_view_s8 x)
{
    const int plane = (x.row_end - x.row) * x.pitch;
    return WB_KNOWN(plane) && x.plane == plane && x.image == (x.channel_end - x.channel) * plane;
}

/* All of images, which lie channel by channel. */
WB_KERNEL wb_view_f32 wb_image_f32(const float *at, int channels, int rows, int columns)
{
    return (wb_view_f32){ (float *)at, channels * rows * columns, rows * columns, columns, 0, channels, 0, rows, 0 };
}

WB_KERNEL wb_view_s8 wb_image_s8(const int8_t *at, int channels, int rows, int columns)
{
    return (wb_view_s8){ (int8_t *)at, channels * rows * columns, rows * columns, columns, 0, channels, 0, rows, 0 };
}

/* The first element of a row. */
WB_KERNEL float *wb_row_of_f32(wb_view_f32 x, int image, int channel, int row)
{
    return x.at + image * x.image + (channel - x.channel) * x.plane + (row - x.row) * x.pitch;
}

WB_KERNEL int8_t *wb_row_of_s8(wb_view_s8 x, int image, int channel, int row)
{
    return x.at + image * x.image + (channel - x.channel) * x.plane + (row - x.row) * x.pitch;
}

/* The first element of a row among all of a tensor: where its bits lie in a mask, its winners in a pooling's places. */
WB_KERNEL int wb_row_in(wb_shape s, int image, int channel, int row)
{
    return ((image * s.channels + channel) * s.rows + row) * s.columns;
}

/* A tile as runs: stretches of `length` elements that lie side by side in all of its views. The loops over images,
 * channels and rows of runs have one turn each where everything is one run. */
typedef struct {
    int images, channels, rows, length;
} wb_runs_in_tile;

WB_KERNEL int wb_is_one(wb_runs_in_tile runs) { return runs.images * runs.channels * runs.rows == 1; }

/* How much of a tile lies side by side. */
enum { WB_A_ROW, WB_A_CHANNEL, WB_AN_IMAGE, WB_ALL_IMAGES };

/* In a view with these pitches. Where the number of rows is not known when the kernel is compiled, a channel at most. */
WB_KERNEL int wb_side_by_side(wb_tile t, int columns, int image, int plane, int pitch)
{
    const int rows = t.row_end - t.row, channels = t.channel_end - t.channel;
    if (pitch != columns && !(WB_KNOWN(rows) && rows == 1))
        return WB_A_ROW;
    if (!WB_KNOWN(rows) || !WB_KNOWN(channels) || (plane != rows * columns && channels > 1))
        return WB_A_CHANNEL;
    return image == channels * rows * columns || t.image_end - t.image == 1 ? WB_ALL_IMAGES : WB_AN_IMAGE;
}

WB_KERNEL int wb_joined_f32(wb_tile t, int columns, wb_view_f32 x)
{
    return wb_side_by_side(t, columns, x.image, x.plane, x.pitch);
}

WB_KERNEL int wb_joined_s8(wb_tile t, int columns, wb_view_s8 x)
{
    return wb_side_by_side(t, columns, x.image, x.plane, x.pitch);
}

/* In a whole tensor that comes without a view, such as a mask. */
WB_KERNEL int wb_joined_in(wb_tile t, wb_shape s)
{
    return wb_side_by_side(t, s.columns, s.channels * s.rows * s.columns, s.rows * s.columns, s.columns);
}

/* joined: the least of what the views say. */
WB_KERNEL wb_runs_in_tile wb_runs_in(wb_tile t, int columns, int joined)
{
    const int images = t.image_end - t.image, channels = t.channel_end - t.channel, rows = t.row_end - t.row;
    if (joined == WB_ALL_IMAGES)
        return (wb_runs_in_tile){ 1, 1, 1, images * channels * rows * columns };
    if (joined == WB_AN_IMAGE)
        return (wb_runs_in_tile){ images, 1, 1, channels * rows * columns };
    if (joined == WB_A_CHANNEL)
        return (wb_runs_in_tile){ images, channels, 1, rows * columns };
    return (wb_runs_in_tile){ images, channels, rows, columns };
}

/* Runs of three views (of two: one of them twice), none longer than `most` says. */
WB_KERNEL wb_runs_in_tile wb_runs_f32(wb_tile t, int columns, int most, wb_view_f32 x, wb_view_f32 y, wb_view_f32 z)
{
    most = wb_min(wb_min(most, wb_joined_f32(t, columns, x)), wb_joined_f32(t, columns, y));
    return wb_runs_in(t, columns, wb_min(most, wb_joined_f32(t, columns, z)));
}

WB_KERNEL wb_runs_in_tile wb_runs_s8(wb_tile t, int columns, int most, wb_view_s8 x, wb_view_s8 y, wb_view_s8 z)
{
    most = wb_min(wb_min(most, wb_joined_s8(t, columns, x)), wb_joined_s8(t, columns, y));
    return wb_runs_in(t, columns, wb_min(most, wb_joined_s8(t, columns, z)));
}

/* The first element of each run is that of image n, channel c, row r. */
#define WB_FOR_RUNS(runs, t, n, c, r)                                       \
    for (int n = (t).image; n < (t).image + (runs).images; ++n)             \
        for (int c = (t).channel; c < (t).channel + (runs).channels; ++c)   \
            for (int r = (t).row; r < (t).row + (runs).rows; ++r)

/* The same memory, while other rows are there. */
WB_KERNEL wb_view_f32 wb_rows_there_f32(wb_view_f32 x, int row, int row_end)
{
    return (wb_view_f32){ x.at, x.image, x.plane, x.pitch, x.channel, x.channel_end, row, row_end, x.gaps };
}

WB_KERNEL wb_view_s8 wb_rows_there_s8(wb_view_s8 x, int row, int row_end)
{
    return (wb_view_s8){ x.at, x.image, x.plane, x.pitch, x.channel, x.channel_end, row, row_end, x.gaps };
}

/* Makes room in a rolling buffer: drops the rows before `keep`, moves the others to the front, and gives the first that is
 * left. No more rows are dropped than are there. */
WB_KERNEL int wb_keep_f32(wb_view_f32 x, int keep)
{
    const int gone = wb_min(keep, x.row_end) - x.row;
    if (gone <= 0)
        return x.row;
    const int left = (x.row_end - x.row - gone) * x.pitch;
    for (int c = 0; c < x.channel_end; ++c) {
        float *to = x.at + c * x.plane;
        __asm("" : "+r"(to)); /* GCC does not know how many rows fit there, and would warn of too many */
#pragma GCC unroll 4
        for (int i = 0; i < left; ++i)
            to[i] = to[i + gone * x.pitch];
    }
    return x.row + gone;
}

WB_KERNEL int wb_keep_s8(wb_view_s8 x, int keep)
{
    const int gone = wb_min(keep, x.row_end) - x.row;
    if (gone <= 0)
        return x.row;
    const int left = (x.row_end - x.row - gone) * x.pitch;
    for (int c = 0; c < x.channel_end; ++c) {
        int8_t *to = x.at + c * x.plane;
        __asm("" : "+r"(to)); /* GCC does not know how many rows fit there, and would warn of too many */
        int i = 0;
        for (; i + 3 < left; i += 4) { /* all four before any is stored: words, where they need not be aligned */
            const int from = i + gone * x.pitch;
            const int8_t s0 = to[from], s1 = to[from + 1], s2 = to[from + 2], s3 = to[from + 3];
            to[i] = s0;
            to[i + 1] = s1;
            to[i + 2] = s2;
            to[i + 3] = s3;
        }
        for (; i < left; ++i)
            to[i] = to[i + gone * x.pitch];
    }
    return x.row + gone;
}

/* What the tiles of a region add to, or set bits in, begins so. */
WB_KERNEL void wb_zero_words(int count, uint32_t *words)
{
    for (int i = 0; i < count; ++i)
        words[i] = 0;
}

WB_KERNEL void wb_zero_f32(int count, float *y)
{
    for (int i = 0; i < count; ++i)
        y[i] = 0.0f;
}

WB_KERNEL void wb_copy_f32(int count, const float *restrict x, float *restrict y)
{
    for (int i = 0; i < count; ++i)
        y[i] = x[i];
}

/* Zeros in all of a tile. */
WB_KERNEL void wb_zero_tile_f32(wb_tile t, int columns, wb_view_f32 y)
{
    const wb_runs_in_tile runs = wb_runs_f32(t, columns, WB_ALL_IMAGES, y, y, y);
    WB_FOR_RUNS(runs, t, n, c, r)
        wb_zero_f32(runs.length, wb_row_of_f32(y, n, c, r));
}
