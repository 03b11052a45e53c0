"""Generate the C project of a training step and compile it; the folder builds by itself with `make`."""

import shlex

from workbench.cli import options
from workbench.cli.output import output_folder, say, say_json, say_more
from workbench.units import kilobytes

HELP = "write the C project of a training step and compile it"


def add_arguments(parser) -> None:
    options.add_model(parser)
    options.add_compile(parser)
    options.add_board(parser)
    parser.add_argument("--load-weights", metavar="FILE", help="the weights in an .npz instead of the network's own")
    options.add_output(parser)


def execute(args) -> int:
    board = options.board(args)
    folder = output_folder(args.output, options.run_name(args, board, args.schedule) + "-firmware", args.force)
    compiled = options.compiled(args)
    image, arena = options.built(args, compiled, board, folder).image, compiled.memory.plan.bytes
    if args.json:
        say_json({"folder": str(folder), "elf": str(image.elf), "board": board.name, "flash": image.flash,
                  "static": image.static, "arena_planned": arena, "stack_reserve": image.stack_reserve,
                  "sram_planned": image.static + arena + image.stack_reserve})  # fmt: skip
        return 0
    say(f"{options.called(args)} · {compiled.policy.name} · {args.schedule} · {board}")
    planned = kilobytes(image.static + arena + image.stack_reserve)
    parts = f"static {kilobytes(image.static)} · arena {kilobytes(arena)} · stack {kilobytes(image.stack_reserve)}"
    say(f"flash {kilobytes(image.flash)} · SRAM planned {planned}: {parts}")
    say_more(args, f"Wrote {folder}/     next: make -C {shlex.quote(str(folder))}")
    return 0
