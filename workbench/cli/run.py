"""Train a network on the emulated board: compile, build, run some steps, measure the first one, tell what it took."""

import shlex
from pathlib import Path

from workbench.cli import options
from workbench.cli.output import output_file, output_folder, say, say_json, say_more
from workbench.cli.progress import steps

HELP = "train a network on the emulated board and measure a step"


def add_arguments(parser) -> None:
    options.add_model(parser)
    options.add_compile(parser)
    options.add_board(parser)
    options.add_training(parser, trace="ops", steps=50, weights_out=True)
    options.add_output(parser)


def execute(args) -> int:
    board = options.board(args)
    model = options.check(args)
    folder = output_folder(args.output, options.run_name(args, board, args.schedule), args.force)
    weights_file = output_file(args.save_weights, args.force) if args.save_weights else None
    run, weights = train_once(args, options.pretrained(args, model), board, args.schedule, folder)
    if weights_file:
        run.meta["artifacts"]["weights"] = str(weights_file)
    run.save(folder)
    if weights_file:
        options.save_weights(weights_file, weights)
    return tell(args, run, folder)


def train_once(args, model, board, schedule: str, folder: Path, virtual: bool = False, evaluate: bool = True):
    """One run with its firmware in `folder`/firmware; gives it and the trained weights."""
    from workbench import session

    compiled = options.compiled(args, model, schedule)
    built = options.built(args, compiled, board, folder / "firmware", virtual)
    with steps(args, options.named(args, schedule)) as step:
        run, weights = session.train(built, options.training(args, evaluate), step)
    run.meta["artifacts"] |= {"run": str(folder), "firmware": str(folder / "firmware"), "elf": str(built.image.elf)}
    return run, weights


def tell(args, run, folder: Path) -> int:
    """The summary, or the JSON; exit code 3 where the trace caught an access that the plan did not promise."""
    from workbench.cli.notes import epoch_note, origins_text, training_note
    from workbench.report.text import run_text, violations_text

    if args.json:
        say_json(run.meta)
    else:
        say(f"{run_text(run)}{origins_text(run.meta)}".rstrip())
        if len(run.violations):
            say(violations_text(run).rstrip())
        for note in () if args.quiet else filter(None, (training_note(run.meta, args.lr), epoch_note(run.meta))):
            say(f"note      {note}")
        weights = run.meta["artifacts"].get("weights")
        files = [f"{folder}/", weights] if weights else [f"{folder}/"]
        again = f"{shlex.quote(args.model)}{options.chosen(args, 'lifecycle')}"
        say_more(args, f"Wrote {', '.join(files)}     next: ./workbench.sh lifecycle {again}")
    return 3 if len(run.violations) else 0
