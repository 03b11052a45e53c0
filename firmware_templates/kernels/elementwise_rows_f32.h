/* elementwise_rows_f32.h - rows [begin, end) of operators that make each row of a channel of the same row alone. */
#pragma once
#include "add_f32.h"
#include "bias_add_f32.h"
#include "relu6_f32.h"
#include "relu_f32.h"
#include "rows_s8.h"

WB_KERNEL void add_rows_f32(int channels, int width, int begin, int end, wb_rows a, wb_rows b, wb_rows y)
{
    for (int c = 0; c < channels; ++c)
        add_f32((end - begin) * width, wb_row(a, width, c, begin), wb_row(b, width, c, begin), wb_row(y, width, c, begin));
}

WB_KERNEL void bias_add_rows_f32(int channels, int width, int begin, int end, wb_rows x, const float *restrict b,
                                 wb_rows y)
{
    for (int c = 0; c < channels; ++c)
        bias_add_f32(1, 1, (end - begin) * width, wb_row(x, width, c, begin), b + c, wb_row(y, width, c, begin));
}

WB_KERNEL void relu_rows_f32(int channels, int height, int width, int begin, int end, wb_rows x, wb_rows y, wb_bits mask)
{
    for (int c = 0; c < channels; ++c)
        relu_f32((end - begin) * width, wb_row(x, width, c, begin), wb_row(y, width, c, begin));
    clip_mask_rows_f32(WB_RELU, channels, height, width, begin, end, y, mask);
}

WB_KERNEL void relu6_rows_f32(int channels, int height, int width, int begin, int end, wb_rows x, wb_rows y, wb_bits mask)
{
    for (int c = 0; c < channels; ++c)
        relu6_f32((end - begin) * width, wb_row(x, width, c, begin), wb_row(y, width, c, begin));
    clip_mask_rows_f32(WB_RELU6, channels, height, width, begin, end, y, mask);
}

WB_KERNEL void apply_mask_rows_f32(int channels, int height, int width, int begin, int end, wb_rows dy, wb_bits mask,
                                   wb_rows dx)
{
    for (int c = 0; c < channels; ++c) {
        const float *from = wb_row(dy, width, c, begin);
        float *to = wb_row(dx, width, c, begin);
        int bit = mask.first + (c * height + begin) * width;
        for (int done = 0; done < (end - begin) * width;) {
            const int here = wb_min((end - begin) * width - done, 32 - bit % 32);
            uint32_t bits = mask.words[bit / 32] >> bit % 32;
            for (int i = 0; i < here; ++i, bits >>= 1)
                *to++ = bits & 1u ? *from++ : (++from, 0.0f);
            done += here;
            bit += here;
        }
    }
}

/* Channels first, first + 1, … of x. */
WB_KERNEL void slice_rows_f32(int first, int channels, int width, int begin, int end, wb_rows x, wb_rows y)
{
    for (int c = 0; c < channels; ++c) {
        const float *from = wb_row(x, width, first + c, begin);
        float *to = wb_row(y, width, c, begin);
#pragma GCC unroll 4
        for (int i = 0; i < (end - begin) * width; ++i)
            to[i] = from[i];
    }
}

/* y[c] grows by the elements of each row, one after the other as in sum_f32. */
WB_KERNEL void sum_rows_f32(int channels, int width, int begin, int end, wb_rows x, float *restrict y)
{
    for (int c = 0; c < channels; ++c) {
        const float *from = wb_row(x, width, c, begin);
        float sum = y[c];
#pragma GCC unroll 4
        for (int i = 0; i < (end - begin) * width; ++i)
            sum += from[i];
        y[c] = sum;
    }
}

WB_KERNEL void scaled_sum_rows_f32(int channels, int height, int width, float times, int begin, int end, wb_rows x,
                                   float *restrict y)
{
    sum_rows_f32(channels, width, begin, end, x, y);
    if (end == height)
        for (int c = 0; c < channels; ++c)
            y[c] = y[c] * times;
}

/* The mean of each channel: its sum until the last row is there. */
WB_KERNEL void global_avg_pool2d_rows_f32(int channels, int height, int width, int begin, int end, wb_rows x,
                                          float *restrict y)
{
    sum_rows_f32(channels, width, begin, end, x, y);
    if (end == height)
        for (int c = 0; c < channels; ++c)
            y[c] = y[c] * (1.0f / (float)(height * width));
}

WB_KERNEL void global_avg_pool2d_grad_rows_f32(int channels, int height, int width, int begin, int end,
                                               const float *restrict dy, wb_rows dx)
{
    for (int c = 0; c < channels; ++c) {
        const float share = dy[c] * (1.0f / (float)(height * width));
        float *to = wb_row(dx, width, c, begin);
        for (int i = 0; i < (end - begin) * width; ++i)
            to[i] = share;
    }
}
