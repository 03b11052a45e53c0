/* fpu.h - four floats side by side by one instruction of the core's FPU (VLDM, VSTM): the tile of gemm_f32.h, with which gcc
 * would load them one by one, and whole numbers as floats. Where WB_FPU is 0 there is none of it.
 *
 *     sums of four filters by four pixels   s0 … s15: a row of four a filter
 *     of one k                              x: s16 … s19, w: s20 … s23
 *     of the next one, where products are   x: s24 … s27, w: s28 … s31, loaded while those of the one before are added
 *     fused with their sums; else           products: s24 … s27
 *
 * Of the floats that are loaded gcc is told nothing but that memory is read. */
#pragma once
#include "wb_kernel.h"

#if defined(__ARM_FEATURE_DSP) && defined(__ARM_FP) && defined(__OPTIMIZE__)
#define WB_FPU 1
#define WB_FPU_ALL_FLOATS                                                                                              \
    "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13", "s14", "s15", "s16",       \
        "s17", "s18", "s19", "s20", "s21", "s22", "s23", "s24", "s25", "s26", "s27", "s28", "s29", "s30", "s31"

#define WB_FPU_FOUR(op, d0, d1, d2, d3, a0, a1, a2, a3, b0, b1, b2, b3)                                                \
    op " s" #d0 ", s" #a0 ", s" #b0 "\n\t" op " s" #d1 ", s" #a1 ", s" #b1 "\n\t"                                      \
    op " s" #d2 ", s" #a2 ", s" #b2 "\n\t" op " s" #d3 ", s" #a3 ", s" #b3 "\n\t"

/* A row of sums + x * by. */
#define WB_FPU_ROW_FUSED(s0, s1, s2, s3, x0, x1, x2, x3, by)                                                           \
    WB_FPU_FOUR("vfma.f32", s0, s1, s2, s3, x0, x1, x2, x3, by, by, by, by)
#define WB_FPU_ROW(s0, s1, s2, s3, x0, x1, x2, x3, by)                                                                 \
    WB_FPU_FOUR("vmul.f32", 24, 25, 26, 27, x0, x1, x2, x3, by, by, by, by)                                            \
    WB_FPU_FOUR("vadd.f32", s0, s1, s2, s3, s0, s1, s2, s3, 24, 25, 26, 27)

/* What is loaded for one k, and its products. `next`: instructions that stand behind the first row. */
#define WB_FPU_LOADS(x0, x3, w0, w3)                                                                                   \
    "vldmia %[x], {s" #x0 "-s" #x3 "}\n\tadd %[x], %[x], %[x_next]\n\t"                                                \
    "vldmia %[w]!, {s" #w0 "-s" #w3 "}\n\t"
#define WB_FPU_STEP(row, x0, x1, x2, x3, w0, w1, w2, w3, next)                                                         \
    row(0, 1, 2, 3, x0, x1, x2, x3, w0) next                                                                           \
    row(4, 5, 6, 7, x0, x1, x2, x3, w1)                                                                                \
    row(8, 9, 10, 11, x0, x1, x2, x3, w2)                                                                              \
    row(12, 13, 14, 15, x0, x1, x2, x3, w3)

#define WB_FPU_ONE_STEP(row) WB_FPU_LOADS(16, 19, 20, 23) WB_FPU_STEP(row, 16, 17, 18, 19, 20, 21, 22, 23, "")
#define WB_FPU_TWO_STEPS WB_FPU_ONE_STEP(WB_FPU_ROW) WB_FPU_ONE_STEP(WB_FPU_ROW)
#define WB_FPU_FOUR_STEPS WB_FPU_TWO_STEPS WB_FPU_TWO_STEPS
#define WB_FPU_FOUR_STEPS_FUSED                                                                                        \
    WB_FPU_LOADS(16, 19, 20, 23)                                                                                       \
    WB_FPU_STEP(WB_FPU_ROW_FUSED, 16, 17, 18, 19, 20, 21, 22, 23, WB_FPU_LOADS(24, 27, 28, 31))                        \
    WB_FPU_STEP(WB_FPU_ROW_FUSED, 24, 25, 26, 27, 28, 29, 30, 31, WB_FPU_LOADS(16, 19, 20, 23))                        \
    WB_FPU_STEP(WB_FPU_ROW_FUSED, 16, 17, 18, 19, 20, 21, 22, 23, WB_FPU_LOADS(24, 27, 28, 31))                        \
    WB_FPU_STEP(WB_FPU_ROW_FUSED, 24, 25, 26, 27, 28, 29, 30, 31, "")

