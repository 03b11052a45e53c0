/* square_root_f32.h - the square root, correctly rounded everywhere. */
#pragma once
#include "wb_kernel.h"

/* gcc's own form calls libm, for errno alone, where it cannot rule out a negative x. */
WB_KERNEL float wb_square_root(float x)
{
#ifdef __arm__
    __asm__("vsqrt.f32 %0, %1" : "=t"(x) : "t"(x));
    return x;
#else
    return __builtin_sqrtf(x);
#endif
}
