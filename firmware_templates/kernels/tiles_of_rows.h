/* tiles_of_rows.h - views as stripes, for kernels that take no views yet. */
#pragma once
#include "rows_s8.h"

WB_KERNEL wb_rows wb_rows_of_view_f32(wb_view_f32 x, int image)
{
    return (wb_rows){ x.at + image * x.image, x.plane, x.pitch, x.row, x.row_end, x.gaps };
}

WB_KERNEL wb_rows_s8 wb_rows_of_view_s8(wb_view_s8 x, int image)
{
    return (wb_rows_s8){ x.at + image * x.image, x.plane, x.pitch, x.row, x.row_end };
}
