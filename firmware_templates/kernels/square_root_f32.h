/* square_root_f32.h - the square root, correctly rounded everywhere. */
#pragma once
#include "soft_float.h"

/* gcc's own form calls libm, for errno alone, where it cannot rule out a negative x. */
WB_KERNEL float wb_square_root(float x)
{
#ifdef __ARM_FP
    __asm__("vsqrt.f32 %0, %1" : "=t"(x) : "t"(x));
    return x;
#elif WB_SOFT_FLOAT
    return wb_soft_square_root(x);
#else
    return __builtin_sqrtf(x);
#endif
}
