"""A program that need know nothing of the workbench, run on the emulated core and profiled in one call.

ELF ── its own board, or one that is named ── emulate/program.py runs it, trace/flows.py counts ──► Profile
Profile, its edges and its ELF ── another timing model ──► Profile
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import boards, record
from workbench.boards import Board
from workbench.boards.board import MOST_WAITS
from workbench.errors import BoardError, FirmwareFault, RecordError, ToolchainError, WorkbenchError, meant
from workbench.record.profile_tables import typed
from workbench.report import view
from workbench.toolchain.cpp_names import demangled
from workbench.units import address as hexadecimal

if TYPE_CHECKING:
    import pandas as pd

    from workbench.emulate.program import Ended, Program
    from workbench.emulate.symbols import Elf
    from workbench.trace.counted import Counted
    from workbench.trace.flows import Flow
    from workbench.trace.profiled import Profiled

SECONDS = 60.0
AGAIN = ("cycles were modelled again, for {}: what the program did by the clock, what it waited, and the times of its "
         "stacks are those of the run on {}")  # fmt: skip


class Profile(view.Profile):
    """A profile that can also be `timed` again."""

    def timed(self, board: str | Board | None = None, *, flash_wait: int | None = None) -> Profile:
        """The same run as another core, or another board, would take it: all cycles are modelled anew, from the edges
        that were counted.

        board       a board, the name or the file of one, or a core such as "cortex-m7"; None: the one it ran on
        flash_wait  cycles that an access to the memory of the code waits

        Raises RecordError where the firmware was not kept with the profile, BoardError where there is no such board, or
        one that waits has none of the code that ran.
        """
        return _timed(self, board, flash_wait)


def load_profile(folder: str | Path) -> Profile:
    """A profile saved by Profile.save or `workbench profile`. Raises RecordError."""
    return Profile.of(record.load_profile(folder))


@dataclass(frozen=True)
class Window:
    """What of a run is profiled: from reaching one address to reaching another, each time; a `function`: from each call
    to its return."""

    begin: int
    end: int | None = None
    function: bool = False


def profile(
    firmware: str | Path,
    *,
    board: str | Board | None = None,
    function: str | None = None,
    begin: str | None = None,
    end: str | None = None,
    until: str | None = None,
    seconds: float = SECONDS,
    memory: bool = True,
    arguments: Sequence[str] = (),
    stdin: bytes | Callable[[], bytes] = b"",
    output: Callable[[bytes], Any] = lambda data: None,
    files: str | Path | None = None,
    flash_wait: int | None = None,
) -> Profile:
    """Run an ELF for a Cortex-M from its reset to its end, and tell where its time and its memory go.

    board       a board, or the name or the file of one; None: core and memory as the ELF tells of them
    function    profile the calls of this function alone; `begin` and `end`: what runs from one symbol to another
    until       end where this symbol is reached
    seconds     of emulation at most
    memory      count the bytes read and written, by region
    arguments   of its command line, and `stdin` (bytes, or what gives them once they are asked for), by semihosting;
                `output` takes what it writes
    files       a folder whose files it may open; without one none
    flash_wait  cycles that an access to the memory of the code waits, instead of the board's

    A symbol may also be an address, like "0x08000120". A fault, or the limit, ends the run; all that was counted is
    told. Raises WorkbenchError for a file that is no such ELF, a board that it does not fit, or an unknown symbol.
    """
    from workbench.emulate.own_board import board_of
    from workbench.emulate.program import Program
    from workbench.emulate.symbols import load_elf
    from workbench.emulate.timing import model_of
    from workbench.trace.flows import Flow

    elf = load_elf(Path(firmware), stripped=True)
    if not elf.code_ranges:
        raise ToolchainError(f"{elf.path} holds no code", "is it linked?")
    on = _waiting(board_of(elf) if board is None else boards.chosen(board), flash_wait)
    window = _window(elf, function, begin, end)
    stop = None if until is None else place_of(elf, until)
    if window and stop is not None:
        raise WorkbenchError("a part of the run is profiled, or the run ends early: not both", "leave out --until")
    folder = None if files is None else Path(files)
    if folder is not None and not folder.is_dir():
        raise WorkbenchError(f"{folder} is no folder", "the program's files lie in one: --allow-files DIR")
    timing = model_of(on)
    machine = partial(Program, elf, on, arguments=[elf.path.name, *arguments],
                      stdin=cache(stdin if callable(stdin) else lambda: stdin))  # fmt: skip
    program = machine(output=output, folder=folder)
    flow = Flow(program, timing, memory=memory, windowed=window is not None)
    ended = program.run(flow, seconds=seconds, until=stop, window=window)
    if ended.fault and folder is None:  # all that it does follows from what it is given: it does so again
        again = machine()
        closer = again.run(Flow(again, timing), seconds=seconds, close=flow.clock_before)
        if closer.fault and closer.fault.kind == ended.fault.kind:
            ended = closer
            flow.cut(closer.fault.pc)
        again.close()
    if window and not flow.windows:
        program.notes.append(f"{function or begin} was never reached: nothing is profiled")
    try:
        part = f"calls of {function}" if function else f"from {begin} to {end}" if window else None
        counted = flow.counted(window is not None)
        return _told(elf, on, program, flow, ended, counted, None if board is None else on.name, memory, part)
    finally:
        program.close()


def place_of(elf: Elf, text: str) -> int:
    """The address of a symbol, or the one that the text is. Raises WorkbenchError."""
    if text[:2].lower() == "0x":
        try:
            return int(text, 16) & ~1
        except ValueError:
            raise WorkbenchError(f"{text!r} is no address", "like 0x08000120") from None
    if elf.has(text):
        return elf.address(text) & ~1
    names = [symbol.name for symbol in elf.symbols if symbol.kind == "function"]
    read = {words: name for name, words in demangled(names).items()}
    if text in read:
        return elf.address(read[text]) & ~1
    listed = f"{meant(text, [*names, *read])}an address will do, too, like 0x08000120"
    hint = listed if names else "it is stripped: an address will do, like 0x08000120"
    raise WorkbenchError(f"{elf.path.name} has no symbol {text}", hint)


def _window(elf: Elf, function: str | None, begin: str | None, end: str | None) -> Window | None:
    if function is not None:
        if begin is not None or end is not None:
            raise WorkbenchError("a function is profiled, or what lies between two symbols: not both")
        return Window(place_of(elf, function), function=True)
    if (begin is None) != (end is None):
        raise WorkbenchError("a part of a run has both ends", "give --from SYMBOL and --to SYMBOL")
    if begin is None or end is None:
        return None
    window = Window(place_of(elf, begin), place_of(elf, end))
    if window.begin == window.end:
        raise WorkbenchError(f"--from {begin} and --to {end} are one place", "--function F profiles what a call takes")
    return window


def _told(
    elf: Elf, board: Board, program: Program, flow: Flow, ended: Ended, counted: Counted,
    name: str | None, memory: bool, part: str | None,
) -> Profile:  # fmt: skip
    from workbench.trace.cached import miss_cycles
    from workbench.trace.profiled import Profiled
    from workbench.trace.stacks import deepest_calls, stack_table

    names = demangled(symbol.name for symbol in elf.symbols)
    tables = Profiled(elf, flow.timing, counted, names)
    notes = list(program.notes)
    if ended.fault is not None:
        notes.insert(0, _of_fault(ended.fault))
    if tables.foreign:
        notes.append(f"code that is not in the ELF ran, as at {hexadecimal(tables.foreign[0])}: it is not counted")
    symbols, sizes = symbol_table(elf, board)
    symbols["name"] = symbols.name.replace(names)
    found = _computed(tables)
    tree = found["tree"]
    meta = {
        "firmware": elf.path.name, "digest": sha256(elf.content).hexdigest(),
        "board": name, "core": board.core, "clock_hz": board.clock_hz,
        "timing_model": flow.timing.name, "ended": ended.how, "exit_code": ended.code,
        "instructions": int(tree.instructions.sum()), "modelled_cycles": int(tree.modelled_cycles.sum()),
        "part": part, "idle_cycles": counted.idle, "exception_cycles": counted.exceptions,
        "miss_cycles": miss_cycles(counted, tables.code, board),
        "ran_on": asdict(board), "notes": notes,
        "memory": {**sizes, "stack_peak": sum(each.deepest for each in flow.stacks)},
        "stacks": deepest_calls(flow.stacks, counted.contexts, tables.name),
    }  # fmt: skip
    import pandas as pd

    regions = pd.DataFrame([
        (region.name, region.base, region.size, *(bytes_ if memory else (None, None)))
        for region, bytes_ in zip(board.regions, counted.accesses.tolist(), strict=True)
    ], columns=["region", "base", "size", "bytes_read", "bytes_written"])  # fmt: skip
    found |= {"stack": stack_table(flow.stacks), "memory": regions, "symbols": symbols, "edges": tables.edges()}
    return Profile(meta, **{name: typed(name, table) for name, table in found.items()}, elf=elf.content)


def _computed(tables: Profiled) -> dict[str, pd.DataFrame]:
    """The tables that hold cycles."""
    return {"functions": tables.functions(), "tree": tables.tree(), "calls": tables.calls(), "lines": tables.lines()}


def _timed(told: record.Profile, board: str | Board | None, flash_wait: int | None) -> Profile:
    from workbench.emulate.own_board import NAME as OWN_MEMORY
    from workbench.emulate.symbols import parse_elf
    from workbench.emulate.timing import code_tables, model_of
    from workbench.trace.cached import miss_cycles
    from workbench.trace.profiled import Profiled
    from workbench.trace.saved import counted_of

    if not told.elf:
        raise RecordError(f"the firmware of this profile, {told.meta['firmware']}, was not kept with it",
                          "profile it again: `workbench profile FIRMWARE.elf -o DIR` keeps both")  # fmt: skip
    if sha256(told.elf).hexdigest() != told.meta["digest"]:
        raise RecordError("the firmware that lies beside this profile is not the one that ran")
    elf = parse_elf(told.elf, Path(told.meta["firmware"]), stripped=True)
    ran_on = Board.of_plain(told.meta.get("ran_on"))
    on = _waiting(_named(board, ran_on), flash_wait)
    slow = [region for region in on.regions if region.wait_states]
    begins = told.edges.target.tolist()
    if slow and not any(at in region for region in slow for at in begins):
        names = " or ".join(region.name for region in slow)
        raise BoardError(f"none of the code that ran lies in {names} of {on.name}, which waits",
                         "name a board whose memory lies where the program was linked for")  # fmt: skip
    timing = model_of(on)
    counted = counted_of(told.edges, told.tree, told.functions, code_tables(elf, timing))
    tables = Profiled(elf, timing, counted, demangled(symbol.name for symbol in elf.symbols))
    found = _computed(tables)
    notes = [note for note in told.meta.get("notes") or [] if not note.startswith(AGAIN.partition("{")[0])]
    meta = {
        **told.meta, "timing_model": timing.name, "modelled_cycles": int(found["tree"].modelled_cycles.sum()),
        "board": None if on.name in (OWN_MEMORY, on.core) else on.name, "core": on.core, "clock_hz": on.clock_hz,
        "miss_cycles": miss_cycles(counted, tables.code, on),
        "notes": notes if timing == model_of(ran_on) else [*notes, AGAIN.format(on.name, ran_on.name)],
    }  # fmt: skip
    return Profile(meta, **{**_tables_of(told), **{name: typed(name, table) for name, table in found.items()}})


def _tables_of(told: record.Profile) -> dict[str, Any]:
    return {name: value for name, value in vars(told).items() if name != "meta"}


def _named(board: str | Board | None, ran_on: Board) -> Board:
    """A board, the one of this name, or the one that ran with another core."""
    from workbench.emulate.timing import MODELS

    if board is None:
        return ran_on
    if isinstance(board, str) and board in MODELS:
        return replace(ran_on, core=board, name=board)
    return boards.chosen(board)


def _waiting(board: Board, flash_wait: int | None) -> Board:
    """The board with so many wait states where its code lies. Raises BoardError."""
    if flash_wait is None:
        return board
    if not isinstance(flash_wait, int) or not 0 <= flash_wait <= MOST_WAITS:
        raise BoardError(f"no memory waits {flash_wait!r} cycles", f"it is a whole number up to {MOST_WAITS}")
    return board.with_region(board.code, wait_states=flash_wait)


def _of_fault(fault: FirmwareFault) -> str:
    """What failed, and the instruction."""
    at = "" if fault.pc is None or hexadecimal(fault.pc) in fault.message else f", at {hexadecimal(fault.pc)}"
    return f"{fault.message}{at}{f' ({fault.hint})' if fault.hint else ''}"


def _in_ram(board: Board, address: int) -> bool:
    """Whether an address is in memory that is written: any region but the code's, and flash of other names."""
    region = board.region_at(address)
    return region is not None and region.name != board.code and not region.name.startswith("flash")


def symbol_table(elf: Elf, board: Board) -> tuple[pd.DataFrame, dict[str, int]]:
    """Functions and objects with what they take, and what all sections do: bytes of flash, and of static SRAM."""
    import pandas as pd

    rows, flash, static = [], 0, 0
    for section in elf.sections:
        in_ram = _in_ram(board, section.address)
        flash += section.size * (section.stored and (in_ram or not section.writable))
        static += section.size * in_ram
    for symbol in elf.symbols:
        home = next((each for each in elf.sections if each.address <= symbol.address < each.address + each.size), None)
        if home is not None and symbol.size:
            where = "sram" if _in_ram(board, symbol.address) else "flash"
            rows.append((symbol.name, symbol.kind, home.name, symbol.address, symbol.size, where))
    columns = ["name", "kind", "section", "address", "size", "region"]
    return pd.DataFrame(rows, columns=columns), {"flash": flash, "sram_static": static}
