"""The same program on every core, as compilers make it: optimized, without DWARF, without symbols, at odd places."""

import shutil
import subprocess

import pytest
from foreign_firmware import CORES, calls_of

from workbench.emulate.own_board import board_of
from workbench.emulate.program import Program
from workbench.emulate.symbols import load_elf
from workbench.emulate.timing import model_of
from workbench.profiling import profile
from workbench.trace import flows
from workbench.trace.profiled import Profiled

SOURCE = """
#include <setjmp.h>
#include "host.h"
extern void *__builtin_alloca(__SIZE_TYPE__);
#define TAIL(name, next) NOINLINE int name(int n) { ++entered; return next(n + 1); }
volatile int entered, seed = 3;
static jmp_buf place;
NOINLINE int last(int n) { return n * 2; }
TAIL(middle, last)
TAIL(first, middle)
NOINLINE int chosen(int n)
{
    switch (n) {
    case 0: return last(1);
    case 1: return first(2);
    case 2: seed = 5; return 7;
    case 3: return n + seed;
    case 4: seed += 9; return last(seed);
    case 5: seed ^= 1; return 4;
    case 6: return middle(n);
    case 7: return -n;
    }
    return 0;
}
NOINLINE int sized(int n) { volatile char *room = __builtin_alloca(n); room[n - 1] = 1; return room[n - 1] + last(n); }
NOINLINE void throws(int n) { if (n) throws(n - 1); longjmp(place, 1); }
NOINLINE int catches(void) { if (setjmp(place)) return last(1); throws(3); return 0; }
__attribute__((noinline, section(".ramfunc"))) int far(int n) { return last(n) + 1; }
int (*const functions[])(int) = { last, first, sized };
NOINLINE int divided(uint32_t n) { return (int)(1000u / n); }
int main(void)
{
    int sum = 0;
    for (int i = 0; i < 24; ++i)
        sum += chosen(i % 8);
    for (int i = 0; i < 6; ++i)
        sum += functions[i % 3](i + 8);
    for (int i = 0; i < 3; ++i)
        sum += catches() + far(i);
    return entered == 6 + 3 + 4 && sum + divided(7) != 0 ? 42 : 1;
}
"""
CALLS = {"chosen": 24, "sized": 2, "far": 3, "catches": 3, "divided": 1, "first": 3 + 2, "middle": 3 + 5,
         "last": 3 + 3 + 3 + 5 + 2 + 2 + 3 + 3}  # fmt: skip


def right(found):
    assert (found.meta["ended"], found.meta["exit_code"]) == ("exit", 42), found.meta["notes"]
    assert found.meta["notes"] == []
    for column in ("instructions", "modelled_cycles"):
        sums = {int(table[column].sum()) for table in (found.functions, found.tree, found.lines)}
        assert sums == {found.meta[column]}
    return calls_of(found)


@pytest.mark.parametrize(
    ("core", "flags"),
    [(core, ("-Os", "-g")) for core in CORES] + [(core, ("-O3",)) for core in CORES if core != "cortex-m3"]
    + [("cortex-m0plus", ("-O0", "-g"))],
)  # fmt: skip
def test_every_core_counts_the_same_calls(firmware, core, flags):
    """`far` lies in RAM: it calls, and is called, through veneers. Tail calls are calls. longjmp is a return."""
    found = profile(firmware(SOURCE, core=core, flags=flags))
    calls = right(found)
    assert found.meta["core"] == core
    assert {name: calls[name] for name in CALLS} == CALLS
    parents = found.tree.set_index("id").name
    above = {(parents.get(row.parent), row.name) for row in found.tree.itertuples(index=False) if row.calls}
    assert {
        ("main", "catches"),
        ("catches", "last"),
        ("main", "chosen"),
        ("first", "middle"),
        ("middle", "last"),
    } <= above
    assert {name for caller, name in above if caller == "throws"} == {"longjmp"}
    if flags[-1] == "-g":
        assert {"it.0.c", "startup.c"} <= set(found.lines.file)


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4"])
def test_a_stripped_program_has_totals_and_addresses(firmware, core):
    elf = firmware(SOURCE, core=core, flags=("-Os", "-g"))
    whole = profile(elf)
    subprocess.run(["arm-none-eabi-strip", elf], check=True)
    found = profile(elf)
    assert all(name.startswith("0x") for name in found.functions.name)
    assert right(found).keys() >= {f"0x{at:08x}" for at in whole.functions[whole.functions.name == "chosen"].address}
    for name in ("ended", "exit_code", "instructions", "modelled_cycles"):
        assert found.meta[name] == whole.meta[name]
    assert set(found.lines.file) == {""}


@pytest.mark.parametrize(("flash", "ram"), [(0, 0x20000000), (0x10000000, 0x20000000), (0x60000000, 0x20200000)])
def test_code_lies_anywhere(firmware, flash, ram):
    whole = profile(firmware(SOURCE, flags=("-Os",)))
    found = profile(firmware(SOURCE, flags=("-Os",), flash=flash, ram=ram))
    right(found)
    assert found.meta["instructions"] == whole.meta["instructions"]


def test_a_program_may_be_loaded_to_ram_alone(firmware):
    found = profile(firmware(SOURCE, flags=("-Os",), flash=0x20000000, ram=0x20040000))
    right(found)


def without_vectors(elf):
    """As a bootloader would start it: at its entry."""
    subprocess.run(["arm-none-eabi-objcopy", "--remove-section=.isr_vector", elf], check=True)
    return elf


