"""The board of a program that came without one: a core and memory, as its ELF tells of them.

core     from its build attributes (Arm ABI, "Addenda to, and errata in, the ABI": Tag_CPU_arch, Tag_FP_arch)
code     its segments that are no RAM, each region to the end of the last one in it, rounded up
RAM      from 0x20000000 on, or where its writable segments run, to the stack's top that its vector table names
"""

from workbench.boards import Board, Region
from workbench.boards.board import FPUS, NO_FPU
from workbench.emulate.symbols import Elf
from workbench.errors import BoardError
from workbench.units import KB

V6_M, V6S_M, V7, V7E_M, V8_M_BASE, V8_M_MAIN, V8_1_M_MAIN = 11, 12, 10, 13, 16, 17, 21
CORES = {V6_M: "cortex-m0plus", V6S_M: "cortex-m0plus", V7: "cortex-m3", V7E_M: "cortex-m4",
         V8_M_BASE: "cortex-m33", V8_M_MAIN: "cortex-m33", V8_1_M_MAIN: "cortex-m33"}  # fmt: skip
FPV5 = (7, 8)  # of Tag_FP_arch: only a Cortex-M7's, below Armv8-M
SRAM = 0x20000000
SRAM_END = 0x40000000
ROOM = 256 * KB  # of RAM, where nothing tells how much there is; and the unit in which flash is rounded up
CLOCK_HZ = 100_000_000
NAME = "own-memory"


def vectors_of(elf: Elf) -> int | None:
    """Where the vector table lies: at the lowest segment that begins with a stack's top and a way into code."""
    for segment in sorted(elf.segments, key=lambda each: each.runs_at):
        top, reset = (int.from_bytes(segment.data[at : at + 4], "little") for at in (0, 4))
        code = any(begin <= reset & ~1 < end for begin, end in elf.code_ranges)
        if reset & 1 and code and top % 4 == 0 and SRAM // 2 <= top <= SRAM_END:
            return segment.runs_at
    return None


def core_of(elf: Elf) -> str:
    """The core it was compiled for, or one that runs it. Raises BoardError for none that is known."""
    arch, unit = elf.attributes.get("CPU_ARCH"), elf.attributes.get("FP_ARCH", 0)
    if arch is None:
        return "cortex-m4"
    if arch not in CORES:
        raise BoardError(f"{elf.path.name} was compiled for no Cortex-M (Tag_CPU_arch {arch})",
                         "gcc's -mcpu=cortex-m4 -mthumb makes one; --board B runs it anyway")  # fmt: skip
    return "cortex-m7" if arch == V7E_M and unit in FPV5 else CORES[arch]


def board_of(elf: Elf) -> Board:
    """See above. Raises BoardError."""
    core = core_of(elf)
    fpu = FPUS[core][0] if FPUS[core] else NO_FPU
    table = vectors_of(elf)
    runs = [(each.runs_at, each.runs_at + len(each.data)) for each in elf.segments]
    runs += [(each.address, each.address + each.size) for each in elf.sections]
    top = None if table is None else int.from_bytes(elf.code(table, table + 4), "little")
    if any(each.writable and not each.stored and not SRAM // 2 <= each.address < SRAM_END for each in elf.sections):
        return _all_in_ram(core, fpu, runs)
    ram = [(begin, end) for begin, end in runs if begin >= SRAM // 2 and end <= SRAM_END]
    ram = [(begin, end) for begin, end in ram if begin >= SRAM or _is_written(elf, begin)]
    low = min(
        [begin for begin, _ in ram if top is None or begin < top] + [SRAM if top is None or top > SRAM else top - KB]
    )
    high = max([end for _, end in ram] + [top or low + ROOM])
    base = low // ROOM * ROOM
    data = Region("ram", base, -(-(high - base) // KB) * KB)
    stored = [(each.address, each.address + len(each.data)) for each in elf.segments]
    flash = sorted(span for span in stored + runs if not data.base <= span[0] < data.end)
    if not flash:  # all of it is loaded into RAM
        flash = [(0, KB)]
    regions: list[Region] = []
    for begin, end in flash:
        if regions and begin < regions[-1].base + regions[-1].size + ROOM:
            region = regions[-1]
            size = max(region.size, -(-(end - region.base) // ROOM) * ROOM)
            regions[-1] = Region(region.name, region.base, size)
        else:
            base = begin // KB * KB
            name = f"flash{len(regions) + 1}" if regions else "flash"
            regions.append(Region(name, base, -(-(end - base) // ROOM) * ROOM))
    return Board(NAME, core, CLOCK_HZ, fpu, (*regions, data), "flash", "ram", "the program's own segments")


def _all_in_ram(core: str, fpu: str, runs: list[tuple[int, int]]) -> Board:
    """For a program whose variables lie behind its code, as a linker's own script has it: RAM where all of it is, and
    four times ROOM behind it."""
    base = min(begin for begin, _ in runs) // ROOM * ROOM
    size = -(-(max(end for _, end in runs) - base) // ROOM) * ROOM + 4 * ROOM
    nothing = Region("flash", SRAM_END - KB, KB)
    return Board(NAME, core, CLOCK_HZ, fpu, (nothing, Region("ram", base, size)), "flash", "ram", "all of it in RAM")


def _is_written(elf: Elf, address: int) -> bool:
    return any(each.writable and each.address <= address < each.address + each.size for each in elf.sections)
