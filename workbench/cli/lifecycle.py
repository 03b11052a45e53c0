"""Draw which buffer lived when and where: the schedules side by side, measured in one training step each."""

from pathlib import Path
from typing import Any

from workbench.cli import options
from workbench.cli.output import names, output_folder, say, say_json, say_more, say_note
from workbench.cli.progress import stage
from workbench.cli.run import train_once
from workbench.options import INPUTS, usual_schedules

HELP = "draw buffer lifecycles, the schedules side by side"
SCHEDULES, BY_ROWS = (",".join(usual_schedules(way)) for way in INPUTS)


def add_arguments(parser) -> None:
    options.add_model(parser)
    options.add_compile(parser, schedule=False)
    add_schedules(parser)
    options.add_x(parser)
    options.add_board(parser)
    options.add_training(parser, trace="memory", steps=1)
    options.add_output(parser)


def add_schedules(parser) -> None:
    told = f"default {SCHEDULES}; with --input rows {BY_ROWS} alone"
    parser.add_argument("--schedules", metavar="A,B", help=told)


def asked_schedules(args) -> str:
    """The schedules asked for, or those that can run as asked."""
    if args.schedules is not None:
        return args.schedules
    return BY_ROWS if args.input == "rows" else SCHEDULES


def execute(args) -> int:
    board, model = options.board(args), options.check(args)
    from workbench.cli.notes import notes_of, passes_note  # loads pandas: a misspelt name is told before that

    wanted = schedules(asked_schedules(args), options.passes(args))
    folder = output_folder(args.output, f"{options.run_name(args, board)}-lifecycle", args.force)
    say_note(passes_note(wanted, args.passes), args)
    model = options.pretrained(args, model)
    from workbench.record.folder import filling

    with filling(folder) as new:
        runs: list[Any] = []
        for schedule in wanted:  # the first one trains: all give the same bits
            runs.append(_run(args, model, board, schedule, new, runs[0] if runs else None))
        with stage(args, "drawing"):
            files = [folder / path.name for path in draw(runs, new, args.x)]
    if args.json:
        say_json([run.meta for run in runs])
    else:
        from workbench.report.steps import steps_text
        from workbench.report.text import comparison_text

        say("\n".join([comparison_text(runs), steps_text(runs)]).rstrip())
        for note in notes_of(runs):
            say_more(args, f"note: {note}")
        say_more(args, f"Wrote {', '.join(map(str, files))}")
    return 3 if any(len(run.violations) for run in runs) else 0


def schedules(text: str, passes: str) -> list[str]:
    """The schedules named in `a,b`, each once. Raises WorkbenchError for an unknown schedule or pass."""
    from workbench.passes.pipeline import chosen_passes

    found = names(text, "--schedules")
    for name in found:
        chosen_passes(name, passes)
    return found


def draw(runs, folder: Path, x: str = "operators") -> list[Path]:
    """lifecycle.png, .svg, .pdf and .csv in `folder`; gives their paths."""
    import pandas as pd

    from workbench.report.figure import ENDINGS, save_figure
    from workbench.report.lifecycle import lifecycle_figure

    figure = lifecycle_figure(runs, x)
    files = [folder / f"lifecycle{ending}" for ending in ENDINGS]
    for path in files:
        save_figure(figure, path)
    table = folder / "lifecycle.csv"
    pd.concat([run.buffers.assign(schedule=run.meta["schedule"]) for run in runs]).to_csv(table, index=False)
    return [*files, table]


def _run(args, model, board, schedule: str, folder: Path, like):
    run, _ = train_once(args, model, board, schedule, folder / schedule, virtual=True, evaluate=False, like=like)
    run.save(folder / schedule)
    return run
