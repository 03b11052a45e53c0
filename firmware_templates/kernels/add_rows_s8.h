/* add_rows_s8.h - rows [begin, end) of add_s8 and add_tflite_s8. */
#pragma once
#include "add_s8.h"
#include "rows_s8.h"

WB_KERNEL void add_rows_s8(int channels, int height, int width, int zero_a, int zero_b, int zero_y, int low, int high,
                           int of_a, int of_b, int shift, int begin, int end,
                           wb_rows_s8 a, wb_rows_s8 b, wb_rows_s8 y, wb_bits mask)
{
    const wb_runs runs = wb_runs_of(end - begin, width, a.pitch == width && b.pitch == width && y.pitch == width);
    for (int c = 0; c < channels; ++c)
        for (int i = 0; i < runs.count; ++i)
            add_run_s8(runs.length, zero_a, zero_b, zero_y, low, high, of_a, of_b, shift, wb_row_s8(a, c, begin + i),
                       wb_row_s8(b, c, begin + i), wb_row_s8(y, c, begin + i), mask.words,
                       mask.first + (c * height + begin + i) * width);
}

WB_KERNEL void add_tflite_rows_s8(int channels, int height, int width, int zero_a, int zero_b, int zero_y,
                                  int low, int high, int a_m, int a_shift, int b_m, int b_shift, int y_m, int y_shift,
                                  int begin, int end, wb_rows_s8 a, wb_rows_s8 b, wb_rows_s8 y, wb_bits mask)
{
    const wb_runs runs = wb_runs_of(end - begin, width, a.pitch == width && b.pitch == width && y.pitch == width);
    for (int c = 0; c < channels; ++c)
        for (int i = 0; i < runs.count; ++i)
            add_run_tflite_s8(runs.length, zero_a, zero_b, zero_y, low, high, a_m, a_shift, b_m, b_shift, y_m, y_shift,
                              wb_row_s8(a, c, begin + i), wb_row_s8(b, c, begin + i), wb_row_s8(y, c, begin + i),
                              mask.words, mask.first + (c * height + begin + i) * width);
}
