/* dsp.h - two int16 at a time: instructions of the cores' DSP extension, one each, and what they compute elsewhere.
 *
 *     a word of four int8    | 3 | 2 | 1 | 0 |     wb_even: | 2 | 0 |     wb_odd: | 3 | 1 |      as two int16
 *
 * All are volatile: gcc keeps them in the order in which they are written, which is one that needs few registers. */
#pragma once
#include "wb_kernel.h"

typedef uint32_t __attribute__((aligned(1), may_alias)) wb_any_word;
typedef uint64_t __attribute__((aligned(4), may_alias)) wb_any_two; /* words, at an address that LDRD and STRD can have */

/* Four int8, wherever they lie. */
WB_KERNEL uint32_t wb_four(const int8_t *p)
{
#ifdef __ARM_FEATURE_DSP
    uint32_t word;
    __asm volatile("ldr %0, %1" : "=r"(word) : "m"(*(const wb_any_word *)(const void *)p));
    return word;
#else
    return (uint8_t)p[0] | (uint32_t)(uint8_t)p[1] << 8 | (uint32_t)(uint8_t)p[2] << 16 | (uint32_t)(uint8_t)p[3] << 24;
#endif
}

WB_KERNEL void wb_put_four(int8_t *p, uint32_t word)
{
#ifdef __ARM_FEATURE_DSP
    *(wb_any_word *)(void *)p = word;
#else
    p[0] = (int8_t)(uint8_t)word;
    p[1] = (int8_t)(uint8_t)(word >> 8);
    p[2] = (int8_t)(uint8_t)(word >> 16);
    p[3] = (int8_t)(uint8_t)(word >> 24);
#endif
}

/* The low bytes of four numbers as a word. */
WB_KERNEL uint32_t wb_bytes(uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
#ifdef __ARM_FEATURE_DSP
    __asm volatile("bfi %0, %1, #8, #8" : "+r"(a) : "r"(b));
    __asm volatile("bfi %0, %1, #16, #8" : "+r"(a) : "r"(c));
    __asm volatile("bfi %0, %1, #24, #8" : "+r"(a) : "r"(d));
    return a;
#else
    return (uint8_t)a | (uint32_t)(uint8_t)b << 8 | (uint32_t)(uint8_t)c << 16 | d << 24;
#endif
}

/* value, or the end of uint8 that it is beyond. */
WB_KERNEL uint32_t wb_saturated_u8(int value)
{
#ifdef __ARM_FEATURE_DSP
    uint32_t r;
    __asm volatile("usat %0, #8, %1" : "=r"(r) : "r"(value));
    return r;
#else
    return (uint32_t)wb_min(wb_max(value, 0), 255);
#endif
}

/* bits, and behind them whether a is b at the least. */
WB_KERNEL uint32_t wb_and_a_bit(uint32_t bits, uint32_t a, uint32_t b)
{
#ifdef __ARM_FEATURE_DSP
    __asm volatile("cmp %1, %2\n\tadc %0, %0, %0" : "+r"(bits) : "r"(a), "r"(b) : "cc");
    return bits;
#else
    return 2u * bits + (a >= b);
#endif
}

WB_KERNEL uint32_t wb_halves(int low, int high) { return (uint32_t)(uint16_t)low | (uint32_t)high << 16; }
WB_KERNEL int wb_low(uint32_t pair) { return (int16_t)(uint16_t)pair; }
WB_KERNEL int wb_high(uint32_t pair) { return (int16_t)(uint16_t)(pair >> 16); }

/* Two numbers that lie side by side. */
typedef struct {
    int a, b;
} wb_pair;

WB_KERNEL wb_pair wb_pair_at(const int32_t *p)
{
#ifdef __ARM_FEATURE_DSP
    wb_pair r;
    __asm("ldrd %0, %1, [%2]" : "=r"(r.a), "=r"(r.b) : "r"(p), "m"(*(const wb_any_two *)p));
    return r;
#else
    return (wb_pair){ p[0], p[1] };
#endif
}

WB_KERNEL void wb_put_two(uint32_t *p, uint32_t a, uint32_t b)
{
#ifdef __ARM_FEATURE_DSP
    __asm volatile("strd %1, %2, %0" : "=m"(*(wb_any_two *)p) : "r"(a), "r"(b));
#else
    p[0] = a;
    p[1] = b;
#endif
}

/* Words number `at` and at + 1, or number `at` alone: kept, where GCC would load them again for each use. */
WB_KERNEL wb_pair wb_kept_pair(const uint32_t *p, int at)
{
#if defined(__ARM_FEATURE_DSP) && defined(__OPTIMIZE__)
    if (__builtin_constant_p(at) && at < 256) {
        wb_pair r;
        __asm volatile("ldrd %0, %1, [%2, %3]" : "=r"(r.a), "=r"(r.b) : "r"(p), "i"(4 * at));
        return r;
    }
#endif
    return (wb_pair){ (int)p[at], (int)p[at + 1] };
}

WB_KERNEL uint32_t wb_kept(const uint32_t *p, int at)
{
#if defined(__ARM_FEATURE_DSP) && defined(__OPTIMIZE__)
    if (__builtin_constant_p(at) && at < 256) {
        uint32_t r;
        __asm volatile("ldr %0, [%1, %2]" : "=r"(r) : "r"(p), "i"(4 * at));
        return r;
    }
#endif
    return p[at];
}

