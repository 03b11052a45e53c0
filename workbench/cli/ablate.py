"""`compare MODEL --ablate`: the waterfall from vanilla to optimized, pass by pass, and what each pass is worth."""

import argparse
from pathlib import Path

from workbench.cli import options
from workbench.cli.output import output_folder, say, say_error, say_json, say_more, stopping
from workbench.errors import WorkbenchError
from workbench.rates import SEARCHED

# What an ablation decides itself.
OWN = (
    "schedules", "passes", "steps", "epochs", "lr_decay", "lr_schedule", "warmup", "validation", "patience", "pretrain",
    "trace", "engine", "input", "seeds",
)  # fmt: skip
TABLE = "ablation.csv"


def ablate(args, policies: list[str]) -> int:
    """Run the cells of one policy, a step each, and print both tables; gives the exit code of the worst cell."""
    from workbench.cli.compare import cells_told
    from workbench.record.folder import filling
    from workbench.study.ablate import ablation_cells, steps_of
    from workbench.study.compare import check_names, compare_cells

    _require_its_own(args, policies)
    board, model = options.board(args), options.model(args)
    wanted = ablation_cells(policies[0])
    check_names(model, wanted)
    label = f"ablate-{model.policy(policies[0]).name}"
    folder = output_folder(args.output, options.run_name(args, board, label=label), args.force)
    model = options.with_data(args, model)
    how = vars(options.training(args)) | {"steps": 1, "epochs": None, "evaluate": False}
    with filling(folder) as new:
        with stopping():
            comparison = compare_cells(
                model, wanted, board=board, optimizer=options.optimizer(args), jobs=args.jobs, folder=new,
                kernels=args.kernels,
                **cells_told(args, len(wanted)), **how,
            )  # fmt: skip
        if comparison.interrupted and not comparison.runs:
            raise KeyboardInterrupt  # there is nothing to tell or to keep
        steps = steps_of(comparison)
        folders = [o.cell.folder for o in comparison.outcomes if o.run is not None]
        files = [folder / path.name for path in _write(steps, folders, new)] if steps else []
    if args.json:
        say_json(as_json(steps))
    elif steps:
        tell(steps)
    for outcome in comparison.failed:
        say_error(f"{outcome.cell}: {outcome.error}")
    if comparison.interrupted:
        say_error(f"interrupted before {len(comparison.interrupted)} of {len(wanted)} runs were there")
    if files and not args.json:
        say_more(args, f"\nWrote {', '.join(map(str, files))}\nnext: ./workbench.sh report {folder}")
    return comparison.exit_code


def tell(steps) -> None:
    from workbench.report.ablation import ablation_text

    say(ablation_text(steps).rstrip())


def as_json(steps) -> dict:
    from workbench.report.ablation import ablation_rows

    meta = steps[0].run.meta if steps else {"model": None, "policy": None}
    added, off = ([step for step in steps if step.is_off is out] for out in (False, True))
    return {key: meta[key] for key in ("model", "policy")} | {
        "waterfall": ablation_rows(added), "without": ablation_rows(off),
    }  # fmt: skip


def _require_its_own(args, policies: list[str]) -> None:
    if len(policies) != 1:
        raise WorkbenchError("--ablate takes one policy", "such as --policies full")
    from workbench.cli import compare

    parser = argparse.ArgumentParser(add_help=False)
    compare.add_arguments(parser)
    given = [f"--{name.replace('_', '-')}" for name in OWN if getattr(args, name) != parser.get_default(name)]
    given += [f"--lr {SEARCHED}"] * (args.lr == SEARCHED)
    if given:
        names = ", ".join(given)
        raise WorkbenchError(f"--ablate measures one step with each of its own passes; it takes no {names}",
                             "leave that out")  # fmt: skip


def _write(steps, folders: list[str], folder: Path) -> list[Path]:
    """ablation.csv, .png, .svg and .pdf in `folder`; gives their paths."""
    import pandas as pd

    from workbench.report.ablation import ablation_rows
    from workbench.report.figure import ENDINGS, save_figure
    from workbench.report.waterfall import waterfall_figure

    table = pd.DataFrame(ablation_rows(steps))
    table.assign(passes=table.passes.map(" ".join), folder=folders).to_csv(folder / TABLE, index=False)
    added = [step for step in steps if not step.is_off]
    pictures = [folder / f"ablation{ending}" for ending in ENDINGS] if added else []
    if pictures:
        figure = waterfall_figure(added)
        for path in pictures:
            save_figure(figure, path)
    return [folder / TABLE, *pictures]