/* Four rows of sums from or to memory, `apart` from one to the next; and back again, which leaves the address as it was. */
#define WB_FPU_SUMS(op, at, apart)                                                                                     \
    op " %[" at "], {s0-s3}\n\tadd %[" at "], %[" at "], %[" apart "]\n\t"                                             \
    op " %[" at "], {s4-s7}\n\tadd %[" at "], %[" at "], %[" apart "]\n\t"                                             \
    op " %[" at "], {s8-s11}\n\tadd %[" at "], %[" at "], %[" apart "]\n\t"                                            \
    op " %[" at "], {s12-s15}\n\t"
#define WB_FPU_SUMS_BACK(op, at, apart)                                                                                \
    op " %[" at "], {s12-s15}\n\tsub %[" at "], %[" at "], %[" apart "]\n\t"                                           \
    op " %[" at "], {s8-s11}\n\tsub %[" at "], %[" at "], %[" apart "]\n\t"                                            \
    op " %[" at "], {s4-s7}\n\tsub %[" at "], %[" at "], %[" apart "]\n\t"                                             \
    op " %[" at "], {s0-s3}\n\t"

#define WB_FPU_FOURS(four_steps) "1:\t" four_steps "subs %[fours], %[fours], #1\n\tbne 1b\n\t"
#define WB_FPU_ANY(four_steps, row)                                                                                    \
    "cmp %[fours], #0\n\tbeq 2f\n" WB_FPU_FOURS(four_steps) "2:\tcmp %[ones], #0\n\tbeq 4f\n3:\t"                      \
    WB_FPU_ONE_STEP(row) "subs %[ones], %[ones], #1\n\tbne 3b\n4:\t"

#define WB_FPU_TILE_ONTO(steps)                                                                                        \
    __asm volatile(WB_FPU_SUMS("vldmia", "y", "y_next") steps WB_FPU_SUMS_BACK("vstmia", "y", "y_next")                \
                   : [x] "+&r"(x), [w] "+&r"(w), [fours] "+&r"(fours), [y] "+&r"(y)                                    \
                   : [y_next] "rI"(4 * y_next), [x_next] "rI"(4 * x_next)                                              \
                   : "memory", "cc", WB_FPU_ALL_FLOATS)
#define WB_FPU_TILE(steps)                                                                                             \
    __asm volatile(WB_FPU_SUMS("vldmia", "from", "from_next") steps WB_FPU_SUMS("vstmia", "y", "y_next")               \
                   : [from] "+&r"(from), [y] "+&r"(y), [x] "+&r"(x), [w] "+&r"(w), [fours] "+&r"(fours),               \
                     [ones] "+&r"(ones)                                                                                \
                   : [from_next] "r"(from_next), [y_next] "rI"(4 * y_next), [x_next] "rI"(4 * x_next)                  \
                   : "memory", "cc", WB_FPU_ALL_FLOATS)

/* wb_tile_f32 where it goes on from y, and `count` is known to be some fours. */
WB_KERNEL void wb_tile_onto_f32(int fused, int count, int x_next, int y_next, const float *x, const float *w, float *y)
{
    int fours = count / 4;
    if (fused)
        WB_FPU_TILE_ONTO(WB_FPU_FOURS(WB_FPU_FOUR_STEPS_FUSED));
    else
        WB_FPU_TILE_ONTO(WB_FPU_FOURS(WB_FPU_FOUR_STEPS));
}

