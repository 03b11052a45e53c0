/* startup.c - from reset to main: stack, FPU where there is one, .data, .bss; and where faults end. */
#include <stdint.h>

extern uint32_t wb_data_load[], wb_data_start[], wb_data_end[], wb_bss_start[], wb_bss_end[], wb_stack_top[];
int main(void);

void Reset_Handler(void) __attribute__((noreturn));
void Fault_Handler(void) __attribute__((noreturn));

#ifdef __ARM_FP
#define CPACR (*(volatile uint32_t *)0xE000ED88u) /* coprocessor access: CP10 and CP11 are the FPU */
#endif

void Reset_Handler(void)
{
#ifdef __ARM_FP
    CPACR |= 0xFu << 20;
    __asm volatile("dsb\n\tisb" ::: "memory");
#endif
    const uint32_t *from = wb_data_load;
    for (uint32_t *to = wb_data_start; to < wb_data_end; ++to)
        *to = *from++;
    for (uint32_t *to = wb_bss_start; to < wb_bss_end; ++to)
        *to = 0;
    main();
    for (;;) { }
}

/* Nothing can be repaired here: wait for a debugger with the fault's stack frame intact. (Without one, `bkpt` would lock
 * the core up.) */
void Fault_Handler(void)
{
    for (;;) { }
}

typedef union {
    uint32_t *stack;
    void (*handler)(void);
} vector;

__attribute__((section(".vectors"), used)) const vector wb_vectors[16] = {
    { .stack = wb_stack_top },
    { .handler = Reset_Handler },
    { .handler = Fault_Handler }, /* NMI */
    { .handler = Fault_Handler }, /* HardFault */
    { .handler = Fault_Handler }, /* MemManage */
    { .handler = Fault_Handler }, /* BusFault */
    { .handler = Fault_Handler }, /* UsageFault */
};
