/* gemm_block_s8.h - the products of some groups of weights in one piece of assembly: it needs all fourteen registers, and gcc,
 * which takes two or three of them for something else, would move sums to the stack and back. Registers are named, since gcc
 * does not find such an assignment itself; a frame pointer would be one too many: whoever compiles with one defines
 * WB_FRAME_POINTER. Where WB_GEMM_BLOCKS is 0 there is none of it: gemm_s8.h has the same in C.
 *
 * A group's words of weights, %[u] and %[v], are loaded again for its second half, between the last products of the first
 * one; those of the next group, between the last of the second. Packed ones are a word for each half, the weights of both
 * filters in it: %[v] as it is, and %[u] what SXTB16 leaves of it. */
#pragma once
#include "dsp.h"

/* The sums of a tile, and the columns that are to come. */
typedef struct {
    int a0, a1, a2, a3, b0, b1, b2, b3;
    const uint32_t *x;
} wb_sums_2x4;

#if defined(__ARM_FEATURE_DSP) && defined(__OPTIMIZE__) && !defined(WB_FRAME_POINTER)
#define WB_GEMM_BLOCKS 1

#define WB_GEMM_DOT(to, x, w, from) "smlad %[" to "], %[" x "], %[" w "], %[" from "]\n\t"
#define WB_GEMM_LOAD_U(at) "ldr %[u], [%[w], #" at "]\n\t"
#define WB_GEMM_LOAD_V(at) "ldr %[v], [%[w], %[apart]+" at "]\n\t"
#define WB_GEMM_TWO(p, q) "ldrd %[" p "], %[" q "], [%[x]], #8\n\t"

/* One half of a group; ror: "" for even, ", ror #8" for odd weights. u, v: loads of the weights of the next half. */
#define WB_GEMM_HALF(ror, u, v)                                                                                        \
    WB_GEMM_TWO("p", "q") "sxtb16 %[u], %[u]" ror "\n\tsxtb16 %[v], %[v]" ror "\n\t"                                   \
    WB_GEMM_DOT("a0", "p", "u", "a0") WB_GEMM_DOT("b0", "p", "v", "b0")                                                \
    WB_GEMM_DOT("a1", "q", "u", "a1") WB_GEMM_DOT("b1", "q", "v", "b1") WB_GEMM_TWO("p", "q")                          \
    WB_GEMM_DOT("a2", "p", "u", "a2") WB_GEMM_DOT("a3", "q", "u", "a3")                                                \
    WB_GEMM_DOT("b2", "p", "v", "b2") u WB_GEMM_DOT("b3", "q", "v", "b3") v

/* The same for the first weights: all sums go on from a0 and b0. */
#define WB_GEMM_FIRST_HALF(u, v)                                                                                       \
    WB_GEMM_TWO("p", "q") "sxtb16 %[u], %[u]\n\tsxtb16 %[v], %[v]\n\t"                                                 \
    WB_GEMM_DOT("a1", "q", "u", "a0") WB_GEMM_DOT("b1", "q", "v", "b0") WB_GEMM_TWO("q", "b3")                         \
    WB_GEMM_DOT("a2", "q", "u", "a0") WB_GEMM_DOT("b2", "q", "v", "b0")                                                \
    WB_GEMM_DOT("a3", "b3", "u", "a0") WB_GEMM_DOT("a0", "p", "u", "a0")                                               \
    WB_GEMM_DOT("b3", "b3", "v", "b0") u WB_GEMM_DOT("b0", "p", "v", "b0") v

/* Both for packed weights; v: the load of the next ones. What is no product stands beside one that does not wait for it: a
 * Cortex-M7 issues them together. */
#define WB_GEMM_PACKED_HALF(v)                                                                                         \
    WB_GEMM_TWO("p", "q") WB_GEMM_DOT("b0", "p", "v", "b0") "sxtb16 %[u], %[v]\n\t" WB_GEMM_DOT("b1", "q", "v", "b1")   \
    WB_GEMM_DOT("a0", "p", "u", "a0") WB_GEMM_DOT("a1", "q", "u", "a1") WB_GEMM_TWO("p", "q")                          \
    WB_GEMM_DOT("b2", "p", "v", "b2") WB_GEMM_DOT("b3", "q", "v", "b3") v                                              \
    WB_GEMM_DOT("a2", "p", "u", "a2") WB_GEMM_DOT("a3", "q", "u", "a3")

