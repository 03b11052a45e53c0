"""List the boards."""

from workbench.boards import BOARDS, DEFAULT
from workbench.cli.output import say, say_json, table
from workbench.units import address, frequency, kilobytes

HELP = "list the boards"


def add_arguments(parser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def execute(args) -> int:
    if args.json:
        say_json({"boards": [vars(board) for board in BOARDS.values()]})
        return 0
    rows = [
        [b.name, b.core_title, frequency(b.clock_hz), kilobytes(b.sram_size), kilobytes(b.flash_size),
         address(b.flash_base),
         "default" if b.name == DEFAULT else "to measure what does not fit" if b.name.startswith("virtual") else ""]
        for b in BOARDS.values()
    ]  # fmt: skip
    say(table(["board", "core", "clock", "SRAM", "flash", "flash at", ""], rows, left=2))
    return 0
