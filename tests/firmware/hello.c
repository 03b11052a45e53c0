/* printf by semihosting, timing by DWT, a function in RAM, SysTick, recursion. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))

extern void initialise_monitor_handles(void);
volatile uint32_t ticks;

void SysTick_Handler(void) { ++ticks; }

void _init(void) {}
void _fini(void) {}
void leave(int code) { exit(code); }

__attribute__((noinline)) static int fibonacci(int n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

__attribute__((noinline, long_call, section(".ramfunc"))) static int in_ram(int n)
{
    volatile int sum = 0;
    for (int i = 0; i < n; ++i)
        sum += i;
    return sum;
}

__attribute__((noinline)) static uint32_t timed(int n)
{
    const uint32_t before = REGISTER(0xE0001004);
    in_ram(n);
    return REGISTER(0xE0001004) - before;
}

int main(void)
{
    initialise_monitor_handles();
    REGISTER(0xE000EDFC) |= 1u << 24;
    REGISTER(0xE0001000) |= 1;
    REGISTER(0xE000E014) = 9999;
    REGISTER(0xE000E018) = 0;
    REGISTER(0xE000E010) = 7;
    printf("fibonacci %d\n", fibonacci(10));
    const uint32_t hundred = timed(100), thousand = timed(1000);
    printf("in RAM: %lu cycles a turn\n", (unsigned long)((thousand - hundred + 450) / 900));
    while (ticks < 3)
        __asm volatile("wfi");
    REGISTER(0xE000E010) = 0;
    int c;
    while ((c = getchar()) != EOF)
        putchar(c >= 'a' && c <= 'z' ? c - 32 : c);
    return 3;
}
