/* relu_f32.h - y = x <= 0 ? 0 : x, and its gradient dx = y <= 0 ? 0 : dy. y may be x, dx may be dy.
 * The mask, if there is one, holds a bit an element of all images, set where x is kept; lowest bit first. */
#pragma once
#include "clipped_tile_f32.h"

WB_KERNEL void relu_f32(wb_shape p, wb_tile t, wb_view_f32 x, wb_view_f32 y, uint32_t *mask)
{
    clipped_tile_f32(WB_RELU, p, t, x, y, mask);
}

WB_KERNEL void relu_grad_f32(wb_shape p, wb_tile t, wb_view_f32 dy, wb_view_f32 y, wb_view_f32 dx)
{
    clipped_grad_tile_f32(WB_RELU, p, t, dy, y, dx);
}
