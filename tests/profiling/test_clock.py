"""The clock that runs along, which DWT and SysTick read, beside the cycles that are computed afterwards."""

import numpy as np
import pytest
from foreign_firmware import build

from workbench.emulate.own_board import board_of
from workbench.emulate.program import Program
from workbench.emulate.symbols import load_elf
from workbench.emulate.timing import model_of
from workbench.profiling import profile
from workbench.trace import flow_state as s
from workbench.trace.flows import Flow
from workbench.trace.profiled import Profiled


def run(elf_path, core="cortex-m4"):
    elf = load_elf(elf_path)
    program = Program(elf, board_of(elf))
    flow = Flow(program, model_of(program.board))
    return program.run(flow), flow, Profiled(elf, flow.timing, flow.counted())


@pytest.mark.parametrize("name", ["bare", "tasks"])
def test_the_clock_is_the_sum_of_all_that_passed(name, request):
    _, flow, profiled = run(request.getfixturevalue(name))
    cycles = int(profiled.functions().modelled_cycles.sum())
    assert cycles == int(profiled.by_instruction[1].sum())
    assert flow.clock == cycles + profiled.counted.idle + profiled.counted.exceptions
    assert (profiled.counted.idle > 0) == (name == "bare")


@pytest.mark.parametrize("name", ["bare", "tasks"])
def test_edges_cost_what_the_timing_model_says(name, request):
    """Computed anew from addresses alone, by the code tables that know nothing of a run."""
    _, flow, profiled = run(request.getfixturevalue(name))
    edges = profiled.edges()
    known = edges.dropna()
    taken = flow.code.edge_cycles(known.source_end.astype(np.int64), known.target)
    cycles = (edges["count"] * flow.code.cycles(edges.target, edges.target_end)).sum() + (known["count"] * taken).sum()
    assert cycles == profiled.functions().modelled_cycles.sum()


TIMED = """
#include "host.h"
#define CYCCNT REGISTER(0xE0001004)
NOINLINE uint32_t work(uint32_t n) { for (volatile uint32_t i = 0; i < n; ++i) { if (i & 1) i += n >> 12; } return n; }
int main(void)
{
    uint32_t lengths[] = { 0, 1, 7, 100, 1000 };
    REGISTER(0xE000EDFC) |= 1u << 24;
    REGISTER(0xE0001000) |= 1;
    for (int i = 0; i < 5; ++i) {
        const uint32_t before = CYCCNT;
        work(lengths[i]);
        number(CYCCNT - before);
    }
    return 0;
}
"""


@pytest.fixture(scope="module")
def timed(tmp_path_factory):
    return build(tmp_path_factory.mktemp("timed") / "timed.elf", TIMED)


def test_the_programs_counter_is_right_but_for_a_block(timed):
    """Both reads stand in blocks whose cycles have all passed when they begin: so each may be ahead by its block."""
    printed = []
    found = profile(timed, output=printed.append)
    counts = [int(each) for each in b"".join(printed).split()]
    work = found.functions.set_index("name").modelled_cycles["work"]
    _, flow, _ = run(timed)
    longest = flow.counted().blocks[:, s.STATIC].max()
    assert len(counts) == 5 and sorted(counts) == counts
    assert 0 <= sum(counts) - work <= 5 * longest


def test_the_counter_stands_while_it_is_off_and_can_be_set(firmware):
    source = """
    #include "host.h"
    #define CYCCNT REGISTER(0xE0001004)
    int main(void)
    {
        CYCCNT = 1000;
        REGISTER(0xE0001000) |= 1;
        const int off = CYCCNT == 1000; /* as long as TRCENA is not set */
        REGISTER(0xE000EDFC) |= 1u << 24;
        const uint32_t on = CYCCNT;
        CYCCNT = 0xFFFFFFF0u; /* it wraps */
        for (volatile int i = 0; i < 10; ++i);
        const uint32_t wrapped = CYCCNT;
        REGISTER(0xE0001000) &= ~1u;
        const uint32_t stopped = CYCCNT;
        for (volatile int i = 0; i < 10; ++i);
        return off && on >= 1000 && on < 1050 && wrapped < 300 && CYCCNT == stopped ? 0 : 1;
    }
    """
    assert profile(firmware(source)).meta["exit_code"] == 0