def test_without_a_vector_table_it_begins_at_its_entry(firmware):
    found = profile(without_vectors(firmware(SOURCE, flags=("-Os",))))
    assert right(found)["Reset_Handler"] == 1


def without_sections(elf):
    """As sstrip leaves it: program headers and what they load."""
    content = bytearray(elf.read_bytes())
    content[0x20:0x24], content[0x30:0x34] = bytes(4), bytes(4)
    elf.write_bytes(content)
    return elf


def test_without_sections_its_segments_are_code(firmware):
    elf = firmware(SOURCE, flags=("-Os",))
    whole = profile(elf)
    found = profile(without_sections(elf))
    right(found)
    assert found.meta["instructions"] == whole.meta["instructions"]
    assert found.meta["core"] == "cortex-m4"


TEMPLATES = """
extern "C" {
#include "host.h"
int main(void);
}
template <class T, int N> struct ring {
    T kept[N];
    NOINLINE T push(T value) { T sum = 0; for (T &each : kept) { sum += each; each = value; } return sum; }
};
struct shape { virtual int area() = 0; };
struct square : shape { int side = 3; NOINLINE int area() override { return side * side; } };
extern "C" void __cxa_pure_virtual() {}
void *operator new(__SIZE_TYPE__);
namespace outer::inner { template <class F> NOINLINE auto twice(F f) { return f() + f(); } }
int main(void)
{
    ring<int, 4> small{};
    ring<short, 8> large{};
    square one;
    shape *volatile some = &one;
    int sum = small.push(1) + large.push(2) + large.push(3);
    return sum + outer::inner::twice([&] { return some->area(); }) == 34 ? 42 : 1;
}
"""


@pytest.mark.skipif(shutil.which("arm-none-eabi-g++") is None, reason="no arm-none-eabi-g++")
def test_functions_of_cpp(firmware, tmp_path):
    source = tmp_path / "shapes.cpp"
    source.write_text(TEMPLATES)
    flags = ("-O1", "-g", "-fno-exceptions", "-fno-rtti", "-std=c++17", "-fno-threadsafe-statics")
    elf = firmware(source, flags=flags)
    found = profile(elf)
    calls = right(found)
    pushed = ["ring<int, 4>::push(int)", "ring<short, 8>::push(short)", "square::area()"]
    assert [calls[name] for name in pushed] == [1, 2, 2]
    assert sum(count for name, count in calls.items() if "outer::inner::twice<" in name) == 1
    assert set(pushed) <= set(found.symbols.name) and set(pushed) <= set(found.lines.function)
    assert calls_of(profile(elf, function=pushed[1]))[pushed[1]] == 2


DEEP = """
#include "host.h"
NOINLINE int deep(int n) { return n ? deep(n - 1) + 1 : 0; }
int main(void) { return deep(10000) == 10000 && deep(9999) == 9999 ? 42 : 1; }
"""


def test_ten_thousand_frames(firmware):
    found = profile(firmware(DEEP, flags=("-O1", "-fno-optimize-sibling-calls"), room="128K"))
    assert right(found)["deep"] == 20001
    assert found.tree[found.tree.name == "deep"].calls.tolist() == [20001]
    assert 80_000 <= found.meta["memory"]["stack_peak"] < 200_000


def many(functions):
    """Each calls two others: contexts by the thousand."""
    called = [[f"f{(2 * at + each) % functions}(n - 1)" for each in (1, 2)] for at in range(functions)]
    heads = "".join(f"NOINLINE int f{at}(int n);\n" for at in range(functions))
    bodies = "".join(f"int f{at}(int n) {{ return n > 1 ? {a} + {b} : n; }}\n" for at, (a, b) in enumerate(called))
    return f'#include "host.h"\n{heads}{bodies}int main(void) {{ return f0(12) == 2048 ? 42 : 1; }}'


def test_tables_grow_while_the_program_runs(firmware, monkeypatch):
    elf = load_elf(firmware(many(30), flags=("-O1",)))
    rows = []
    for room in (flows.ROOM, 16):
        monkeypatch.setattr(flows, "ROOM", room)
        program = Program(elf, board_of(elf))
        flow = flows.Flow(program, model_of(program.board))
        assert program.run(flow).code == 42
        counted = flow.counted()
        assert len(counted.contexts) > 1000 and len(counted.edges) > 1000
        profiled = Profiled(elf, flow.timing, counted)
        rows.append(
            (flow.clock, flow.issued, profiled.functions(), profiled.tree(), profiled.calls(), profiled.lines())
        )
    for one, two in zip(*rows, strict=True):
        assert one == two if isinstance(one, int) else one.equals(two)


def test_a_stock_newlib_firmware_runs(tmp_path):
    """As the compiler links it by itself: no vector table, and variables behind the code."""
    source, elf, written = tmp_path / "stock.c", tmp_path / "stock.elf", []
    source.write_text('#include <stdio.h>\nint main(int n, char **v) { printf("%s\\n", v[n - 1]); return n; }\n')
    command = ["arm-none-eabi-gcc", *CORES["cortex-m4"], "-mthumb", "-O1", "--specs=rdimon.specs", source, "-o", elf]
    subprocess.run(command, check=True, capture_output=True)
    found = profile(elf, arguments=["last"], output=written.append)
    assert (found.meta["ended"], found.meta["exit_code"], b"".join(written)) == ("exit", 2, b"last\n")
    assert calls_of(found)["main"] == 1
