/* elementwise_rows_f32.h - rows [begin, end) of operators that compute each row of a channel from that same row alone. */
#pragma once
#include "add_f32.h"
#include "bias_add_f32.h"
#include "rows_s8.h"

WB_KERNEL void add_rows_f32(int channels, int width, int begin, int end, wb_rows a, wb_rows b, wb_rows y)
{
    const wb_runs runs = wb_runs_of(end - begin, width, a.pitch == width && b.pitch == width && y.pitch == width);
    for (int c = 0; c < channels; ++c)
        for (int i = 0; i < runs.count; ++i)
            add_f32(runs.length, wb_row(a, c, begin + i), wb_row(b, c, begin + i), wb_row(y, c, begin + i));
}

WB_KERNEL void bias_add_rows_f32(int channels, int width, int begin, int end, wb_rows x, const float *restrict b,
                                 wb_rows y)
{
    const wb_runs runs = wb_runs_of(end - begin, width, x.pitch == width && y.pitch == width);
    for (int c = 0; c < channels; ++c)
        for (int i = 0; i < runs.count; ++i)
            bias_add_f32(1, 1, runs.length, wb_row(x, c, begin + i), b + c, wb_row(y, c, begin + i));
}

WB_KERNEL void apply_mask_rows_f32(int channels, int height, int width, int begin, int end, wb_rows dy, wb_bits mask,
                                   wb_rows dx)
{
    const wb_runs runs = wb_runs_of(end - begin, width, dy.pitch == width && dx.pitch == width);
    for (int c = 0; c < channels; ++c)
        for (int r = 0; r < runs.count; ++r) {
            const float *from = wb_row(dy, c, begin + r);
            float *to = wb_row(dx, c, begin + r);
            int bit = mask.first + (c * height + begin + r) * width;
            for (int done = 0; done < runs.length;) {
                const int here = wb_min(runs.length - done, 32 - bit % 32);
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
    const wb_runs runs = wb_runs_of(end - begin, width, x.pitch == width && y.pitch == width);
    for (int c = 0; c < channels; ++c)
        for (int r = 0; r < runs.count; ++r) {
            const float *from = wb_row(x, first + c, begin + r);
            float *to = wb_row(y, c, begin + r);
#pragma GCC unroll 4
            for (int i = 0; i < runs.length; ++i)
                to[i] = from[i];
        }
}

/* y[c] grows by the elements of each row, one after the other as in sum_f32. */
WB_KERNEL void sum_rows_f32(int channels, int width, int begin, int end, wb_rows x, float *restrict y)
{
    const wb_runs runs = wb_runs_of(end - begin, width, x.pitch == width);
    for (int c = 0; c < channels; ++c) {
        float sum = y[c];
        for (int r = 0; r < runs.count; ++r) {
            const float *from = wb_row(x, c, begin + r);
#pragma GCC unroll 4
            for (int i = 0; i < runs.length; ++i)
                sum += from[i];
        }
        y[c] = sum;
    }
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
    const wb_runs runs = wb_runs_of(end - begin, width, dx.pitch == width);
    for (int c = 0; c < channels; ++c) {
        const float share = dy[c] * (1.0f / (float)(height * width));
        for (int r = 0; r < runs.count; ++r) {
            float *to = wb_row(dx, c, begin + r);
            for (int i = 0; i < runs.length; ++i)
                to[i] = share;
        }
    }
}
