/* rows_f32.h - some rows of an image in memory, for operators that a region runs row by row.
 *
 *     channel 0 |  row 4  |  row 5  |  row 6  |         | channel 1 |  row 4 …       first 4, end 7, plane: 4 rows
 *               at
 *                keep 6: rows from 6 on move to the front, those before are gone
 *
 * That is one way they lie, channel by channel (pitch: a row); the other is row by row (plane: a row, pitch: a row of all
 * channels), so that the rows before some row are one piece of memory. */
#pragma once
#include "tiles.h"

/* Rows [first, end) of an image; plane, pitch: elements from one channel, one row to the next. gaps: at first there are
 * fewer rows than there is room for, so that memory between one channel's and the next's has never been written. */
typedef struct {
    float *at;
    int plane, pitch, first, end, gaps;
} wb_rows;

/* Bits of one image, the first of them being bit `first` of the words. */
typedef struct {
    uint32_t *words;
    int first;
} wb_bits;

#define wb_no_rows ((wb_rows){ 0, 0, 0, 0, 0, 0 })
#define wb_no_bits ((wb_bits){ 0, 0 })

/* `count` runs of `length` elements that follow each other: all the rows of a channel where each ends at the next. */
typedef struct {
    int count, length;
} wb_runs;

WB_KERNEL wb_runs wb_runs_of(int rows, int width, int side_by_side)
{
    return side_by_side ? (wb_runs){ 1, rows * width } : (wb_runs){ rows, width };
}

WB_KERNEL float *wb_row(wb_rows x, int channel, int row)
{
    return x.at + channel * x.plane + (row - x.first) * x.pitch;
}