#define WB_GEMM_PACKED_FIRST_HALF(v)                                                                                   \
    WB_GEMM_TWO("p", "q") WB_GEMM_DOT("b1", "q", "v", "b0") "sxtb16 %[u], %[v]\n\t"                                    \
    WB_GEMM_DOT("a1", "q", "u", "a0") WB_GEMM_TWO("q", "b3")                                                           \
    WB_GEMM_DOT("b2", "q", "v", "b0") WB_GEMM_DOT("a2", "q", "u", "a0") WB_GEMM_DOT("a3", "b3", "u", "a0")             \
    WB_GEMM_DOT("b3", "b3", "v", "b0") WB_GEMM_DOT("b0", "p", "v", "b0") v WB_GEMM_DOT("a0", "p", "u", "a0")

/* The halves of group number `at`, and of the first one: as they lie, then packed. `next`: the number of the group behind. */
#define WB_GEMM_PLAIN_EVEN(at) WB_GEMM_HALF("", WB_GEMM_LOAD_U("4*" at), WB_GEMM_LOAD_V("4*" at))
#define WB_GEMM_PLAIN_ODD(next) WB_GEMM_HALF(", ror #8", WB_GEMM_LOAD_U("4*" next), WB_GEMM_LOAD_V("4*" next))
#define WB_GEMM_PLAIN_LAST WB_GEMM_HALF(", ror #8", "", "")
#define WB_GEMM_PLAIN_FIRST WB_GEMM_FIRST_HALF(WB_GEMM_LOAD_U("0"), WB_GEMM_LOAD_V("0"))
#define WB_GEMM_PLAIN_WORDS WB_GEMM_LOAD_U("0") WB_GEMM_LOAD_V("0")
#define WB_GEMM_LOAD_PACKED(at) "ldr %[v], [%[w], #" at "]\n\t"
#define WB_GEMM_PACKED_EVEN(at) WB_GEMM_PACKED_HALF(WB_GEMM_LOAD_PACKED("8*" at "+4"))
#define WB_GEMM_PACKED_ODD(next) WB_GEMM_PACKED_HALF(WB_GEMM_LOAD_PACKED("8*" next))
#define WB_GEMM_PACKED_LAST WB_GEMM_PACKED_HALF("")
#define WB_GEMM_PACKED_FIRST WB_GEMM_PACKED_FIRST_HALF(WB_GEMM_LOAD_PACKED("4"))
#define WB_GEMM_PACKED_WORDS WB_GEMM_LOAD_PACKED("0")

/* Some groups; `form` is PLAIN or PACKED. */
#define WB_GEMM_GROUP(form, at, next) WB_GEMM_##form##_EVEN(at) WB_GEMM_##form##_ODD(next)
#define WB_GEMM_LAST_GROUP(form, at) WB_GEMM_##form##_EVEN(at) WB_GEMM_##form##_LAST
#define WB_GEMM_FIRST_GROUP(form) WB_GEMM_##form##_FIRST WB_GEMM_##form##_ODD("1")
#define WB_GEMM_ONE_GROUP(form) WB_GEMM_LAST_GROUP(form, "0")
#define WB_GEMM_TWO_GROUPS(form) WB_GEMM_GROUP(form, "0", "1") WB_GEMM_LAST_GROUP(form, "1")
#define WB_GEMM_LAST_TWO(form) WB_GEMM_GROUP(form, "1", "2") WB_GEMM_LAST_GROUP(form, "2")
#define WB_GEMM_THREE(form) WB_GEMM_GROUP(form, "0", "1") WB_GEMM_LAST_TWO(form)
#define WB_GEMM_LAST_THREE(form) WB_GEMM_GROUP(form, "1", "2") WB_GEMM_GROUP(form, "2", "3") WB_GEMM_LAST_GROUP(form, "3")
#define WB_GEMM_FOUR(form) WB_GEMM_GROUP(form, "0", "1") WB_GEMM_LAST_THREE(form)
#define WB_GEMM_ONLY_ONE(form) WB_GEMM_##form##_FIRST WB_GEMM_##form##_LAST
#define WB_GEMM_FIRST_TWO(form) WB_GEMM_FIRST_GROUP(form) WB_GEMM_LAST_GROUP(form, "1")
#define WB_GEMM_FIRST_THREE(form) WB_GEMM_FIRST_GROUP(form) WB_GEMM_LAST_TWO(form)
#define WB_GEMM_FIRST_FOUR(form) WB_GEMM_FIRST_GROUP(form) WB_GEMM_LAST_THREE(form)

