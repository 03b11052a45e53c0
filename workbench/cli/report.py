"""Print saved runs again from their folders alone: the summary, the heaviest operators, the largest buffers."""

import json
from pathlib import Path
from typing import Any

from workbench import files
from workbench.cli import options, values
from workbench.cli.output import output_file, picture_file, say, say_json, say_more, say_note
from workbench.cli.progress import stage
from workbench.errors import RecordError, WorkbenchError, shown

HELP = "print saved runs again, without running"
LARGEST_TABLE, MOST_CELLS = 4 * files.MB, 10_000
SEEDS = "seeds.csv"  # of record.folder, which loads pandas
OF_A_SEED = ["cell", "policy", "schedule", "seed", "error", "folder"]  # a row of it
ORDER = ("vanilla", "reordered", "optimized")


def add_arguments(parser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folder of a saved run, or one that holds several")
    parser.add_argument("--top", type=values.positive, default=10, metavar="N",
                        help="operators and buffers, or functions and lines, to list (default 10)")  # fmt: skip
    parser.add_argument("--functions", action="store_true",
                        help="where a run's first step goes: functions, call tree, source lines")  # fmt: skip
    parser.add_argument("--lifecycle", metavar="FILE", help="draw the lifecycle figure again: a .png, .svg or .pdf")
    options.add_x(parser)
    parser.add_argument("--curve", metavar="FILE", help="draw a run's losses, and what its epochs came to: a .png, …")
    parser.add_argument("--peaks", metavar="FILE", help="draw the peak SRAM of all runs, by network: a .png, …")
    parser.add_argument("--published", action="store_true",
                        help="with --peaks: beside what others published of these networks")  # fmt: skip
    parser.add_argument("--perfetto", metavar="FILE", help="write a run's step for ui.perfetto.dev: a .json")
    parser.add_argument("--force", action="store_true", help="overwrite what is there")
    parser.add_argument("--json", action="store_true", help="the run's JSON object on stdout, a list for several")


def execute(args) -> int:
    from workbench.cli import ablate

    files_asked = args.lifecycle or args.curve or args.peaks or args.perfetto or args.functions
    if args.published and not args.peaks:
        raise WorkbenchError("--published stands beside the bars of --peaks", "give --peaks FILE with it")
    if len(args.runs) == 1 and not files_asked and (steps := _steps(Path(args.runs[0]))):
        say_json(ablate.as_json(steps)) if args.json else ablate.tell(steps)
        return 0
    picture = picture_file("--lifecycle", args.lifecycle, args.force)
    curve = picture_file("--curve", args.curve, args.force)
    bars = picture_file("--peaks", args.peaks, args.force)
    trace = output_file(args.perfetto, args.force) if args.perfetto else None
    contents = [loaded(Path(name)) for name in args.runs]
    runs = [run for found, _ in contents for run in found]
    of_one = ("--curve draws", curve), ("--perfetto writes", trace), ("--functions tells", args.functions)
    for option, asked in of_one:
        if asked and len(runs) > 1:
            raise WorkbenchError(f"{option} one run; these are {len(runs)}", "name the folder of one of them")
    if picture or curve or bars:
        with stage(args, "drawing"):
            _draw(runs, picture, args.x, curve)
            _draw_peaks(runs, bars, args.published)
    if trace:
        _export(runs[0], trace)
    if args.json:
        of_seeds = _over_seeds(Path(args.runs[0]), runs) if len(args.runs) == 1 else None
        of_step = _plain(runs[0]) if args.functions else {}
        say_json(of_seeds or ({**runs[0].meta, **of_step} if len(runs) == 1 else [run.meta for run in runs]))
        return 0
    say(_text(runs, args.top, args.functions).rstrip())
    for _, missing in contents:
        if missing:
            say("\n".join(["", "missing", *(f"  {told}" for told in missing)]))
    if written := [str(path) for path in (picture, curve, bars, trace) if path]:
        say_more(args, f"\nWrote {', '.join(written)}")
    return 0


def _plain(run) -> dict[str, list]:
    """The tables of `--functions` as JSON has them."""
    return {name: json.loads(table.to_json(orient="records")) for name, table in run.profiled.items()}


def _text(runs, top: int, functions: bool) -> str:
    from workbench.cli.notes import notes_of, origins_text
    from workbench.report.seeds import joined
    from workbench.report.side_by_side import comparison_text
    from workbench.report.text import report_text, seeds_text

    if functions:
        from workbench.report.profile_text import step_text

        return step_text(runs[0], top)
    if len(runs) > 1 and len(joined(runs)) == 1:
        return seeds_text(runs) + "".join(f"{'note':<10}{note}\n" for note in notes_of(runs, native=False))
    if len(runs) > 1:
        notes = "".join(f"note: {note}\n" for note in notes_of(runs))
        return "\n".join(filter(None, (comparison_text(runs), notes)))
    return report_text(runs[0], top, origins_text(runs[0].meta))


def _draw(runs, lifecycle: Path | None, x: str, curve: Path | None) -> None:
    """The pictures that were asked for; matplotlib is loaded for those alone."""
    if lifecycle:
        from workbench.report.figure import save_figure
        from workbench.report.lifecycle import lifecycle_figure

        save_figure(lifecycle_figure(runs, x), lifecycle)
    if curve:
        from workbench.report.figure import save_figure
        from workbench.report.loss_curve import loss_figure

        save_figure(loss_figure(runs[0]), curve)


def _draw_peaks(runs, bars: Path | None, published: bool) -> None:
    if bars:
        from workbench.report.figure import save_figure
        from workbench.report.peaks import peaks_figure

        save_figure(peaks_figure(runs, published), bars, text=True)


def _export(run, path: Path) -> None:
    from workbench.record.folder import write_at_once
    from workbench.report.exports import perfetto_of_run

    write_at_once(path, perfetto_of_run(run))


def loaded(folder: Path) -> tuple[list, list[str]]:
    """The runs in a folder, or the one that it is, and notes on cells without one; no writer changes it meanwhile."""
    from workbench.record import read
    from workbench.record.folder import settled, unfinished

    if folder.exists() and not folder.is_dir():
        raise RecordError(f"{folder} is no run", "name the folder that `workbench run … -o DIR` wrote")
    with settled(folder):
        found = [read(each) for each in _folders(folder)], _left_out(folder)
    if unfinished(folder) == "interrupted":
        say_note(f"a later command that writes {folder} was interrupted; this is what was there before")
    return found


def _folders(folder: Path) -> list[Path]:
    """The folder itself, or those in it that hold a run: a comparison's in its order, else vanilla first."""
    from workbench.record import together

    if (folder / "run.json").exists() or not folder.is_dir():
        return [folder]
    folders = together(folder) or [path.parent for path in sorted(folder.glob("*/run.json"))]
    if table := _list(folder):
        return _cells(table)
    if not folders and any(folder.glob("*/firmware")):
        _refuse(folder)
    return sorted(folders, key=lambda path: ORDER.index(path.name) if path.name in ORDER else len(ORDER)) or [folder]


def _refuse(folder: Path) -> None:
    raise RecordError(
        f"{folder} holds no complete run: what was begun there was interrupted, or failed",
        "`workbench compare` or `run` again; as soon as one run is complete it can be told",
    )


def _cells(path: Path) -> list[Path]:
    """The folders of the runs in a list. Where no cell left a run, raises RecordError with the cells' errors."""
    folders = [path.parent / name for name in _table(path).get("folder", []) if name]
    if not folders:
        errors = "".join(f"\n  {told}" for told in _left_out(path.parent))
        raise RecordError(f"no cell of the comparison in {path.parent} left a run{':' * bool(errors)}{errors}",
                          "`workbench compare` again")  # fmt: skip
    return folders


def _left_out(folder: Path) -> list[str]:
    """The cells of a comparison that left no run, each with why: 'full optimized: interrupted'."""
    table = _list(folder)
    if table is None or (folder / "run.json").exists():
        return []
    columns = ["policy", "schedule", "seed", "error", "folder"]
    rows = _table(table).reindex(columns=columns, fill_value="")
    lacking, seeds = rows[rows.folder == ""].itertuples(index=False), table.name == SEEDS
    return [f"{row.policy} {row.schedule}{f' seed {row.seed}' * seeds}: {row.error.partition(chr(10))[0]}"
            for row in lacking]  # fmt: skip


def _list(folder: Path) -> Path | None:
    """The table of the runs in a folder: of all seeds, or else of a comparison's cells."""
    return next((folder / name for name in (SEEDS, "compare.csv") if (folder / name).exists()), None)


def _over_seeds(folder: Path, runs) -> dict | list[dict] | None:
    """As `run --seeds` and `compare --seeds` tell them with --json; None where there are none."""
    from workbench.report.seeds import as_object

    if not (folder / SEEDS).exists() or (folder / "run.json").exists():
        return None
    cells: dict[str, tuple[Any, list[Any], list[dict]]] = {}
    left = iter(runs)
    for row in _table(folder / SEEDS).reindex(columns=OF_A_SEED, fill_value="").itertuples(index=False):
        _, own, missing = cells.setdefault(row.cell, (row, [], []))
        if row.folder:
            own.append(next(left))
        else:
            missing.append({"seed": int(row.seed) if row.seed.isdecimal() else None, "error": row.error})
    objects = [as_object(row.policy, row.schedule, own, runs, missing) for row, own, missing in cells.values()]
    return objects if (folder / "compare.csv").exists() else objects[0]


def _steps(folder: Path) -> list:
    """The steps of an ablation, if the folder holds one. Raises RecordError where its table or a run is not whole."""
    from workbench.cli.ablate import TABLE
    from workbench.record import read, together
    from workbench.record.folder import settled
    from workbench.report.ablation import Step

    with settled(folder):
        if not (folder / TABLE).exists():
            return []
        together(folder)
        rows = _table(folder / TABLE).reindex(columns=["change", "folder"], fill_value="").itertuples(index=False)
        return [Step(row.change, read(folder / row.folder)) for row in rows]


def _table(path: Path):
    """A table of texts. Raises RecordError where it is none, or names a folder elsewhere."""
    import pandas as pd

    try:
        if not (rows := files.read_rows(path, LARGEST_TABLE, MOST_CELLS)):
            raise ValueError("it is empty")
        head, *rows = rows
        if not head:
            raise ValueError("it is empty")
        table = pd.DataFrame(rows, columns=head, dtype=str)
    except (OSError, ValueError) as error:
        raise RecordError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    for name in table.get("folder", []):
        if name and (Path(name).is_absolute() or ".." in Path(name).parts):
            raise RecordError(f"{path}: {shown(name)} is no folder in it", "`workbench compare` again")
    return table
