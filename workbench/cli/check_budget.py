"""Hold the SRAM, flash, stack, instructions and cycles of a run, or of a profile, against a baseline or limits; exit 3
where they are over, with a table for the pull request."""

from pathlib import Path

from workbench.cli.output import say, say_json
from workbench.cli.report import loaded
from workbench.errors import RecordError

HELP = "hold a run or a profile against a baseline, or limits"
FIGURES = {
    "sram": "96K",
    "flash": "256K",
    "stack": "2K",
    "instructions": "1.5M",
    "cycles": "2M",
}  # those of report.budget


def add_arguments(parser) -> None:
    parser.add_argument("run", metavar="RUN", help="folder of a run, a comparison or a profile")
    parser.add_argument("--baseline", metavar="BASE", help="folder of what it is held against")
    for figure, such in FIGURES.items():
        parser.add_argument(f"--max-{figure}", metavar="LIMIT", help=f"{such}, or over the baseline +2%% or +0")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def execute(args) -> int:
    from workbench.report.budget import budget, parse_limit
    from workbench.report.budget_text import as_object, markdown, verdict_text

    given = {figure: getattr(args, f"max_{figure}") for figure in FIGURES}
    limits = {figure: parse_limit(text, figure) for figure, text in given.items() if text is not None}
    baselines = [] if args.baseline is None else _subjects(Path(args.baseline))
    outcome = budget(_subjects(Path(args.run)), baselines, limits)
    if args.json:
        say_json({"run": args.run, "baseline": args.baseline, **as_object(outcome)})
    else:
        say(f"{markdown(outcome)}\n\n{verdict_text(outcome)}")
    return 0 if outcome.kept else 3


def _subjects(folder: Path) -> list:
    """The profile in a folder, or its runs. Raises RecordError where a cell of a comparison left none."""
    from workbench.record import load_profile
    from workbench.record.folder import PROFILE, RUN, settled

    with settled(folder):
        is_profile = (folder / PROFILE).is_file() and not (folder / RUN).exists()
    if is_profile:
        return [load_profile(folder)]
    runs, missing = loaded(folder)
    if missing:
        raise RecordError(f"{folder} lacks a run: {missing[0]}", "`workbench compare` again, or name one run's folder")
    return runs
