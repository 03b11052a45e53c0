/* relu6_f32.h - y = x clipped to 0..6, and its gradient dx = dy where nothing was clipped. y may be x, dx may be dy.
 * The mask, if there is one, holds a bit an element of all images, set where x is kept; lowest bit first. */
#pragma once
#include "clipped_tile_f32.h"

WB_KERNEL void relu6_f32(wb_shape p, wb_tile t, wb_view_f32 x, wb_view_f32 y, uint32_t *mask)
{
    clipped_tile_f32(WB_RELU6, p, t, x, y, mask);
}

WB_KERNEL void relu6_grad_f32(wb_shape p, wb_tile t, wb_view_f32 dy, wb_view_f32 y, wb_view_f32 dx)
{
    clipped_grad_tile_f32(WB_RELU6, p, t, dy, y, dx);
}
