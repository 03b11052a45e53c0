"""Draw which buffer lived when and where: vanilla beside reordered, measured in one training step each."""

from pathlib import Path

from workbench.cli import options
from workbench.cli.output import output_folder, say, say_json, say_more
from workbench.cli.run import train_once
from workbench.errors import WorkbenchError

HELP = "draw buffer lifecycles, vanilla beside reordered"


def add_arguments(parser) -> None:
    options.add_model(parser)
    options.add_compile(parser, schedule=False)
    parser.add_argument("--schedules", default="vanilla,reordered", metavar="A,B", help="default vanilla,reordered")
    options.add_board(parser)
    options.add_training(parser, trace="memory", steps=1)
    options.add_output(parser)


def execute(args) -> int:
    board, wanted = options.board(args), schedules(args.schedules)
    model = options.check(args)
    folder = output_folder(args.output, f"{options.run_name(args, board)}-lifecycle", args.force)
    model = options.pretrained(args, model)
    runs = [_run(args, model, board, schedule, folder) for schedule in wanted]
    files = draw(runs, folder)
    if args.json:
        say_json([run.meta for run in runs])
    else:
        from workbench.report.text import comparison_text

        say(comparison_text(runs).rstrip())
        say_more(args, f"Wrote {', '.join(map(str, files))}")
    return 3 if any(len(run.violations) for run in runs) else 0


def schedules(text: str) -> list[str]:
    """The schedules named in `a,b`, each once. Raises WorkbenchError for one that there is not."""
    from workbench.passes.pipeline import SCHEDULES

    names = list(dict.fromkeys(text.split(",")))
    for name in names:
        if name not in SCHEDULES:
            raise WorkbenchError(f"no schedule is called {name!r}", f"there are {', '.join(SCHEDULES)}")
    return names


def draw(runs, folder: Path) -> list[Path]:
    """lifecycle.png, .svg and .csv in `folder`; gives their paths."""
    import pandas as pd

    from workbench.report.lifecycle import lifecycle_figure, save_figure

    folder.mkdir(parents=True, exist_ok=True)
    figure = lifecycle_figure(runs)
    files = [folder / "lifecycle.png", folder / "lifecycle.svg", folder / "lifecycle.csv"]
    for path in files[:2]:
        save_figure(figure, path)
    pd.concat([run.buffers.assign(schedule=run.meta["schedule"]) for run in runs]).to_csv(files[2], index=False)
    return files


def _run(args, model, board, schedule: str, folder: Path):
    run, _ = train_once(args, model, board, schedule, folder / schedule, virtual=True, evaluate=False)
    run.save(folder / schedule)
    return run
