"""Find the schedules with which a network's kernels run best on a board: measured on its emulated core."""

import json
import shlex
from pathlib import Path

from workbench.cli import options, values
from workbench.cli.output import OUT, names, output_folder, say, say_error, say_json, say_more
from workbench.cli.progress import counted
from workbench.errors import RecordError
from workbench.files import MB, read_json
from workbench.study.tuning_files import JOURNAL, OBJECTIVES, TRIALS
from workbench.study.tuning_files import names as file_names
from workbench.units import size

HELP = "measure kernels' schedules on the emulated core, and keep the best"
MADE_BY = "the same command without --report makes it"


def add_arguments(parser) -> None:
    options.add_model(parser)
    options.add_compile(parser)
    options.add_board(parser, builds=False)
    parser.add_argument(
        "--objective",
        default="cycles",
        choices=OBJECTIVES,
        help="default cycles: the fewest in the SRAM that the rule takes, or --sram; sram: the least",
    )
    parser.add_argument("--trials", type=values.positive, default=TRIALS, metavar="N",
                        help=f"schedules a kernel, at most (default {TRIALS})")  # fmt: skip
    parser.add_argument("--layers", metavar="A,B", help="tune these layers' kernels: names, or globs like block1.*")
    parser.add_argument("--jobs", type=values.positive, metavar="N",
                        help="firmwares at a time (default 1: gcc has every CPU already)")  # fmt: skip
    parser.add_argument("--report", action="store_true", help="tell what the last search found; measure nothing")
    parser.add_argument("--top", type=values.positive, default=10, metavar="N", help="kernels to list (default 10)")
    options.add_output(parser)


def execute(args) -> int:
    board = options.board(args)
    layers = names(args.layers, "--layers") if args.layers is not None else []
    folder = _folder(args, board)
    if args.report:
        return _tell(args, _record(folder / _files(args)[1]), folder)
    compiled = options.compiled(args)
    from workbench.study.tune import tuned_step

    try:
        with counted(args, f"{options.named(args, args.schedule)}: measuring", "schedules") as progress:
            record = tuned_step(compiled, board, folder, args.objective, args.trials, layers, args.seed, args.jobs or 1,
                                progress, args.sram or "")  # fmt: skip
    except KeyboardInterrupt:
        say_error(f"interrupted; the same command goes on with what is measured, in {folder}/{JOURNAL}")
        return 130
    return _tell(args, record, folder)


def _files(args) -> tuple[str, str, str]:
    return file_names(args.objective, args.sram or "")


def _folder(args, board) -> Path:
    """Where the search is: the one chosen, or out/NAME-tuning. One that holds a search is gone on with."""
    default = options.run_name(args, board, args.schedule) + "-tuning"
    begun = args.output is not None and (Path(args.output) / JOURNAL).is_file()
    if args.report:
        return Path(args.output) if args.output else OUT / default
    return output_folder(args.output, default, args.force or begun)


def _record(path: Path) -> dict:
    try:
        record = read_json(path, 16 * MB)
        if not (isinstance(record, dict) and {"whole", "kernels", "trades", "metric"} <= set(record)):
            raise ValueError("it is no record of a tuning")
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error.strerror}", MADE_BY) from None
    except ValueError as error:
        told = "it is no JSON" if isinstance(error, json.JSONDecodeError) else str(error)
        raise RecordError(f"{path}: {told}", MADE_BY) from None
    return record


def _tell(args, record: dict, folder: Path) -> int:
    """The tables, or the JSON; exit code 3 where no schedules bring the step into the SRAM that was asked for."""
    from workbench.report.tuning import tuning_text

    kernels, told_in, _ = _files(args)
    try:
        text = tuning_text(record, args.top).rstrip()
    except (KeyError, TypeError, IndexError, AttributeError, ValueError, ArithmeticError):
        raise RecordError(f"{folder / told_in} is damaged", MADE_BY) from None
    say_json(record) if args.json else say(text)
    if args.sram and not record.get("fits", True):
        say_error(
            f"no schedules fit {args.sram}: the least that was found needs {size(record['whole']['tuned']['sram'])}"
        )
        return 3
    if not args.json:
        run = (
            f"run {shlex.quote(args.model)}{options.chosen(args, 'run')} --kernels {shlex.quote(str(folder / kernels))}"
        )
        say_more(args, f"\n{'Found in' if args.report else 'Wrote'} {folder}/     next: ./workbench.sh {run}")
    return 0
