/* main.c - hand control to the host.
 *
 * The host (a debugger or the emulator) writes inputs and labels, sets pc to wb_forward or wb_train_step and lr to
 * wb_breakpoint, and runs until the breakpoint comes back. On a board of your own, replace this file by a loop that
 * fills the input buffer and calls wb_train_step(). */

void wb_breakpoint(void);

__attribute__((naked, noinline, used)) void wb_breakpoint(void)
{
    __asm volatile("bkpt 0\n\tbx lr");
}

int main(void)
{
    for (;;)
        wb_breakpoint();
}
