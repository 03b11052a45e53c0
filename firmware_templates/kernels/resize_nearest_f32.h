/* resize_nearest_f32.h - each pixel of y is the nearest one of x; the gradient adds up what each pixel of x became. */
#pragma once
#include "wb_kernel.h"

/* The row of x that row i of y is, or the column: floor((i + offset) * scale), or rounded. */
WB_KERNEL int wb_nearest_pixel(int i, int pixels, float scale, float offset, int rounded)
{
    const float at = ((float)i + offset) * scale;
    const int whole = (int)at;
    return wb_min(whole + (rounded && at - (float)whole >= 0.5f), pixels - 1);
}

#define WB_RESIZE_NEAREST(NAME, TYPE)                                                                       \
WB_KERNEL void NAME(int planes, int height, int width, int rows, int columns, float down, float across,     \
                    float offset, int rounded, const TYPE *restrict x, TYPE *restrict y)                    \
{                                                                                                           \
    for (int p = 0; p < planes; ++p, x += height * width)                                                   \
        for (int i = 0; i < rows; ++i) {                                                                    \
            const TYPE *row = x + wb_nearest_pixel(i, height, down, offset, rounded) * width;                     \
            for (int j = 0; j < columns; ++j)                                                               \
                *y++ = row[wb_nearest_pixel(j, width, across, offset, rounded)];                                  \
        }                                                                                                   \
}

WB_RESIZE_NEAREST(resize_nearest_f32, float)
WB_RESIZE_NEAREST(resize_nearest_s8, int8_t)

/* dx has height and width, dy rows and columns. */
WB_KERNEL void resize_nearest_grad_f32(int planes, int height, int width, int rows, int columns, float down,
                                       float across, float offset, int rounded,
                                       const float *restrict dy, float *restrict dx)
{
    for (int i = 0; i < planes * height * width; ++i)
        dx[i] = 0.0f;
    for (int p = 0; p < planes; ++p, dx += height * width)
        for (int i = 0; i < rows; ++i) {
            float *row = dx + wb_nearest_pixel(i, height, down, offset, rounded) * width;
            for (int j = 0; j < columns; ++j)
                row[wb_nearest_pixel(j, width, across, offset, rounded)] += *dy++;
        }
}