/* Two words, and where the next ones are. */
typedef struct {
    uint32_t a, b;
    const uint32_t *next;
} wb_two_words;

#ifdef __ARM_FEATURE_DSP
#define WB_DSP_1(name, text)                                        \
    WB_KERNEL uint32_t name(uint32_t a)                             \
    {                                                               \
        uint32_t r;                                                 \
        __asm volatile(text : "=r"(r) : "r"(a));                    \
        return r;                                                   \
    }
#define WB_DSP_2(name, text)                                        \
    WB_KERNEL uint32_t name(uint32_t a, uint32_t b)                 \
    {                                                               \
        uint32_t r;                                                 \
        __asm volatile(text : "=r"(r) : "r"(a), "r"(b));            \
        return r;                                                   \
    }
WB_DSP_1(wb_even, "sxtb16 %0, %1")
WB_DSP_1(wb_odd, "sxtb16 %0, %1, ror #8")
WB_DSP_2(wb_plus_even, "sxtab16 %0, %1, %2")        /* of b, each plus that half of a */
WB_DSP_2(wb_plus_odd, "sxtab16 %0, %1, %2, ror #8")
WB_DSP_2(wb_lows, "pkhbt %0, %1, %2, lsl #16")      /* the low halves of a and b */
WB_DSP_2(wb_highs, "pkhtb %0, %2, %1, asr #16")     /* the high halves of a and b */

/* sum + a's low half * b's low half + a's high half * b's high half */
WB_KERNEL int wb_dot(uint32_t a, uint32_t b, int sum)
{
    __asm volatile("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}

/* The same, where the sum goes on beside it. */
WB_KERNEL int wb_dot_from(uint32_t a, uint32_t b, int sum)
{
    int r;
    __asm volatile("smlad %0, %1, %2, %3" : "=r"(r) : "r"(a), "r"(b), "r"(sum));
    return r;
}

/* sum + a's low half * b's low half, and sum + a's high half * b's low half */
WB_KERNEL int wb_low_by_low(uint32_t a, uint32_t b, int sum)
{
    __asm volatile("smlabb %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}

WB_KERNEL int wb_high_by_low(uint32_t a, uint32_t b, int sum)
{
    __asm volatile("smlatb %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}

WB_KERNEL wb_two_words wb_two(const uint32_t *p)
{
    wb_two_words w;
    __asm volatile("ldrd %0, %1, [%2], #8" : "=&r"(w.a), "=&r"(w.b), "+r"(p));
    w.next = p;
    return w;
}

/* The same of eight int8 that lie at a whole word. */
typedef struct {
    uint32_t a, b;
    const int8_t *next;
} wb_eight_s8;

WB_KERNEL wb_eight_s8 wb_eight(const int8_t *p)
{
    wb_eight_s8 w;
    __asm volatile("ldrd %0, %1, [%2], #8" : "=&r"(w.a), "=&r"(w.b), "+r"(p));
    w.next = p;
    return w;
}

/* Memory is as the statements before have left it, and nothing behind them has been written to it yet: of the words that
 * wb_two loads GCC is not told. */
WB_KERNEL void wb_settled(void) { __asm volatile("" ::: "memory"); }
#else
WB_KERNEL uint32_t wb_plus_even(uint32_t a, uint32_t b)
{
    return wb_halves(wb_low(a) + (int8_t)(uint8_t)b, wb_high(a) + (int8_t)(uint8_t)(b >> 16));
}
WB_KERNEL uint32_t wb_plus_odd(uint32_t a, uint32_t b) { return wb_plus_even(a, b >> 8); }
WB_KERNEL uint32_t wb_even(uint32_t a) { return wb_plus_even(0u, a); }
WB_KERNEL uint32_t wb_odd(uint32_t a) { return wb_plus_odd(0u, a); }
WB_KERNEL uint32_t wb_lows(uint32_t a, uint32_t b) { return wb_halves(wb_low(a), wb_low(b)); }
WB_KERNEL uint32_t wb_highs(uint32_t a, uint32_t b) { return wb_halves(wb_high(a), wb_high(b)); }
WB_KERNEL int wb_dot(uint32_t a, uint32_t b, int sum)
{
    return (int)((uint32_t)sum + (uint32_t)(wb_low(a) * wb_low(b)) + (uint32_t)(wb_high(a) * wb_high(b)));
}
WB_KERNEL int wb_dot_from(uint32_t a, uint32_t b, int sum) { return wb_dot(a, b, sum); }
WB_KERNEL int wb_low_by_low(uint32_t a, uint32_t b, int sum) { return sum + wb_low(a) * wb_low(b); }
WB_KERNEL int wb_high_by_low(uint32_t a, uint32_t b, int sum) { return sum + wb_high(a) * wb_low(b); }

WB_KERNEL wb_two_words wb_two(const uint32_t *p) { return (wb_two_words){ p[0], p[1], p + 2 }; }

typedef struct {
    uint32_t a, b;
    const int8_t *next;
} wb_eight_s8;

WB_KERNEL wb_eight_s8 wb_eight(const int8_t *p) { return (wb_eight_s8){ wb_four(p), wb_four(p + 4), p + 8 }; }

WB_KERNEL void wb_settled(void) {}
#endif
