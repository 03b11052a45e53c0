/* wb_kernel.h - what every kernel starts from. Sizes are literals at every call, so loops unroll and tests fold. */
#ifndef WB_KERNEL_H
#define WB_KERNEL_H

#include <stdint.h>

#define WB_KERNEL static inline __attribute__((always_inline))

/* A kernel with its literals: a function that gcc neither clones for one caller's addresses nor makes part of a caller. What
 * is not there is no parameter but a literal 0, so none of its pointers is. */
#ifdef __clang__
#define WB_INSTANCE __attribute__((noinline, nonnull))
#define WB_ANY_SHAPE __attribute__((noinline))
#else
#define WB_INSTANCE __attribute__((noipa, nonnull))
#define WB_ANY_SHAPE __attribute__((noipa)) /* a kernel that all instances share: sizes, and pointers that may be 0, at run time */
#endif

/* Elements, one after the other. */
typedef struct {
    int count;
} wb_count;

WB_KERNEL int wb_max(int a, int b) { return a > b ? a : b; }
WB_KERNEL int wb_min(int a, int b) { return a < b ? a : b; }

/* Rounded up, for a divisor that is positive; negative numerators give 0 or less. */
WB_KERNEL int wb_ceil_div(int a, int b) { return a > 0 ? (a + b - 1) / b : 0; }

#endif
