"""Hold the emulated firmware against numpy, node by node, for one training step; exit 3 where they differ."""

import tempfile

from workbench.cli import options
from workbench.cli.output import say, say_json, table

HELP = "hold the emulated C against numpy, node by node"


def add_arguments(parser) -> None:
    options.add_model(parser)
    options.add_compile(parser)
    options.add_board(parser)
    parser.add_argument("--data", metavar="D", help="data set (default: the network's own)")
    parser.add_argument("--load-weights", metavar="FILE", help="check with the weights in an .npz")
    parser.add_argument("--lr", type=options.rate, default=0.02, metavar="X", help="learning rate (default 0.02)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def execute(args) -> int:
    from workbench import session
    from workbench.study.check import TOLERANCE, adds_up, check
    from workbench.training import Training

    compiled = options.compiled(args)
    with tempfile.TemporaryDirectory() as folder:
        built = session.build(compiled, options.board(args), folder, virtual=False)
        rows = check(built, Training(lr=args.lr, seed=args.seed, data=args.data))
    wrong = [row for row in rows if not row.agrees]
    if args.json:
        say_json([vars(row) for row in rows])
    else:
        say(_text(options.called(args), rows, wrong, args.verbose, TOLERANCE))
    return 0 if not wrong and adds_up(rows) else 3


def _text(model: str, rows, wrong, verbose: int, tolerance: float) -> str:
    from workbench.study.check import adds_up

    shown = rows if verbose else wrong[:10]
    lines = []
    if shown:
        heads = ["operator", "value", "own", "whole step", "first that differs", "node"]
        lines += [table(heads, [_cells(row) for row in shown], left=2), ""]
    count = len({row.position for row in rows})
    if not wrong:
        worst = max(rows, key=lambda row: row.own)
        furthest = max(rows, key=lambda row: row.total)
        if not adds_up(rows):
            lines.append(f"{model}: each operator agrees with numpy, the whole step does not: {furthest.symbol} "
                         f"({furthest.node}) ends {furthest.total:.1e} of its norm from the interpreter's")  # fmt: skip
            return "\n".join(lines)
        lines.append(
            f"{model}: {count} operators agree with numpy; the largest difference is {worst.own:.1e} of its tensor's "
            f"norm, in {worst.symbol} ({worst.node}), and {furthest.total:.1e} over the whole step"
        )
    else:
        first = wrong[0]
        where = (
            f" at {list(first.index)}: numpy {first.expected:.9g}, emulated {first.got:.9g}"
            if first.index is not None
            else ""
        )
        lines.append(
            f"{model}: {len({row.position for row in wrong})} of {count} operators differ from numpy by more than "
            f"{tolerance:g}; the first is {first.symbol} ({first.node}){where}"
        )
    return "\n".join(lines)


def _cells(row) -> list[str]:
    where = "" if row.index is None else f"{list(row.index)}: {row.expected:.6g}, got {row.got:.6g}"
    return [row.symbol, f"%{row.value}", f"{row.own:.1e}", f"{row.total:.1e}", where, row.node]
