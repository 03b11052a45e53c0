/* resize_nearest_f32.h - each pixel of y is the nearest one of x; the gradient adds up what each pixel of x became.
 * down: for each row of y, the row of x that it copies; across: the same for columns. */
#pragma once
#include "wb_kernel.h"

#define WB_RESIZE_NEAREST(NAME, TYPE)                                                                      \
WB_KERNEL void NAME(int planes, int height, int width, int rows, int columns, const int16_t *down,         \
                    const int16_t *across, const TYPE *restrict x, TYPE *restrict y)                       \
{                                                                                                          \
    for (int p = 0; p < planes; ++p, x += height * width)                                                  \
        for (int i = 0; i < rows; ++i) {                                                                   \
            const TYPE *row = x + down[i] * width;                                                         \
            _Pragma("GCC unroll 4")                                                                        \
            for (int j = 0; j < columns; ++j)                                                              \
                *y++ = row[across[j]];                                                                     \
        }                                                                                                  \
}

WB_RESIZE_NEAREST(resize_nearest_f32, float)
WB_RESIZE_NEAREST(resize_nearest_s8, int8_t)

/* dx has height and width, dy rows and columns. */
WB_KERNEL void resize_nearest_grad_f32(int planes, int height, int width, int rows, int columns, const int16_t *down,
                                       const int16_t *across, const float *restrict dy, float *restrict dx)
{
    for (int i = 0; i < planes * height * width; ++i)
        dx[i] = 0.0f;
    for (int p = 0; p < planes; ++p, dx += height * width)
        for (int i = 0; i < rows; ++i) {
            float *row = dx + down[i] * width;
            for (int j = 0; j < columns; ++j)
                row[across[j]] += *dy++;
        }
}
