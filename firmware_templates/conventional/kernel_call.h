/* kernel_call.h - how a kernel for any shape is called: the same for all networks. */
#ifndef KERNEL_CALL_H
#define KERNEL_CALL_H

#include "kernels/tiles.h"

/* What a kernel is called with: its record, a tensor an argument, and where these are. */
typedef struct {
    const void *record;
    const uint16_t *tensors;
    void *const *at;
    int count;
} wb_call;

typedef void wb_kernel(const wb_call *call);

wb_tile wb_tile_of(const wb_call *call, int argument);
wb_view_f32 wb_view_of_f32(const wb_call *call, int argument);
wb_view_s8 wb_view_of_s8(const wb_call *call, int argument);

#endif
