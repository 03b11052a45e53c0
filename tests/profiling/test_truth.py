"""Profiles held to the truth: what the programs print, what they count themselves, and a hook on every instruction."""

from collections import Counter

import pytest
import unicorn
from foreign_firmware import calls_of

from workbench import profiling
from workbench.emulate.own_board import board_of
from workbench.emulate.program import Program
from workbench.emulate.symbols import load_elf
from workbench.emulate.timing import model_of
from workbench.trace.flows import Flow
from workbench.trace.profiled import Profiled


@pytest.fixture(scope="module")
def written():
    return []


@pytest.fixture(scope="module")
def profile(hello, written):
    return profiling.profile(hello, stdin=b"abc", output=written.append)


def test_a_program_runs_as_it_is(profile, written):
    assert b"".join(written) == b"fibonacci 55\nin RAM: 8 cycles a turn\nABC"
    assert (profile.meta["ended"], profile.meta["exit_code"], profile.meta["board"]) == ("exit", 3, None)
    assert profile.meta["notes"] == []


def test_functions_are_counted_wherever_they_lie(profile):
    calls = calls_of(profile)
    assert [calls[name] for name in ("fibonacci", "in_ram", "timed", "main", "SysTick_Handler")] == [177, 2, 2, 1, 3]
    functions = profile.functions.set_index("name")
    assert functions.address["in_ram"] >= 0x20000000 and functions.file["in_ram"] == "hello.c"
    assert functions.instructions["in_ram"] == 2 * 8 + 6 * 1100


def test_recursion_counts_once(profile):
    functions, tree = profile.functions.set_index("name"), profile.tree
    assert len(tree[tree.name == "fibonacci"]) == 1
    assert functions.instructions_inclusive["fibonacci"] == functions.instructions["fibonacci"]
    assert functions.instructions_inclusive["Reset_Handler"] < profile.meta["instructions"]
    within = profile.calls[profile.calls.caller == "fibonacci"]
    assert within.calls.sum() == 176 and within.instructions_inclusive.sum() == 0


def test_the_loop_in_ram_takes_what_the_program_measured(profile, written):
    lines = profile.lines[profile.lines.function == "in_ram"]
    loop = lines[lines.executions == 1100]
    assert round(loop.modelled_cycles.sum() / 1100) == int(b"".join(written).split(b"RAM: ")[1].split()[0])


@pytest.mark.parametrize("name", ["instructions", "modelled_cycles"])
def test_every_table_has_the_same_sum(profile, name):
    whole = profile.meta[name]
    assert {int(getattr(profile, table)[name].sum()) for table in ("functions", "lines", "tree")} == {whole}
    roots = profile.tree[profile.tree.parent < 0]
    assert roots[f"{name}_inclusive"].sum() == whole


@pytest.mark.parametrize("name", ["bare", "tasks"])
def test_instructions_are_those_that_a_hook_saw_and_those_that_it_blocks_skipped(name, request):
    """The code hook does not fire for an instruction whose condition fails."""
    elf = load_elf(request.getfixturevalue(name))
    program, seen = Program(elf, board_of(elf), stdin=lambda: b"abc"), Counter()
    program._uc.hook_add(unicorn.UC_HOOK_CODE, lambda uc, address, size, user: seen.update([address]))
    flow = Flow(program, model_of(program.board))
    assert program.run(flow).how == "exit"
    issued, skipped = Counter(seen), 0
    for address, count in seen.items():
        for member in _behind_it(program, address):
            skipped += count - seen[member]
            issued[member] = count
    assert skipped > 0
    assert flow.issued == sum(seen.values()) + skipped
    profiled = Profiled(elf, flow.timing, flow.counted())
    assert profiled.functions().instructions.sum() == flow.issued
    addresses, counted = profiled.code.address.tolist(), profiled.by_instruction[0].tolist()
    assert {at: count for at, count in zip(addresses, counted, strict=True) if count} == dict(issued)


def _behind_it(program, address):
    """The instructions that an IT at this address makes conditional (DDI 0403, A7.7.38): up to four."""
    first, mask = program.read(address, 2)[::-1][0], program.read(address, 1)[0] & 15
    if first != 0xBF or not mask:
        return
    address += 2
    for _ in range(4 - (mask & -mask).bit_length() + 1):
        yield address
        wide = int.from_bytes(program.read(address, 2), "little") >> 11 >= 0b11101
        address += 4 if wide else 2


def test_a_profile_is_the_same_each_time(tasks):
    one, two = (profiling.profile(tasks) for _ in range(2))
    assert one.meta == two.meta
    for table in ("functions", "tree", "calls", "lines", "stack", "memory", "edges"):
        assert getattr(one, table).equals(getattr(two, table)), table
