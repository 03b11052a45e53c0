/* soft_float.h - what C leaves to libm where the core has no floating-point unit: a square root, a fused multiply-add, and
 * the nearest whole number. libm's own rounds the product twice, or keeps errno in SRAM. */
#pragma once
#include "wb_kernel.h"

#if defined(__arm__) && !defined(__ARM_FP)
#define WB_SOFT_FLOAT 1
#define WB_SOFT static __attribute__((noipa, unused))
#else
#define WB_SOFT_FLOAT 0
#define WB_SOFT static inline __attribute__((unused))
#endif

/* Correctly rounded: 25 bits of the root of its 24 bits, one by one. */
WB_SOFT float wb_soft_square_root(float x)
{
    uint32_t left;
    __builtin_memcpy(&left, &x, sizeof left);
    if (x == 0.0f || left == 0x7f800000u)
        return x;
    if (!(x > 0.0f))
        return __builtin_nanf("");
    int exponent = (int)(left >> 23);
    left = exponent ? (left & 0x7fffffu) | 0x800000u : 2u * left;
    for (; left < 0x800000u; --exponent)
        left *= 2;
    if (exponent % 2 == 0) /* the power of two is to be even: the exponent is 127 above it */
        left *= 2;
    uint32_t root = 0;
    left *= 2;
    for (uint32_t bit = 1u << 24, twice = 0; bit; bit >>= 1, left *= 2)
        if (left >= twice + bit) {
            left -= twice + bit;
            twice += 2 * bit;
            root += bit;
        }
    root += root & (left != 0); /* the last bit is half a unit, and never just half: roots are not */
    root = (root >> 1) + ((uint32_t)((exponent + 125 + (exponent % 2 != 0)) / 2) << 23);
    __builtin_memcpy(&x, &root, sizeof x);
    return x;
}

/* sum + a * b, rounded once. The product is exact in double. Where the sum is not, its last bit is set, on that side of it
 * where the rest lies; so rounding to single precision sees that there is a rest. */
WB_SOFT float wb_soft_multiply_add(float a, float b, float sum)
{
    const double product = (double)a * b, rounded = product + sum;
    const double other = rounded - product, rest = (product - (rounded - other)) + (sum - other);
    uint64_t bits;
    __builtin_memcpy(&bits, &rounded, sizeof bits);
    if (rest != 0.0 && rounded - rounded == 0.0 && bits % 2 == 0)
        bits += (rest > 0.0) == (rounded > 0.0) ? 1 : (uint64_t)-1;
    double odd;
    __builtin_memcpy(&odd, &bits, sizeof odd);
    return (float)odd;
}

/* Ties to even, for |x| below 2^22: what is above 2^23 has no fraction. */
WB_KERNEL float wb_soft_nearest(float x) { return x + 12582912.0f - 12582912.0f; }
