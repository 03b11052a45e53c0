/* exp_log_f32.h - exp and log in single precision (newlib's expf and logf compute in double, which these cores do in
 * software); most callers need exp for x <= 0 and log(1 + x) for x >= 0.
 *
 * Both reduce as Cephes does (expf.c, logf.c; S. Moshier): exp(x) = 2^n * exp(r) with |r| <= ln(2)/2, log(1 + x) = e*ln(2) +
 * log(1 + m) with m around 0; ln(2) is split in two so that the reduction is exact. The polynomials are Cephes' own.
 * Error: below 2 units in the last place over the ranges used. */
#pragma once
#include "wb_kernel.h"

typedef union {
    float f;
    int32_t i;
} wb_float_bits;

/* exp(r) - 1 for |r| <= ln(2)/2. */
WB_KERNEL float wb_exp_terms_f32(float r)
{
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    return p * r * r + r;
}

/* x <= 0. */
WB_KERNEL float wb_exp_f32(float x)
{
    if (x != x)
        return x;
    if (x < -87.0f) /* exp(-87) = 1.6e-38 is the last one that is normal */
        return 0.0f;
    const int n = (int)(x * 1.44269504088896341f - 0.5f); /* to nearest, for x <= 0 */
    const float r = (x - (float)n * 0.693359375f) - (float)n * -2.12194440e-4f;
    const wb_float_bits power = { .i = (n + 127) << 23 };
    return (wb_exp_terms_f32(r) + 1.0f) * power.f;
}

/* Of any x: above 0 it takes so many powers of two away that 0 or less is left. */
WB_KERNEL float wb_exp_of_any_f32(float x)
{
    if (!(x > 0.0f))
        return wb_exp_f32(x);
    if (x > 88.722839f)
        return __builtin_inff();
    const int n = (int)(x * 1.44269504088896341f) + 1; /* up to 129, so that the power is made in two */
    const float r = (x - (float)n * 0.693359375f) - (float)n * -2.12194440e-4f;
    const wb_float_bits power = { .i = (n + 125) << 23 };
    return wb_exp_f32(r) * power.f * 4.0f;
}

/* exp(x) - 1 for x <= 0, with the digits of those near 0. */
WB_KERNEL float wb_expm1_f32(float x)
{
    return x > -0.34f ? wb_exp_terms_f32(x) : wb_exp_f32(x) - 1.0f;
}

/* (1 + m) * 2^e, m around 0. */
typedef struct {
    float m;
    int e;
} wb_reduced;

/* Of a normal x > 0. */
WB_KERNEL wb_reduced wb_reduced_f32(float x)
{
    wb_float_bits bits = { .f = x };
    int e = (bits.i >> 23) - 126;
    bits.i = (bits.i & 0x007fffff) | 0x3f000000; /* the mantissa in [0.5, 1) */
    float m = bits.f;
    if (m < 0.707106781186547524f) {
        e -= 1;
        m = m + m;
    }
    return (wb_reduced){ m - 1.0f, e };
}

WB_KERNEL float wb_log_reduced_f32(float m, int e)
{
    float p = 7.0376836292e-2f;
    p = p * m - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    p = p * m + 3.3333331174e-1f;
    const float z = m * m;
    float y = p * m * z;
    y += -2.12194440e-4f * (float)e;
    y -= 0.5f * z;
    return m + y + 0.693359375f * (float)e;
}

WB_KERNEL float wb_log1p_f32(float x)
{
    if (!(x <= 3.4028234e38f)) /* infinite or not a number */
        return x;
    wb_reduced of = { x, 0 }; /* below sqrt(2) - 1 it is reduced already, with all its digits */
    if (x >= 0.414213562373095049f)
        of = wb_reduced_f32(1.0f + x);
    return wb_log_reduced_f32(of.m, of.e);
}

WB_KERNEL float wb_log_f32(float x)
{
    if (!(x > 0.0f))
        return x == 0.0f ? -__builtin_inff() : __builtin_nanf("");
    if (x > 3.4028234e38f)
        return x;
    const int small = x < 1.17549435e-38f; /* and not normal, as 2^23 times it is */
    const wb_reduced of = wb_reduced_f32(small ? x * 8388608.0f : x);
    return wb_log_reduced_f32(of.m, of.e - (small ? 23 : 0));
}
