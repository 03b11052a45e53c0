"""`run MODEL --seeds N`: the same training with each of several seeds, in parallel processes; mean and spread."""

from pathlib import Path

from workbench.cli import options
from workbench.cli.output import output_folder, say, say_error, say_json, say_more, stopping
from workbench.cli.progress import stage
from workbench.errors import WorkbenchError


def run_seeds(args) -> int:
    """Train every seed, report, and keep each run in seed-S/; gives the exit code of the worst."""
    from workbench.cli.compare import cells_told
    from workbench.record.folder import filling
    from workbench.study.compare import Cell, compare_cells

    if args.save_weights:
        raise WorkbenchError("--save-weights is for one run; each seed keeps its own: seed-S/weights.npz in the folder",
                             "leave it out")  # fmt: skip
    board, model = options.board(args), options.check(args)
    folder = output_folder(args.output, options.run_name(args, board, args.schedule), args.force)
    model = options.pretrained(args, model)
    models, cell = options.networks(args, model), Cell(args.policy, args.schedule, options.passes(args))
    with filling(folder) as new:
        with stopping():
            comparison = compare_cells(
                model, [cell], board=board, optimizer=options.optimizer(args), jobs=args.jobs, folder=new,
                kernels=args.kernels, lone=True,
                models=models, **cells_told(args, args.seeds), **vars(options.training(args)),
            )  # fmt: skip
        if not comparison.runs:
            raise _failure(comparison)  # an earlier run stays
        with stage(args, "drawing"):
            _draw(comparison.runs, new)
    if args.json:
        (told,) = comparison.over_seeds()
        say_json(told)
    else:
        _tell(args, comparison.runs, folder)
    _tell_missing(comparison)
    return comparison.exit_code


def _failure(comparison) -> BaseException:
    """The error to raise where no seed left a run."""
    if not comparison.failed:
        return KeyboardInterrupt()
    error = WorkbenchError("\nerror: ".join(_errors(comparison)))
    error.exit_code = comparison.exit_code
    return error


def _errors(comparison) -> list[str]:
    """Each error once, with its seeds unless it is the error of all."""
    seeds: dict[str, list[str]] = {}
    for outcome in comparison.failed:
        seeds.setdefault(outcome.error, []).append(str(outcome.cell.seed))
    everywhere = len(seeds) == 1 and len(comparison.failed) == len(comparison.outcomes)
    return [text if everywhere else f"seed {', '.join(having)}: {text}" for text, having in seeds.items()]


def _tell(args, runs, folder: Path) -> None:
    from workbench.cli.notes import notes_of
    from workbench.report.text import seeds_text, violations_text

    say(seeds_text(runs).rstrip())
    broken = next((run for run in runs if len(run.violations)), None)
    if broken is not None:
        say(f"seed {broken.meta['seed']}:\n{violations_text(broken)}".rstrip())
    for note in notes_of(runs, native=False):
        say_more(args, f"{'note':<10}{note}")
    say_more(args, f"Wrote {folder}/, a folder a seed, seeds.csv and seeds.png in it")
    say_more(args, f"next: ./workbench.sh report {folder}")


def _tell_missing(comparison) -> None:
    for text in _errors(comparison) if comparison.failed else ():
        say_error(text)
    if comparison.interrupted:
        say_error(f"interrupted before seed {', '.join(str(each.cell.seed) for each in comparison.interrupted)}")


def _draw(runs, folder: Path) -> None:
    from workbench.report.figure import ENDINGS, save_figure
    from workbench.report.seeds_figure import seeds_figure

    figure = seeds_figure(runs)
    for ending in ENDINGS:
        save_figure(figure, folder / f"seeds{ending}")
