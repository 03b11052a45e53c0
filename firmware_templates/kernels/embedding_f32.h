/* embedding_f32.h - y[i] = table[index[i]], and the table's gradient: the sum of dy[i] over all i that named a row. */
#pragma once
#include "wb_kernel.h"

/* count: of indices; rows, columns: of the table. */
typedef struct {
    int count, rows, columns;
} wb_embedding;

/* The first row for what is no number or below 0, the last for what is beyond: always one that is there. */
WB_KERNEL int wb_row_of_index(int rows, float index)
{
    return index >= (float)(rows - 1) ? rows - 1 : index > 0.0f ? (int)index : 0;
}

WB_KERNEL void embedding_f32(wb_embedding p, const float *restrict index, const float *restrict table, float *restrict y)
{
    for (int i = 0; i < p.count; ++i, y += p.columns) {
        const float *row = table + wb_row_of_index(p.rows, index[i]) * p.columns;
        for (int c = 0; c < p.columns; ++c)
            y[c] = row[c];
    }
}

WB_KERNEL void embedding_backward_f32(wb_embedding p, const float *restrict dy, const float *restrict index,
                                      float *restrict dtable)
{
    for (int e = 0; e < p.rows * p.columns; ++e)
        dtable[e] = 0.0f;
    for (int i = 0; i < p.count; ++i, dy += p.columns) {
        float *row = dtable + wb_row_of_index(p.rows, index[i]) * p.columns;
        for (int c = 0; c < p.columns; ++c)
            row[c] += dy[c];
    }
}
