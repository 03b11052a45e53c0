/* main.c - wait for the host, and fetch the image where the network takes it row by row.
 *
 * The host (a debugger or the emulator) stops the core in main, writes inputs and labels, sets pc to wb_forward or
 * wb_train_step and lr to wb_breakpoint, and runs until the breakpoint comes back. On a board of your own, replace this
 * file by a loop that fills the input buffer and calls wb_train_step(): see model.h. */
#include <stdint.h>

void wb_breakpoint(void);

__attribute__((naked, noinline, used)) void wb_breakpoint(void)
{
    __asm volatile("bkpt 0\n\tbx lr");
}

int main(void)
{
    for (;;) { } /* no `bkpt`: it would lock up a core without a debugger */
}

/* A FIFO like a camera's, which the emulator has: a word or a byte read here are the next ones of the image, row after row
 * of all channels. */
#define WB_IMAGE_FIFO 0x5f000000u

void wb_read_rows(int first, int end, int channels, int plane, int row, uint8_t *to);

/* Rows [first, end) of the image (see kernels/read_rows.h). On a board of your own, fetch them from where they are. */
void wb_read_rows(int first, int end, int channels, int plane, int row, uint8_t *to)
{
    for (int i = 0; i < end - first; ++i)
        for (int c = 0; c < channels; ++c) {
            uint8_t *at = to + c * plane + i * row, *const last = at + row;
            for (; at + 4 <= last; at += 4) {
                const uint32_t word = *(volatile uint32_t *)WB_IMAGE_FIFO;
                __builtin_memcpy(at, &word, 4);
            }
            while (at < last)
                *at++ = *(volatile uint8_t *)WB_IMAGE_FIFO;
        }
}
