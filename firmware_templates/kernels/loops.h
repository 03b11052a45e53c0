/* loops.h - six nested loops, the outermost first: each runs n times and goes `step` elements further in one array, while
 * another is gone through in its own order. Loops of one turn fold away. */
#pragma once
#include "wb_kernel.h"

typedef struct {
    int n[6], step[6];
} wb_loops;

/* The loops but the innermost; where that one begins. */
#define WB_FOR_OUTER(p, a, b, c, d, e)              \
    for (int a = 0; a < (p).n[0]; ++a)              \
        for (int b = 0; b < (p).n[1]; ++b)          \
            for (int c = 0; c < (p).n[2]; ++c)      \
                for (int d = 0; d < (p).n[3]; ++d)  \
                    for (int e = 0; e < (p).n[4]; ++e)

WB_KERNEL int wb_in_loops(wb_loops p, int a, int b, int c, int d, int e)
{
    return a * p.step[0] + b * p.step[1] + c * p.step[2] + d * p.step[3] + e * p.step[4];
}
