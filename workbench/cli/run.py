"""Train a network on the emulated board: compile, build, run some steps, measure the first one, tell what it took."""

import shlex
from pathlib import Path

from workbench.cli import options, values
from workbench.cli.output import (
    output_file,
    output_folder,
    say,
    say_error,
    say_json,
    say_more,
    stopping_after_a_step,
)
from workbench.cli.progress import steps
from workbench.cli.seeds import run_seeds
from workbench.errors import WorkbenchError
from workbench.rates import SEARCHED

INTERRUPTED = 130
HELP = "train a network on the emulated board and measure a step"


def add_arguments(parser) -> None:
    options.add_model(parser)
    options.add_compile(parser)
    options.add_board(parser)
    options.add_training(parser, trace="ops", steps=50, weights_out=True)
    options.add_seeds(parser, "train")
    parser.add_argument("--jobs", type=values.positive, metavar="N", help="seeds at a time (default: one a CPU)")
    options.add_output(parser)


def execute(args) -> int:
    if args.seeds is not None:
        return run_seeds(args)
    if args.jobs is not None:
        raise WorkbenchError("--jobs is for several seeds: one run takes one process", "--seeds N, or leave it out")
    board = options.board(args)
    model = options.check(args)
    write = options.weights_writer(args, model) if args.save_weights else None
    folder = output_folder(args.output, options.run_name(args, board, args.schedule), args.force)
    weights_file = output_file(args.save_weights, args.force) if args.save_weights else None
    from workbench.record.folder import filling

    with stopping_after_a_step() as interrupted, filling(folder) as new:
        model = options.pretrained(args, model)
        run, weights = train_once(args, model, board, args.schedule, new, interrupted=interrupted)
        refusal = _refusal(args, weights)
        if weights_file and write and not refusal:
            options.save_weights(weights_file, weights, write)
            run.meta["artifacts"]["weights"] = str(weights_file)
        run.save(new)
    code = tell(args, run, folder)
    if refusal:
        say_error(refusal)
    if run.meta["interrupted"]:
        say_error(f"interrupted after step {run.meta['steps']} of {run.meta['steps_asked']}")
    return INTERRUPTED if interrupted() else code or int(bool(refusal))


def _refusal(args, weights) -> str:
    """Why the weights are not written: --load-weights would refuse them. '' where they are, or nobody wants them."""
    from workbench.report.learning.weights import no_numbers_note
    from workbench.report.training_notes import SMALLER_RATE

    note = no_numbers_note(weights) if args.save_weights and not args.force else None
    told = f"{args.save_weights} is not written: {note}\n  help: {SMALLER_RATE}; --force writes them all the same"
    return told if note else ""


def train_once(
    args, model, board, schedule: str, folder: Path, virtual=False, evaluate=True, interrupted=None, like=None
):
    """One run with its firmware in a `folder` that is being filled; gives it and the trained weights.

    `interrupted` and `like`: see session.train.
    """
    from workbench import jit

    jit.require()  # rather than when all is built
    jit.leave_out_blas()
    from workbench import session
    from workbench.record.folder import place_of

    compiled = options.compiled(args, model, schedule)
    built = options.built(args, compiled, board, folder / "firmware", virtual)
    with steps(args, options.named(args, schedule) + " (--lr auto: its rates first)" * (args.lr == SEARCHED)) as step:
        run, weights = session.train(built, options.training(args, evaluate), step, interrupted, like)
    place = place_of(folder)
    run.meta["artifacts"] |= {"run": str(place), "firmware": str(place / "firmware"), "elf": str(built.image.elf)}
    return run, weights


def tell(args, run, folder: Path) -> int:
    """The summary, or the JSON; exit code 3 where the trace caught an access that the plan did not promise."""
    from workbench.cli.notes import origins_text
    from workbench.report.text import notes_text, run_text, violations_text

    if args.json:
        say_json(run.meta)
    else:
        say(f"{run_text(run)}{origins_text(run.meta)}".rstrip())
        if len(run.violations):
            say(violations_text(run).rstrip())
        if notes := notes_text(run.meta).rstrip():
            say_more(args, notes)
        weights = run.meta["artifacts"].get("weights")
        files = [f"{folder}/", weights] if weights else [f"{folder}/"]
        say_more(args, f"Wrote {', '.join(files)}     next: ./workbench.sh {_next(args, run.meta, folder)}")
    return 3 if len(run.violations) else 0


def _next(args, meta: dict, folder: Path) -> str:
    """The command to type next: one that avoids what this run's notes complain of."""
    from workbench.data import names
    from workbench.data.fit import SCALE
    from workbench.rates import SEARCHED
    from workbench.report.training_notes import ANOTHER_RATE, advice

    model, place = shlex.quote(args.model), shlex.quote(str(folder))
    wanted, searched = advice(meta["notes"]), args.lr == SEARCHED
    beside = ("output", "force", "json", "save_weights")
    if wanted and any(SCALE in note for note in meta["notes"]):
        words = options.asked(args, add_arguments, without=(*beside, "normalize"))
        return f"run {model} {' '.join([*words, '--normalize standard'])}"
    if wanted == ANOTHER_RATE and searched:
        return f"report {place}"
    if not wanted:
        of_one_s_own = args.data and args.data not in names()
        return f"predict {place}" if of_one_s_own else f"lifecycle {model}{options.chosen(args, 'lifecycle')}"
    words = options.asked(args, add_arguments, without=(*beside, "lr", "lr_bias"))
    in_other_units = not args.qas and not searched  # see report/learning/rates
    unknown = wanted == ANOTHER_RATE or in_other_units
    rates = [f"--lr {SEARCHED}"] if unknown else _rates(args, meta, wanted)
    return f"run {model} {' '.join([*words, *rates])}"


def _rates(args, meta: dict, wanted: str) -> list[str]:
    """['--lr 0.2', …]: ten times the run's rates, at least the usual one; or a tenth of them, at most the usual one."""
    from workbench.rates import START
    from workbench.report.training_notes import LARGER_RATE

    larger, usual = wanted == LARGER_RATE, meta.get("qas", True)  # without QAS a rate is in a unit of its own
    least, most = (START, float("inf")) if larger else (0.0, START)
    rates = {
        name: 10 * rate if larger else rate / 10
        for name, rate in (("--lr", meta["lr"]), ("--lr-bias", args.lr_bias))
        if rate is not None
    }
    return [f"{name} {min(max(rate, least), most) if usual else rate:g}" for name, rate in rates.items()]
