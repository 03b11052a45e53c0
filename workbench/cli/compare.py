"""Compare update policies and schedules: every cell compiled, built and emulated, in parallel processes."""

import sys
from pathlib import Path

from workbench.baseline import CONVENTIONAL, LADDER
from workbench.cli import options, values
from workbench.cli.ablate import ablate
from workbench.cli.lifecycle import add_schedules, asked_schedules
from workbench.cli.output import names, output_folder, say, say_error, say_json, say_more, say_note, stopping
from workbench.cli.progress import stage, tell
from workbench.errors import WorkbenchError
from workbench.options import EVERY_SCHEDULE

HELP = "compare update policies and schedules, every cell measured"


def add_arguments(parser) -> None:
    options.add_model(parser)
    parser.add_argument("--policies", metavar="A,B,C", help="default full,bias-only,last-2; with --ablate: full")
    parser.add_argument("--ablate", action="store_true", help="one policy, a step each: what every pass is worth")
    add_schedules(parser)
    parser.add_argument("--conventional", action="store_true", help="first, the conventional way: a heap, a tape")
    parser.add_argument("--ladder", action="store_true", help="the same, and what each part of it costs")
    parser.add_argument("--jobs", type=values.positive, metavar="N", help="cells at a time (default: one a CPU)")
    options.add_seeds(parser, "train each policy")
    options.add_compile(parser, schedule=False, single_policy=False)
    options.add_board(parser)
    options.add_training(parser, trace="memory", steps=50)
    options.add_output(parser)


def execute(args) -> int:
    from workbench.cli.notes import passes_note
    from workbench.record.folder import SEEDS, filling
    from workbench.study.compare import TABLE, cells, check_names, compare_cells

    asked = args.policies if args.policies is not None else "full" if args.ablate else "full,bias-only,last-2"
    policies, schedules = names(asked, "--policies"), names(asked_schedules(args), "--schedules")
    schedules = with_conventional(args, schedules)
    if args.ablate:
        return ablate(args, policies)
    board, model = options.board(args), options.model(args)
    wanted = cells(policies, schedules, options.passes(args))
    check_names(model, wanted)
    model = options.check_data(args, model)
    args.policy = "compare"  # in the folder's name
    folder = output_folder(args.output, options.run_name(args, board), args.force)
    say_note(passes_note(schedules, args.passes), args)
    model = options.pretrained(args, model)
    models = options.networks(args, model)
    with filling(folder) as new:
        with stopping():
            comparison = compare_cells(
                model, wanted, board=board, optimizer=options.optimizer(args), jobs=args.jobs, folder=new,
                kernels=args.kernels,
                models=models, **cells_told(args, _count(args, wanted)), **vars(options.training(args)),
            )  # fmt: skip
        if comparison.interrupted and not comparison.runs:
            raise KeyboardInterrupt  # there is nothing to tell or to keep
        with stage(args, "drawing"):
            tables = [TABLE] if args.seeds is None else [TABLE, SEEDS]
            files = [folder / name for name in (*tables, *draw(comparison, new))]
    if args.json:
        of_each = [_json(outcome) for outcome in comparison.outcomes] if args.seeds is None else comparison.over_seeds()
        say_json(of_each)
    else:
        _tell(args, comparison, files, folder)
    for outcome in comparison.without_run if args.verbose > 1 else ():
        print(outcome.details, file=sys.stderr, end="")
    return comparison.exit_code


def with_conventional(args, schedules: list[str]) -> list[str]:
    """The schedules asked for, the conventional ones in front of them, and with --ladder the one it leads to."""
    if (args.conventional or args.ladder) and args.input == "rows":
        raise WorkbenchError("a conventional step takes an image whole", "leave out --input rows")
    added = [*LADDER] if args.ladder else [CONVENTIONAL] if args.conventional else []
    wanted = {*added, *schedules}
    return [name for name in EVERY_SCHEDULE if name in wanted] if added and wanted <= {*EVERY_SCHEDULE} else schedules


def draw(comparison, folder: Path) -> list[str]:
    """compare.png, .svg and .pdf in `folder`; gives their names: none without a run."""
    from workbench.report.comparison import comparison_figure
    from workbench.report.figure import ENDINGS, save_figure

    if not comparison.runs:
        return []
    figure = comparison_figure(comparison.rows, _missing(comparison.without_run))
    names = [f"compare{ending}" for ending in ENDINGS]
    for name in names:
        save_figure(figure, folder / name)
    return names


def _tell(args, comparison, files, folder) -> None:
    from workbench.cli.notes import notes_of
    from workbench.report.side_by_side import comparison_text

    if comparison.runs:
        say(comparison_text(comparison.rows).rstrip())
        notes = notes_of(comparison.runs)
        say_more(args, "".join(["\n", *(f"note: {note}\n" for note in notes)]) if notes else "")
    for outcome in comparison.failed:
        say_error(f"{outcome.cell}: {outcome.error}")
    if comparison.interrupted:
        say_error(f"interrupted before {', '.join(str(outcome.cell) for outcome in comparison.interrupted)}")
    broken = sum(len(run.violations) > 0 for run in comparison.runs)
    if broken:
        say_error(f"{broken} of {len(comparison.runs)} runs broke the plan; `workbench report` tells where")
    say_more(args, f"Wrote {', '.join(map(str, files))}")
    if comparison.runs:
        say_more(args, f"next: ./workbench.sh report {folder}")


def _missing(outcomes) -> str:
    if not outcomes:
        return ""
    return "missing: " + ", ".join(f"{outcome.cell} ({outcome.error.splitlines()[0]})" for outcome in outcomes)


def _json(outcome) -> dict:
    if outcome.run is not None:
        return outcome.run.meta
    return {"policy": outcome.cell.policy, "schedule": outcome.cell.schedule, "error": outcome.error}


def _took(meta: dict) -> str:
    """'3.2 s emulated, 0.9 s native'."""
    seconds = meta["seconds"]
    native = f", {seconds['native']:.1f} s native" if "native" in seconds else ""
    return f"{seconds['emulate']:.1f} s emulated{native}"


def _count(args, wanted) -> int:
    """The number of runs: every cell with the first seed, and one a policy with each further seed."""
    return len(wanted) + len({cell.policy for cell in wanted}) * ((args.seeds or 1) - 1)


def cells_told(args, count: int) -> dict:
    """The callbacks of compare_cells: they report each cell that begins, and each that is done, as progress."""
    done = []

    def begun(cell) -> None:
        tell(args, f"{cell}: begun")

    def arrived(outcome) -> None:
        done.append(outcome)
        words = "failed" if outcome.run is None else _took(outcome.run.meta)
        tell(args, f"{outcome.cell}: {words} ({len(done)} of {count})")

    return {"begun": begun, "arrived": arrived}
