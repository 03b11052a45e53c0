"""What is around the core, what is not modelled, and memory that may not be written."""

import pytest

from workbench.errors import BoardError
from workbench.profiling import profile

TOUCHES = """
#include "host.h"
NOINLINE void uart(void) { REGISTER(0x40013804) = 'x'; }
NOINLINE uint32_t ready(void) { return *(volatile uint16_t *)0x40013800 + *(volatile uint8_t *)0x40013801; }
NOINLINE uint32_t nvic(void)
{
    REGISTER(0xE000E100) = 5;
    REGISTER(0xE000E100) = 2;
    REGISTER(0xE000E180) = 4; /* clears */
    REGISTER(0xE000E400) = 0x40;
    return REGISTER(0xE000E100) == 3 && REGISTER(0xE000E180) == 3 && REGISTER(0xE000E400) == 0x40;
}
NOINLINE void mpu(void) { REGISTER(0xE000ED94) = 1; }
int main(void)
{
    uint32_t sum = 0;
    for (int i = 0; i < 100; ++i) {
        uart();
        sum += ready();
    }
    REGISTER(0x4001381C) = 1;
    mpu();
    return sum == 0 && nvic() == 1 ? 0 : 1;
}
"""


def test_what_is_not_modelled_is_named_once_with_who_touched_it(firmware):
    found = profile(firmware(TOUCHES))
    assert found.meta["exit_code"] == 0
    assert found.meta["notes"] == [
        "0x40013804 is not modelled and reads as 0: touched by uart",
        "0x40013800 is not modelled and reads as 0: touched by ready",
        "0x40013801 is not modelled and reads as 0: touched by ready",
        "0x4001381c is not modelled and reads as 0: touched by main",
        "0xe000ed94 is not modelled and does nothing: touched by mpu",
        "the NVIC at 0xe000e100 is kept, but no interrupt of a peripheral ever comes: touched by nvic",
    ]


def test_a_program_that_touches_much_is_not_told_forever(firmware):
    loop = "for (int i = 0; i < 500; ++i) REGISTER(0x40000000 + 4 * i) = 1;"
    source = f'#include "host.h"\nint main(void) {{ {loop} return 0; }}'
    notes = profile(firmware(source)).meta["notes"]
    assert len(notes) == 41 and notes[-1] == "and more of this kind"


def test_registers_of_the_core_hold_and_answer(firmware):
    source = """
    #include "host.h"
    int main(void)
    {
        const int core = REGISTER(0xE000ED00) >> 4 & 0xFFF;
        REGISTER(0xE000ED10) = 4;
        *(volatile uint8_t *)0xE000ED22 = 0x50; /* PendSV's priority, alone */
        *(volatile uint8_t *)0xE000ED23 = 0x60;
        return core == 0xC24 && REGISTER(0xE000ED10) == 4 && REGISTER(0xE000ED20) == 0x60500000 ? 0 : 1;
    }
    """
    found = profile(firmware(source))
    assert (found.meta["exit_code"], found.meta["notes"]) == (0, [])


def test_a_write_to_flash_is_a_fault(firmware):
    source = (
        '#include "host.h"\nconst int fixed = 3;\nint main(void) { REGISTER((uintptr_t)&fixed) = 4; return fixed; }'
    )
    found = profile(firmware(source))
    assert found.meta["ended"] == "fault"
    assert found.meta["notes"][0].startswith("write to 0x0800") and "flash, in main" in found.meta["notes"][0]


def test_a_board_that_the_elf_does_not_fit_is_refused(firmware):
    elf = firmware('#include "host.h"\nint main(void) { return 0; }')
    assert profile(elf, board="stm32f746").meta["board"] == "stm32f746"
    with pytest.raises(BoardError) as error:
        profile(elf, board="nrf52840")
    assert "at 0x08000000, outside the memory of nrf52840" in error.value.message
    assert error.value.hint


def test_a_stack_outside_the_boards_memory_is_refused(firmware):
    """Linked for more RAM than the board has."""
    elf = firmware('#include "host.h"\nint main(void) { return 0; }', room="8192K")
    with pytest.raises(BoardError, match="its stack's top at 0x20800000: stm32f746 has nothing there"):
        profile(elf, board="stm32f746")
