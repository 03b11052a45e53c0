/* biases_s8.h - the int32 biases of an int8 layer: b, and, where they are trained as deltas, what they changed by since.
 *
 *     delta    | low halves of all channels | high halves of some |        int16, in SRAM; 0: biases are no deltas
 *     wide     of each channel the place of its high half in delta, 0: it has none; 0: no channel has one */
#pragma once
#include "wb_kernel.h"

typedef struct {
    const int32_t *b;
    const int16_t *delta, *wide;
} wb_biases_s8;

/* What the bias of channel o changed by. */
WB_KERNEL int wb_delta(const int16_t *delta, const int16_t *wide, int o)
{
    if (wide && wide[o])
        return (int)((uint32_t)(uint16_t)delta[wide[o]] << 16 | (uint16_t)delta[o]);
    return delta[o];
}

/* b: that of channel o without its delta. */
WB_KERNEL int wb_bias_of(wb_biases_s8 of, int o, int b) { return of.delta ? b + wb_delta(of.delta, of.wide, o) : b; }
WB_KERNEL int wb_bias(wb_biases_s8 of, int o) { return wb_bias_of(of, o, of.b[o]); }

/* Saturates. */
WB_KERNEL void wb_set_delta(int16_t *delta, const int16_t *wide, int o, int64_t change)
{
    const int high = wide ? wide[o] : 0;
    const int32_t limit = high ? INT32_MAX : INT16_MAX;
    const int32_t kept = change > limit ? limit : change < -limit ? -limit : (int32_t)change;
    delta[o] = (int16_t)(uint16_t)kept;
    if (high)
        delta[high] = (int16_t)(kept >> 16);
}
