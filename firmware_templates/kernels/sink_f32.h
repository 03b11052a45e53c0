/* sink_f32.h - where an element of a gradient goes once it is computed: into memory, to a sum, or into its weight at once.
 *
 * The kind and the numbers are literals at every call, so what is not asked for folds away. No `restrict` here: the
 * pointers come from parameters that have it, and a second one inside hides the first from GCC 12. */
#pragma once
#include "sgd_f32.h"

typedef enum {
    WB_STORE,    /* to[i] = g */
    WB_ADD,      /* to[i] += g */
    WB_SGD,      /* to[i] is a weight: as in sgd_f32 */
    WB_MOMENTUM, /* to[i] is a weight, v[i] its momentum: as in sgd_momentum_f32 */
} wb_sink_kind;

typedef struct {
    wb_sink_kind kind;
    wb_sgd_rule rule;
    float rate;
} wb_sink;

/* Element i, whose gradient is g; v is 0 where there is no momentum. */
WB_KERNEL void sink_f32(wb_sink sink, int i, float *to, float *v, float g)
{
    switch (sink.kind) {
    case WB_STORE: to[i] = g; break;
    case WB_ADD: to[i] += g; break;
    case WB_SGD: sgd_element_f32(sink.rule, sink.rate, to + i, g); break;
    case WB_MOMENTUM: sgd_momentum_element_f32(sink.rule, sink.rate, to + i, g, v + i); break;
    }
}
