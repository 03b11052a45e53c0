/* Somebody's start-up code. */
#include <stdint.h>

extern uint32_t _estack, _sidata, _sdata, _edata, _sbss, _ebss;
extern void initialise_monitor_handles(void);
int main(void);
void SysTick_Handler(void), SVC_Handler(void), PendSV_Handler(void);

void Default_Handler(void)
{
    for (;;)
        ;
}

__attribute__((weak, alias("Default_Handler"))) void SysTick_Handler(void);
__attribute__((weak, alias("Default_Handler"))) void SVC_Handler(void);
__attribute__((weak, alias("Default_Handler"))) void PendSV_Handler(void);
__attribute__((weak)) void leave(int code)
{
    (void)code;
    __asm volatile("bkpt #1");
}

void Reset_Handler(void)
{
    uint32_t *from = &_sidata;
    for (uint32_t *to = &_sdata; to < &_edata;)
        *to++ = *from++;
    for (uint32_t *to = &_sbss; to < &_ebss;)
        *to++ = 0;
#if defined(__ARM_FP)
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20;
#endif
    leave(main());
    for (;;)
        ;
}

__attribute__((section(".isr_vector"), used)) const void *const vectors[16] = {
    &_estack,        Reset_Handler,   Default_Handler, Default_Handler, Default_Handler, Default_Handler,
    Default_Handler, 0,               0,               0,               0,               SVC_Handler,
    Default_Handler, 0,               PendSV_Handler,  SysTick_Handler,
};
