"""Run any Cortex-M program on an emulated core, and tell where its time, its stack and its memory go."""

import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from workbench.cli import values
from workbench.cli.output import output_folder, say, say_error, say_json, say_more, say_note
from workbench.errors import WorkbenchError
from workbench.profiling import SECONDS, Profile, load_profile, profile
from workbench.record.folder import write_at_once

HELP = "profile any Cortex-M firmware: functions, calls, lines, stack, cycles"
EXPORTS = {"callgrind": "callgrind.out", "speedscope": "speedscope.json", "perfetto": "perfetto.json"}
OF_A_RUN = {"function": "function", "begin": "from", "end": "to", "until": "until", "args": "args",
            "allow_files": "allow-files"}  # fmt: skip


def add_arguments(parser) -> None:
    parser.add_argument("firmware", metavar="FIRMWARE.elf", help="an ELF, or the folder of an earlier profile")
    parser.add_argument("--board", metavar="B",
                        help="a board, or a file like my.toml (default: memory as the ELF tells); an earlier profile's "
                        "cycles are modelled again, for a board or a core like cortex-m7")  # fmt: skip
    parser.add_argument("--flash-wait", type=values.waits, metavar="N",
                        help="cycles that an access to the memory of the code waits")  # fmt: skip
    part = parser.add_argument_group("which part of the run")
    part.add_argument("--function", metavar="F", help="the calls of this function alone")
    part.add_argument("--from", dest="begin", metavar="SYMBOL", help="from here")
    part.add_argument(
        "--to", dest="end", metavar="SYMBOL", help="to here, each time; symbols or addresses like 0x8000120"
    )
    part.add_argument("--until", metavar="SYMBOL", help="end the run there")
    part.add_argument("--max-seconds", type=values.seconds, default=SECONDS, metavar="S",
                      help=f"of emulation, at most (default {SECONDS:g})")  # fmt: skip
    given = parser.add_argument_group("what the program is given")
    given.add_argument("--args", metavar="WORDS", help='its command line, like --args "-n 3"')
    given.add_argument("--allow-files", metavar="DIR", help="it may open files in this folder, by semihosting")
    told = parser.add_argument_group("what is told")
    told.add_argument("--trace", choices=("ops", "memory"), default="memory",
                      help="ops: leave out the bytes read and written, which takes a third of the time")  # fmt: skip
    told.add_argument(
        "--against", metavar="B", help="another ELF, or the folder of its profile: functions by difference"
    )
    told.add_argument(
        "--top", type=values.positive, default=15, metavar="N", help="functions and lines to list (default 15)"
    )
    for name, file in EXPORTS.items():
        told.add_argument(f"--{name}", action="store_true", help=f"write {file} too")
    parser.add_argument("-o", "--output", metavar="DIR", help="folder to write (default: under out/)")
    parser.add_argument("--force", action="store_true", help="overwrite what is there")
    on_stdout = parser.add_mutually_exclusive_group()
    on_stdout.add_argument(
        "--json", action="store_true", help="one JSON object on stdout, the program's output on stderr"
    )
    on_stdout.add_argument("--csv", action="store_true", help="the functions as CSV, likewise")


def execute(args) -> int:
    from workbench.report.profile_text import difference_text, profile_text

    firmware = Path(args.firmware)
    on = f"-{Path(args.board).stem}" if args.board else ""
    read_alone = firmware.is_dir() and args.output is None
    folder = None if read_alone else output_folder(args.output, f"{firmware.stem}{on}-profile", args.force)
    output, stdin = _Output(args), cache(_stdin)
    found = _told(args, firmware, stdin, output)
    before = None if args.against is None else _told(args, Path(args.against), stdin, lambda data: None)
    if folder is not None:
        found.save(folder)
    _export(args, found, folder or firmware)
    if args.csv:
        sys.stdout.write(found.functions.to_csv(index=False))
    elif args.json:
        say_json(_plain(found, before))
    else:
        text = difference_text(before, found, args.top) if before else profile_text(found, args.top)
        say(output.gap + text.rstrip())
        for note in found.meta["notes"]:
            say_note(note)
        say_more(args, f"\n{'Read from' if folder is None else 'Wrote'} {folder or firmware}/")
    if found.meta["ended"] == "fault":
        if args.json or args.csv:
            say_error(found.meta["notes"][0])
        return 1
    return 0


class _Output:
    """Where what the program writes goes: to stdout as it is, to stderr where stdout is ours; `last`: the end of it."""

    def __init__(self, args):
        stream = sys.stderr if args.json or args.csv else sys.stdout
        self._stream, self.last = getattr(stream, "raw", stream), b""

    def __call__(self, data: bytes) -> None:
        self.last = data[-1:] or self.last
        if buffer := getattr(self._stream, "buffer", None):
            buffer.write(data)
        else:
            self._stream.write(data.decode(errors="replace"))
        self._stream.flush()

    @property
    def gap(self) -> str:
        """What parts it from what we write: an empty line, where it wrote anything."""
        return {b"": "", b"\n": "\n"}.get(self.last, "\n\n")


def _stdin() -> bytes:
    return sys.stdin.buffer.read() if sys.stdin and not sys.stdin.closed else b""


def _told(args, place: Path, stdin: Callable[[], bytes], output: Callable[[bytes], Any]) -> Profile:
    """The profile in a folder, timed again if that is asked for, or that of a firmware."""
    if not place.is_dir():
        return _profiled(args, place, stdin, output)
    if asked := [f"--{words}" for name, words in OF_A_RUN.items() if getattr(args, name) is not None]:
        raise WorkbenchError(f"{place} is a profile, which ran: {asked[0]} says what is to run", "name the ELF instead")
    found = load_profile(place)
    again = args.board is not None or args.flash_wait is not None
    return found.timed(args.board, flash_wait=args.flash_wait) if again else found


def _profiled(args, firmware: Path, stdin: Callable[[], bytes], output: Callable[[bytes], Any]) -> Profile:
    import shlex

    try:
        words = shlex.split(args.args or "")
    except ValueError as error:
        raise WorkbenchError(f"--args {args.args!r}: {error}", "quote it as a shell would") from None
    return profile(
        firmware, board=args.board, function=args.function, begin=args.begin, end=args.end, until=args.until,
        seconds=args.max_seconds, memory=args.trace == "memory", arguments=words, stdin=stdin, output=output,
        files=args.allow_files, flash_wait=args.flash_wait,
    )  # fmt: skip


def _export(args, found: Profile, folder: Path) -> None:
    """The figure, and the formats that were asked for."""
    from workbench.report import exports
    from workbench.report.figure import save_figure
    from workbench.report.profile_figure import profile_figure

    if folder != Path(args.firmware):
        save_figure(profile_figure(found), folder / "profile.png")
    for name, file in EXPORTS.items():
        if getattr(args, name):
            content = getattr(exports, name)(found)
            write_at_once(folder / file, content if isinstance(content, bytes) else content.encode())


def _plain(found: Profile, before: Profile | None) -> dict:
    """The profile as JSON has it."""
    from workbench.report.profile_text import difference

    tables = {
        name: json.loads(getattr(found, name).to_json(orient="records"))
        for name in ("functions", "tree", "calls", "lines", "stack", "memory", "symbols")
    }
    against: dict[str, Any] = {}
    if before is not None:
        rows = json.loads(difference(before, found).to_json(orient="records"))
        against = {"against": rows, "against_memory": {"before": before.meta["memory"], "now": found.meta["memory"]}}
    return {**found.meta, **tables, **against}
