"""Generate the C project of a training step and compile it; the folder builds by itself with `make`."""

import shlex

from workbench.cli import options
from workbench.cli.output import output_folder, say, say_json, say_more
from workbench.options import OPTIONS
from workbench.units import kilobytes

HELP = "write the C project of a training step and compile it"


def add_arguments(parser) -> None:
    options.add_model(parser)
    options.add_compile(parser)
    options.add_board(parser)
    options.add_rate(parser)
    options.add_row(parser, OPTIONS["lr_bias"])
    parser.add_argument("--load-weights", metavar="FILE", help="the weights in an .npz instead of the network's own")
    options.add_output(parser)


def execute(args) -> int:
    board = options.board(args)
    folder = output_folder(args.output, options.run_name(args, board, args.schedule) + "-firmware", args.force)
    compiled = options.compiled(args)
    built = options.built(args, compiled, board, folder, lr=args.lr, lr_bias=args.lr_bias)
    image, arena = built.image, built.compiled.memory.plan.bytes
    lr_bias = args.lr if args.lr_bias is None else args.lr_bias
    rates = {"wb_lr": args.lr, "wb_lr_bias": lr_bias}
    rates = {row.symbol: rates[row.symbol] for row in built.project.buffers if row.symbol in rates}
    if args.json:
        say_json({"folder": str(folder), "elf": str(image.elf), "board": board.name, "flash": image.flash,
                  "static": image.static, "arena_planned": arena, "stack_reserve": image.stack_reserve,
                  "sram_planned": image.static + arena + image.stack_reserve, "rates": rates})  # fmt: skip
        return 0
    say(f"{options.called(args)} · {compiled.policy.name} · {args.schedule} · {board}")
    planned = kilobytes(image.static + arena + image.stack_reserve)
    parts = f"static {kilobytes(image.static)} · arena {kilobytes(arena)} · stack {kilobytes(image.stack_reserve)}"
    say(f"flash {kilobytes(image.flash)} · SRAM planned {planned}: {parts}")
    if rates:
        say(f"learning rates at first: {', '.join(f'{symbol} {rate:g}' for symbol, rate in rates.items())}")
    say_more(args, f"Wrote {folder}/     next: make -C {shlex.quote(str(folder))}")
    return 0
