/* sum_f32.h - y[c] = times * sum over n and i of x[n][c][i]; sum_into_f32 hands each on to a sink (sink_f32.h). */
#pragma once
#include "sink_f32.h"

/* times * the sum of channel c. */
WB_KERNEL float channel_sum_f32(int batch, int channels, int plane, int c, float times, const float *restrict x)
{
    float sum = 0.0f;
    for (int n = 0; n < batch; ++n) {
        const float *p = x + (n * channels + c) * plane;
#pragma GCC unroll 4
        for (int i = 0; i < plane; ++i)
            sum += p[i];
    }
    return times == 1.0f ? sum : sum * times;
}

WB_KERNEL void sum_into_f32(int batch, int channels, int plane, float times, const float *restrict x,
                            wb_sink sink, float *restrict to, float *restrict v)
{
    for (int c = 0; c < channels; ++c)
        sink_f32(sink, c, to, v, channel_sum_f32(batch, channels, plane, c, times, x));
}

WB_KERNEL void sum_f32(int batch, int channels, int plane, float times, const float *restrict x, float *restrict y)
{
    sum_into_f32(batch, channels, plane, times, x, (wb_sink){ .kind = WB_STORE }, y, 0);
}
