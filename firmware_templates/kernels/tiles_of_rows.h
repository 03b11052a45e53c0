/* tiles_of_rows.h - stripes as views, until regions declare views themselves. */
#pragma once
#include "rows_s8.h"
#include "tiles.h"

WB_KERNEL wb_view_f32 wb_view_of_rows_f32(wb_rows x, int channels)
{
    return (wb_view_f32){ x.at, 0, x.plane, x.pitch, 0, channels, x.first, x.end, x.gaps };
}

WB_KERNEL wb_view_s8 wb_view_of_rows_s8(wb_rows_s8 x, int channels)
{
    return (wb_view_s8){ x.at, 0, x.plane, x.pitch, 0, channels, x.first, x.end, 0 };
}
