"""How programs end: what is said of it, the exit code, and that all that was counted is saved."""

import pytest

from workbench.profiling import profile
from workbench.record.profile import load_profile

BEFORE = """
#include "host.h"
typedef struct node { struct node *next; uint32_t value; } node;
node one, two;
NOINLINE uint32_t walk(const node *at)
{
    uint32_t sum = at->value;
    at = at->next;
    return sum + at->next->value;
}
NOINLINE void work(void) { for (volatile int i = 0; i < 10; ++i); }
NOINLINE uint32_t fail(void);
volatile uint32_t kept;
int main(void) { work(); kept = fail(); return 7; }
"""
FAIL = "\nNOINLINE uint32_t fail(void) "
FOREVER = "{ for (;;) work(); }"


@pytest.fixture
def profiled(firmware, tmp_path):
    """profiled(body of fail(), …): the metadata as it is saved; all that ran until then is counted."""

    def run(body, **kinds):
        profile(firmware(BEFORE + FAIL + body), **kinds).save(tmp_path / "there")
        found = load_profile(tmp_path / "there")
        assert {"work", "main", "Reset_Handler"} <= set(found.functions.name[found.functions.instructions > 0])
        return found.meta

    return run


@pytest.mark.parametrize(
    ("body", "arguments", "ended", "exit_code"),
    [
        ("{ return 0; }", {}, "exit", 7),
        ("{ leave(0); return 0; }", {}, "exit", 0),
        ("{ leave(-1); return 0; }", {}, "exit", -1),
        ("{ host(0x18, (void *)0x20026); return 0; }", {}, "exit", 0),
        ("{ host(0x18, (void *)0x20023); return 0; }", {}, "exit", 1),
        ('{ __asm volatile("bkpt 1"); return 0; }', {}, "breakpoint", None),
        ("{ return 0; }", {"until": "fail"}, "until", None),
        ("{ return 0; }", {"until": "leave"}, "until", None),
        ("{ REGISTER(0xE000ED0C) = 0x05FA0004; for (;;); }", {}, "exit", None),
        (FOREVER, {"seconds": 0.2}, "limit", None),
        ("{ for (;;); }", {"seconds": 0.2}, "limit", None),
        ('{ for (;;) __asm volatile("wfi"); }', {}, "limit", None),
        ('{ __asm volatile("sev\\n wfe"); return 0; }', {}, "exit", 7),
        ('{ __asm volatile("sev\\n wfe\\n wfe"); return 0; }', {}, "limit", None),
    ],
)
def test_a_program_ends_as_it_says(profiled, body, arguments, ended, exit_code):
    meta = profiled(body, **arguments)
    assert (meta["ended"], meta["exit_code"]) == (ended, exit_code)


def test_a_wait_that_nothing_ends_is_named(profiled):
    meta = profiled('{ __asm volatile("wfi"); return 0; }')
    assert meta["notes"] == ["it waits for an interrupt that never comes"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{ return ((uint32_t (*)(void))0)(); }", "call of a null pointer, last call from fail"),
        ("{ return ((uint32_t (*)(void))work - 1)(); }", "call of an address without its Thumb bit"),
        ("{ return ((uint32_t (*)(void))0x60000001)(); }", "execution at 0x60000000, not mapped, last call from fail"),
        ("{ one.next = (node *)0x30000000; return walk(&one); }", "0x30000000, beyond SRAM, in walk (it.0.c:9)"),
        ("{ REGISTER(0x90000000) = 1; return 0; }", "write to 0x90000000, not mapped, in fail"),
        ("{ REGISTER((uintptr_t)work & ~3) = 1; return 0; }", "flash, in fail"),
        ('{ __asm volatile("udf 1"); return 0; }', "undefined instruction at 0x0800"),
        ('{ __asm volatile("mov sp, %0; svc 0" :: "r"(0x10000000)); return 0; }', "an exception cannot be taken"),
        ('{ __asm volatile("mov lr, %0; bx lr" :: "r"(-1)); return 0; }', "nothing to return to"),
    ],
)  # fmt: skip
def test_a_fault_is_told_and_its_function(profiled, body, words):
    meta = profiled(body)
    assert (meta["ended"], meta["exit_code"]) == ("fault", None)
    assert words in meta["notes"][0]


def test_a_fault_names_its_instruction(firmware):
    """Which of three loads of a block failed cannot be seen from the registers that it left."""
    source = BEFORE + FAIL + "{ one.next = %s; two.next = (node *)0x30000000; return walk(&one); }"
    places, counted = [], []
    for at, first in enumerate(("(node *)0x30000000", "&two")):
        found = profile(firmware(source % first, name=f"walk{at}"))
        note = found.meta["notes"][0]
        assert note.startswith(f"read from 0x3000000{4 * at}, beyond SRAM, in walk (walk{at}.0.c:9)")
        places.append(int(note.rpartition("0x")[2], 16))
        walk = found.functions.set_index("name").loc["walk"]
        counted.append(int(walk.instructions))
        assert (
            found.timed().functions.equals(found.functions)
            and found.lines.instructions.sum() == found.meta["instructions"]
        )
        assert found.edges.target_end.max() >= places[at] + 2 == walk.address + 2 * counted[at]
    assert places[1] == places[0] + 2 and counted[1] == counted[0] + 1


def test_an_unknown_call_of_the_host_is_named_and_answered(profiled):
    meta = profiled("{ leave(host(0x7E, 0) == -1 ? 5 : 6); return 0; }")
    assert meta["exit_code"] == 5
    assert meta["notes"] == ["semihosting operation 0x7e is unknown: answered with -1"]
