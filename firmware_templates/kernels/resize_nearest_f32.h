/* resize_nearest_f32.h - each pixel of y is the nearest one of x; the gradient adds up what each pixel of x became. */
#pragma once
#include "wb_kernel.h"

/* x, or dx, has height and width; y, or dy, rows and columns. down: for each row of y, the row of x that it copies; across:
 * the same for columns. */
typedef struct {
    int planes, height, width, rows, columns;
    const int16_t *down, *across;
} wb_resize_nearest;

WB_KERNEL void resize_nearest_f32(wb_resize_nearest p, const float *restrict x, float *restrict y)
{
    for (int plane = 0; plane < p.planes; ++plane, x += p.height * p.width)
        for (int i = 0; i < p.rows; ++i) {
            const float *row = x + p.down[i] * p.width;
#pragma GCC unroll 4
            for (int j = 0; j < p.columns; ++j)
                *y++ = row[p.across[j]];
        }
}

WB_KERNEL void resize_nearest_s8(wb_resize_nearest p, const int8_t *restrict x, int8_t *restrict y)
{
    for (int plane = 0; plane < p.planes; ++plane, x += p.height * p.width)
        for (int i = 0; i < p.rows; ++i) {
            const int8_t *row = x + p.down[i] * p.width;
#pragma GCC unroll 4
            for (int j = 0; j < p.columns; ++j)
                *y++ = row[p.across[j]];
        }
}

WB_KERNEL void resize_nearest_grad_f32(wb_resize_nearest p, const float *restrict dy, float *restrict dx)
{
    for (int i = 0; i < p.planes * p.height * p.width; ++i)
        dx[i] = 0.0f;
    for (int plane = 0; plane < p.planes; ++plane, dx += p.height * p.width)
        for (int i = 0; i < p.rows; ++i) {
            float *row = dx + p.down[i] * p.width;
            for (int j = 0; j < p.columns; ++j)
                row[p.across[j]] += *dy++;
        }
}
