"""Parts of a run: the calls of a function, what lies between two symbols, and the end at one."""

import re

import pytest
from foreign_firmware import build, calls_of

from workbench.errors import WorkbenchError
from workbench.profiling import profile

SOURCE = """
#include "host.h"
#define MARK(name) __asm volatile(".global " #name "\\n" #name ":" ::: "memory")
NOINLINE int leaf(int n) { volatile int sum = 0; for (int i = 0; i < n; ++i) sum += i; return sum; }
NOINLINE int twice(int n) { return leaf(n) + leaf(n); }
NOINLINE int factorial(int n) { return n < 2 ? leaf(1) : n * factorial(n - 1); }
NOINLINE int ping(int n);
NOINLINE int pong(int n) { return n ? ping(n - 1) + 1 : leaf(2); }
NOINLINE int ping(int n) { return pong(n) + 1; }
NOINLINE int never(void) { return 1; }
volatile int ticks;
void SysTick_Handler(void) { ++ticks; leaf(3); }
int main(void)
{
    int sum = leaf(100);
    for (int i = 0; i < 4; ++i) {
        MARK(turn_begins);
        sum += leaf(10);
        MARK(turn_ends);
        sum += leaf(20);
    }
    sum += twice(5) + factorial(6) + ping(7) + ping(7);
    REGISTER(0xE000E014) = 999;
    REGISTER(0xE000E018) = 0;
    REGISTER(0xE000E010) = 7;
    while (ticks < 3);
    return sum == 0 ? never() : 0;
}
"""


@pytest.fixture(scope="module")
def elf(tmp_path_factory):
    return build(tmp_path_factory.mktemp("parts") / "parts.elf", SOURCE)


@pytest.fixture(scope="module")
def whole(elf):
    return profile(elf).functions.set_index("name")


@pytest.mark.parametrize("name", ["leaf", "twice", "factorial", "ping", "pong", "main", "SysTick_Handler"])
def test_the_calls_of_a_function_take_what_they_take_of_the_whole(elf, whole, name):
    """A recursive function's from its first call to that one's return; pong returns to one place from all depths."""
    found = profile(elf, function=name)
    assert found.meta["ended"] == "exit"
    inside = whole.instructions_inclusive[name]
    if name == "main":  # three handlers ran meanwhile
        inside += whole.instructions_inclusive["SysTick_Handler"]
    if name == "pong":  # in the whole what it calls of ping is ping's, which is above it: all but two of sixteen calls
        inside += whole.instructions["ping"] * 14 // 16
    assert found.meta["instructions"] == inside
    alone = found.functions.set_index("name")
    assert alone.instructions[name] == whole.instructions[name]
    assert "Reset_Handler" not in found.functions.name[found.functions.instructions > 0].tolist()


def test_what_is_not_in_the_window_is_in_no_table(elf):
    found = profile(elf, function="twice")
    assert calls_of(found) == {"twice": 1, "leaf": 2, "main": 0, "Reset_Handler": 0}  # who called it, called nothing
    assert set(found.functions.name[found.functions.instructions > 0]) == {"twice", "leaf"}
    assert found.memory.bytes_read.sum() < 400 and found.meta["exception_cycles"] == 0


def test_from_one_symbol_to_another_each_time(elf):
    found = profile(elf, begin="turn_begins", end="turn_ends")
    assert calls_of(found)["leaf"] == 4
    once = profile(elf, begin="turn_begins", end="turn_ends", until=None, seconds=5)
    assert once.meta["instructions"] == found.meta["instructions"]
    every = profile(elf, begin="turn_begins", end="twice")
    assert calls_of(every)["leaf"] == 8


DEEP = """
#include "host.h"
NOINLINE int deep(int n) { volatile char here[2000]; here[n] = 1; return here[n]; }
NOINLINE int shallow(int n) { volatile char here[40]; here[n] = 1; return here[n]; }
NOINLINE int middle(int n) { volatile char here[300]; here[n] = 1; return here[n] + shallow(n); }
int main(void) { int sum = deep(1); for (int i = 0; i < 3; ++i) sum += middle(i) + deep(i); return sum > 0 ? 0 : 1; }
"""


def test_stacks_are_those_of_the_window(firmware):
    elf = firmware(DEEP)
    whole, part = profile(elf), profile(elf, function="middle")
    (stack,), (inside,) = whole.meta["stacks"], part.meta["stacks"]
    assert stack["calls"] == ["Reset_Handler", "main", "deep"] and 2000 <= stack["bytes"] < 2100
    assert inside["calls"] == ["Reset_Handler", "main", "middle", "shallow"] and 340 <= inside["bytes"] < 450
    for found, deepest in ((whole, stack), (part, inside)):
        assert found.meta["memory"]["stack_peak"] == deepest["bytes"] == found.stack.depth.max()
    assert part.stack.depth.iloc[0] > 300 and part.stack.depth.iloc[-1] == 0
    assert "deepest in Reset_Handler > main > middle > shallow" in part.summary()
    assert profile(elf, function="0x08001000").stack.empty


def test_addresses_do_as_well(elf, whole):
    at = whole.address["twice"]
    found = profile(elf, function=f"0x{at:x}")
    assert found.meta["instructions"] == profile(elf, function="twice").meta["instructions"]
    assert profile(elf, until=f"0x{at | 1:X}").meta["ended"] == "until"


@pytest.mark.parametrize("part", [{"function": "never"}, {"begin": "never", "end": "leaf"}, {"function": "0x08001000"}])
def test_a_part_that_is_never_reached_is_empty_and_said_so(elf, part):
    found = profile(elf, **part)
    assert found.meta["ended"] == "exit" and found.meta["instructions"] == 0
    assert found.functions.instructions.sum() == found.lines.instructions.sum() == 0
    name = part.get("function") or part["begin"]
    assert found.meta["notes"] == [f"{name} was never reached: nothing is profiled"]


def test_a_window_that_is_open_at_the_end_is_counted(elf):
    found = profile(elf, begin="twice", end="never")
    assert calls_of(found)["factorial"] == 6 and "turn_begins" not in found.meta["notes"]


@pytest.mark.parametrize(
    ("part", "words", "hint"),
    [
        ({"function": "twize"}, "has no symbol twize", r"did you mean twice\?.*like 0x08000120"),
        ({"until": "zzz"}, "has no symbol zzz", "^an address will do, too, like 0x08000120$"),
        ({"until": "0xyz"}, "'0xyz' is no address", "like 0x08000120"),
        ({"begin": "leaf"}, "a part of a run has both ends", "give --from SYMBOL and --to SYMBOL"),
        ({"end": "leaf"}, "a part of a run has both ends", "--from SYMBOL"),
        ({"begin": "leaf", "end": "leaf"}, "one place", "--function F"),
        ({"function": "leaf", "begin": "leaf", "end": "main"}, "not both", None),
        ({"function": "leaf", "until": "main"}, "not both", "leave out --until"),
    ],
)
def test_parts_that_cannot_be_are_refused(elf, part, words, hint):
    with pytest.raises(WorkbenchError) as error:
        profile(elf, **part)
    assert words in error.value.message
    assert hint is None or re.search(hint, error.value.hint)