#define WB_GEMM_SUMS(in)                                                                                               \
    [a0] "+r"(a0), [b0] "+r"(b0), [a1] in(a1), [a2] in(a2), [a3] in(a3), [b1] in(b1), [b2] in(b2), [b3] in(b3),        \
        [x] "+r"(x), [u] "=&r"(u), [v] "=&r"(v), [p] "=&r"(p), [q] "=&r"(q)
#define WB_GEMM_ASM(form, groups, in)                                                                                  \
    __asm volatile(WB_GEMM_##form##_WORDS groups(form) : WB_GEMM_SUMS(in) : [w] "r"(at), [apart] "i"(apart) : "memory")
#define WB_GEMM_BLOCK(groups, in)                                                                                      \
    do {                                                                                                               \
        if (packed)                                                                                                    \
            WB_GEMM_ASM(PACKED, groups, in);                                                                           \
        else                                                                                                           \
            WB_GEMM_ASM(PLAIN, groups, in);                                                                            \
    } while (0)
#define WB_GEMM_LOOP(form, step)                                                                                       \
    __asm volatile("1:\t" WB_GEMM_##form##_WORDS WB_GEMM_FOUR(form)                                                     \
                   "add %[w], %[w], #" step "\n\tldr %[p], %[end]\n\tcmp %[w], %[p]\n\tbne 1b"                          \
                   : WB_GEMM_SUMS("+r"), [w] "+r"(at) : [apart] "i"(apart), [end] "m"(end) : "memory", "cc")

/* Adds the products of `count` groups. first: to the sums of pixel 0, from which all of them go on. apart: a literal, below
 * 4080. packed: see gemm_s8.h. */
WB_KERNEL wb_sums_2x4 gemm_block_s8(wb_sums_2x4 s, int first, int count, int packed, int apart, const int8_t *w)
{
    const int some = (count - 1) % 4 + 1, size = packed ? 8 : 4;
    register int a0 __asm("r0") = s.a0, a1 __asm("r1") = s.a1, a2 __asm("r2") = s.a2, a3 __asm("r3") = s.a3;
    register int b0 __asm("r4") = s.b0, b1 __asm("r5") = s.b1, b2 __asm("r6") = s.b2, b3 __asm("r7") = s.b3;
    register const uint32_t *x __asm("r8") = s.x;
    register const int8_t *at __asm("r9") = w;
    register uint32_t u __asm("r10"), v __asm("r11"), p __asm("r12"), q __asm("lr");
    if (first && some == 1)
        WB_GEMM_BLOCK(WB_GEMM_ONLY_ONE, "=&r");
    else if (first && some == 2)
        WB_GEMM_BLOCK(WB_GEMM_FIRST_TWO, "=&r");
    else if (first && some == 3)
        WB_GEMM_BLOCK(WB_GEMM_FIRST_THREE, "=&r");
    else if (first)
        WB_GEMM_BLOCK(WB_GEMM_FIRST_FOUR, "=&r");
    else if (some == 1)
        WB_GEMM_BLOCK(WB_GEMM_ONE_GROUP, "+r");
    else if (some == 2)
        WB_GEMM_BLOCK(WB_GEMM_TWO_GROUPS, "+r");
    else if (some == 3)
        WB_GEMM_BLOCK(WB_GEMM_THREE, "+r");
    else
        WB_GEMM_BLOCK(WB_GEMM_FOUR, "+r");
    if (count > 4 && count <= 8) {
        at += size * some;
        WB_GEMM_BLOCK(WB_GEMM_FOUR, "+r");
    } else if (count > 4) {
        const int8_t *const end = w + size * count;
        at += size * some;
        if (packed)
            WB_GEMM_LOOP(PACKED, "32");
        else
            WB_GEMM_LOOP(PLAIN, "16");
    }
    return (wb_sums_2x4){ a0, a1, a2, a3, b0, b1, b2, b3, x };
}
#else
#define WB_GEMM_BLOCKS 0
#endif