/* y[f][p] = sum over k of w[k][f] * x[k][p], four by four, going on from y where `onto`; see wb_multiply_add_f32. Rows of x
 * and y lie x_next and y_next apart. */
WB_KERNEL void wb_tile_f32(int fused, int onto, int count, int x_next, int y_next, const float *x, const float *w, float *y)
{
    static const float zeros[4];
    const int known = __builtin_constant_p(count) && count % 4 == 0 && count > 0;
    const float *from = y;
    int from_next = -onto & (4 * y_next), fours = count / 4, ones = count % 4;
    if (known && __builtin_constant_p(onto) && onto) {
        wb_tile_onto_f32(fused, count, x_next, y_next, x, w, y);
        return;
    }
    /* a branch in C would have GCC make a loop over tiles for either beginning */
    __asm volatile("cmp %1, #0\n\tit eq\n\tmoveq %0, %2" : "+r"(from) : "r"(onto), "r"(zeros) : "cc");
    if (known && fused)
        WB_FPU_TILE(WB_FPU_FOURS(WB_FPU_FOUR_STEPS_FUSED));
    else if (fused)
        WB_FPU_TILE(WB_FPU_ANY(WB_FPU_FOUR_STEPS_FUSED, WB_FPU_ROW_FUSED));
    else
        WB_FPU_TILE(WB_FPU_ANY(WB_FPU_FOUR_STEPS, WB_FPU_ROW));
}

/* Gradients of weights: the sums of filters f and f + 1 over channels 0 and 1 of x (s8 … s11, s12 … s15), four pixels of
 * each. f: the first sum; d, e: the first of the four registers of either filter's dy. */
#define WB_FPU_PIXEL_FUSED(f0, f1, f2, f3, x0, x1, d, e) WB_FPU_FOUR("vfma.f32", f0, f1, f2, f3, d, d, e, e, x0, x1, x0, x1)
#define WB_FPU_PIXEL(f0, f1, f2, f3, x0, x1, d, e)                                                                     \
    WB_FPU_FOUR("vmul.f32", 24, 25, 26, 27, d, d, e, e, x0, x1, x0, x1)                                                \
    WB_FPU_FOUR("vadd.f32", f0, f1, f2, f3, f0, f1, f2, f3, 24, 25, 26, 27)
#define WB_FPU_FOUR_PIXELS(pixel, f0, f1, f2, f3, d0, d1, d2, d3, e0, e1, e2, e3, first, second)                       \
    pixel(f0, f1, f2, f3, 8, 12, d0, e0) first pixel(f0, f1, f2, f3, 9, 13, d1, e1) second                             \
    pixel(f0, f1, f2, f3, 10, 14, d2, e2) pixel(f0, f1, f2, f3, 11, 15, d3, e3)
#define WB_FPU_NEXT(p, first, last) "vldmia %[" p "]!, {" first "-" last "}\n\t"

#define WB_FPU_GRADIENTS(four_pixels)                                                                                  \
    __asm volatile("vldmia %[zeros], {s0-s7}\n1:\t"                                                                    \
                   WB_FPU_NEXT("x", "s8", "s11") WB_FPU_NEXT("x1", "s12", "s15") WB_FPU_NEXT("d0", "s16", "s19")       \
                   WB_FPU_NEXT("d1", "s20", "s23") four_pixels                                                         \
                   "subs %[fours], %[fours], #1\n\tbne 1b\n\t"                                                         \
                   "vstr s0, [%[s]]\n\tvstr s1, [%[s], #4]\n\tvstr s2, [%[s], #16]\n\tvstr s3, [%[s], #20]\n\t"        \
                   "vstr s4, [%[s], #32]\n\tvstr s5, [%[s], #36]\n\tvstr s6, [%[s], #48]\n\tvstr s7, [%[s], #52]"      \
                   : [x] "+&r"(x), [x1] "+&r"(x1), [d0] "+&r"(dy), [d1] "+&r"(d1), [d2] "+&r"(d2), [d3] "+&r"(d3),     \
                     [fours] "+&r"(fours)                                                                              \
                   : [zeros] "r"(zeros), [s] "r"(s)                                                                    \
                   : "memory", "cc", WB_FPU_ALL_FLOATS)

