/* wb_kernel.h - what every kernel starts from. Sizes are literals at every call, so loops unroll and tests fold. */
#ifndef WB_KERNEL_H
#define WB_KERNEL_H

#include <stdint.h>

/* 1: no size is a literal (firmware_templates/conventional), so that what unrolls by literals would only be long. */
#ifndef WB_ANY_SHAPE
#define WB_ANY_SHAPE 0
#endif

#define WB_KERNEL static inline __attribute__((always_inline))

/* What several kernels have in common: part of each where sizes are literals, a function of its own where none is. */
#if WB_ANY_SHAPE
#define WB_SHARED static __attribute__((noinline, unused))
#else
#define WB_SHARED WB_KERNEL
#endif

/* Whether tests of a number fold, or are made when the kernel runs. */
#define WB_KNOWN(number) (WB_ANY_SHAPE || __builtin_constant_p(number))

/* A kernel with its literals: a function that gcc neither clones for one caller's addresses nor makes part of a caller. What
 * is not there is no parameter but a literal 0, so none of its pointers is. */
#ifdef __clang__
#define WB_INSTANCE __attribute__((noinline, nonnull))
#define WB_ONE_FOR_ALL __attribute__((noinline))
#else
#define WB_INSTANCE __attribute__((noipa, nonnull))
#define WB_ONE_FOR_ALL __attribute__((noipa)) /* that all instances call: sizes, and pointers that may be 0, at run time */
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
