"""List the boards, or tell one: its core, its clock, and its regions of memory with the document they are from."""

from dataclasses import asdict

from workbench import boards
from workbench.cli.output import say, say_json, say_more, table
from workbench.units import address, frequency, kilobytes

LEGEND = """
SRAM: the region of data, arena and stack. `workbench boards NAME` tells all regions of a board, and the document they
are from; `workbench help boards` how to write down your own, for --board my-board.toml"""
HELP = "list the boards, or tell one"


def add_arguments(parser) -> None:
    parser.add_argument("board", nargs="?", metavar="BOARD", help="one of them, or a file like my-board.toml")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def execute(args) -> int:
    if args.board:
        _tell(args, boards.get(args.board))
    elif args.json:
        say_json({"boards": [asdict(board) for board in boards.BOARDS.values()]})
    else:
        _list(args)
    return 0


def _list(args) -> None:
    """All boards in one table, by core."""
    cores = list(boards.TWINS_OF)
    rows = [
        [board.name, board.core_title, frequency(board.clock_hz), kilobytes(board.sram_size),
         kilobytes(board.flash_size), address(board.flash_base), _note(board)]
        for board in sorted(boards.BOARDS.values(), key=lambda board: cores.index(board.core))
    ]  # fmt: skip
    say(table(["board", "core", "clock", "SRAM", "flash", "flash at", ""], rows, left=2))
    say_more(args, LEGEND)


def _note(board: boards.Board) -> str:
    if board.name == boards.DEFAULT:
        return "default"
    return "to measure what does not fit" if board.name.startswith(boards.VIRTUAL) else ""


def _tell(args, board: boards.Board) -> None:
    if args.json:
        say_json(asdict(board))
        return
    holds = {board.code: "code, constants", board.data: "data, arena, stack"}
    rows = [
        [region.name, address(region.base), address(region.end), kilobytes(region.size), region.wait_states,
         holds.get(region.name, "")]
        for region in board.regions
    ]  # fmt: skip
    say(f"{board.title}\n")
    say(table(["region", "from", "up to", "size", "wait states", ""], rows))
    say_more(args, f"\nsource: {board.source}\nflags: {' '.join(board.flags)}")