/* s[4 * f + c] = sum of dy[f][p] * x[c][p], of four filters and two channels of `pixels` pixels, a multiple of four. */
WB_KERNEL void wb_gradients_f32(int fused, int pixels, const float *dy, const float *x, float *s)
{
    static const float zeros[8];
    const float *x1 = x + pixels, *d1 = dy + pixels, *d2 = dy + 2 * pixels, *d3 = dy + 3 * pixels;
    int fours = pixels / 4;
    if (fused)
        WB_FPU_GRADIENTS(WB_FPU_FOUR_PIXELS(WB_FPU_PIXEL_FUSED, 0, 1, 2, 3, 16, 17, 18, 19, 20, 21, 22, 23,
                                            WB_FPU_NEXT("d2", "s24", "s27"), WB_FPU_NEXT("d3", "s28", "s31"))
                     WB_FPU_FOUR_PIXELS(WB_FPU_PIXEL_FUSED, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29, 30, 31, "", ""));
    else
        WB_FPU_GRADIENTS(WB_FPU_FOUR_PIXELS(WB_FPU_PIXEL, 0, 1, 2, 3, 16, 17, 18, 19, 20, 21, 22, 23, "", "")
                     WB_FPU_NEXT("d2", "s16", "s19") WB_FPU_NEXT("d3", "s20", "s23")
                     WB_FPU_FOUR_PIXELS(WB_FPU_PIXEL, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23, "", ""));
}
#else
#define WB_FPU 0
#endif

/* Stores four whole numbers as floats, and gives where the next ones go. */
WB_KERNEL float *wb_put_floats(float *p, int a, int b, int c, int d)
{
#if WB_FPU
    __asm volatile("vmov s0, s1, %1, %2\n\tvmov s2, s3, %3, %4\n\t"
                   "vcvt.f32.s32 s0, s0\n\tvcvt.f32.s32 s1, s1\n\tvcvt.f32.s32 s2, s2\n\tvcvt.f32.s32 s3, s3\n\t"
                   "vstmia %0!, {s0-s3}"
                   : "+r"(p)
                   : "r"(a), "r"(b), "r"(c), "r"(d)
                   : "memory", "s0", "s1", "s2", "s3");
    return p;
#else
    p[0] = (float)a;
    p[1] = (float)b;
    p[2] = (float)c;
    p[3] = (float)d;
    return p + 4;
#endif
}

/* to[i] = from[i] * s where bit i is set, else 0, for four i; gives the bits behind them. */
WB_KERNEL uint32_t wb_scaled_where(uint32_t bits, float s, const float *from, float *to)
{
#if WB_FPU
#define WB_FPU_WHERE(i) "lsrs %[bits], %[bits], #1\n\tit cc\n\tvmovcc.f32 s" #i ", %[zero]\n\t"
    __asm volatile("vldmia %[from], {s0-s3}\n\tvmul.f32 s0, s0, %[s]\n\tvmul.f32 s1, s1, %[s]\n\t"
                   "vmul.f32 s2, s2, %[s]\n\tvmul.f32 s3, s3, %[s]\n\t"
                   WB_FPU_WHERE(0) WB_FPU_WHERE(1) WB_FPU_WHERE(2) WB_FPU_WHERE(3) "vstmia %[to], {s0-s3}"
                   : [bits] "+r"(bits)
                   : [from] "r"(from), [to] "r"(to), [s] "t"(s), [zero] "t"(0.0f)
                   : "memory", "cc", "s0", "s1", "s2", "s3");
    return bits;
#else
    for (int i = 0; i < 4; ++i, bits >>= 1)
        to[i] = bits & 1u ? from[i] * s : 0.0f;
    return bits;
#endif
}
