/* wb_kernel.h - what every kernel starts from. Sizes are literals at every call, so loops unroll and tests fold. */
#ifndef WB_KERNEL_H
#define WB_KERNEL_H

#include <stdint.h>

#define WB_KERNEL static inline __attribute__((always_inline))

/* Elements, one after the other. */
typedef struct {
    int count;
} wb_count;

WB_KERNEL int wb_max(int a, int b) { return a > b ? a : b; }
WB_KERNEL int wb_min(int a, int b) { return a < b ? a : b; }

/* Rounded up, for a divisor that is positive; negative numerators give 0 or less. */
WB_KERNEL int wb_ceil_div(int a, int b) { return a > 0 ? (a + b - 1) / b : 0; }

#endif