WAITS = """
#include "host.h"
volatile int ticks;
void SysTick_Handler(void) { ++ticks; }
int main(void)
{
    REGISTER(0xE000EDFC) |= 1u << 24;
    REGISTER(0xE0001000) |= 1;
    REGISTER(0xE000E014) = 9999;
    REGISTER(0xE000E018) = 0;
    REGISTER(0xE000E010) = 7;
    const uint32_t before = REGISTER(0xE0001004);
    while (ticks < 10)
        __asm volatile("wfi");
    number(REGISTER(0xE0001004) - before);
    return 0;
}
"""


def test_what_is_waited_is_told_apart(firmware):
    printed = []
    found = profile(firmware(WAITS), output=printed.append)
    meta, passed = found.meta, int(b"".join(printed))
    assert abs(passed - 100_000) < 200
    assert meta["idle_cycles"] + meta["exception_cycles"] + meta["modelled_cycles"] >= passed
    assert 99_000 < meta["idle_cycles"] < passed and meta["modelled_cycles"] < 2000
    assert meta["exception_cycles"] == 10 * (12 + 10)


def test_code_behind_a_wait_is_no_wait(firmware):
    """The machine is stopped behind whatever starts the timer, and goes on right behind a WFI that it never ran."""
    source = """
    #include "host.h"
    int main(void)
    {
        REGISTER(0xE000E014) = 4999;
        __asm volatile("str %0, [%1]\\n b 2f\\n 1: wfi\\n 2: movs r0, r0" :: "r"(7), "r"(0xE000E010) : "memory");
        return 0;
    }
    """
    found = profile(firmware(source))
    assert found.meta["exit_code"] == 0 and found.meta["idle_cycles"] == 0


NEVER_COUNTS = """
#include "host.h"
int main(void) { REGISTER(0x%s) |= 0x%x; const uint32_t at = REGISTER(0xE0001004); return REGISTER(0xE0001004) - at; }
"""


@pytest.mark.parametrize(("register", "bits", "missing"), [("E0001000", 1, "DEMCR.TRCENA"),
                                                           ("E000EDFC", 1 << 24, "DWT_CTRL.CYCCNTENA")])  # fmt: skip
def test_a_counter_that_was_not_switched_on_stands_and_is_named(firmware, register, bits, missing):
    found = profile(firmware(NEVER_COUNTS % (register, bits)))
    assert found.meta["exit_code"] == 0
    assert found.meta["notes"] == [f"DWT's CYCCNT does not count: {missing} is not set: touched by main"]


def test_one_that_stopped_is_not_named(firmware):
    on, off = "REGISTER(0xE000EDFC) |= 1u << 24; REGISTER(0xE0001000) |= 1;", "REGISTER(0xE0001000) &= ~1u;"
    source = f'#include "host.h"\nint main(void) {{ {on} {off} return REGISTER(0xE0001004) ? 0 : 1; }}'
    assert profile(firmware(source)).meta["notes"] == []


@pytest.mark.parametrize(("core", "entry"), [("cortex-m0plus", 15), ("cortex-m3", 12), ("cortex-m33", 12)])
def test_exceptions_and_the_counter_are_the_cores(firmware, core, entry):
    found = profile(firmware(WAITS, core=core))
    assert found.meta["exception_cycles"] == 10 * (entry + 10)
    none = ["DWT's CYCCNT reads as 0, as a Cortex-M0+ has none: touched by main"]
    assert found.meta["notes"] == (none if core == "cortex-m0plus" else [])
