"""The main job in a minute: digits learned on an emulated microcontroller, then where its memory went."""

import argparse

import numpy as np

from workbench.cli import lifecycle, options, run
from workbench.cli.output import OUT, say, say_json, say_more
from workbench.cli.progress import stage
from workbench.errors import InternalError
from workbench.units import percent

HELP = "train lenet on real digits, then draw its memory: vanilla, reordered, optimized"
AS_RUN = "lenet --epochs 5 --lr-decay 0.6 --trace memory"  # as if `run` had been asked so


def add_arguments(parser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def execute(args) -> int:
    from workbench.record.folder import filling
    from workbench.report.text import comparison_text, notes_text, run_text

    args = run_arguments(args)
    board, model = options.board(args), options.model(args)
    folder = OUT / "demo"
    with filling(folder) as new:
        trained, weights = run.train_once(args, model, board, "optimized", new / "trained")
        args.epochs, args.steps = None, 1
        three = {
            schedule: run.train_once(args, model, board, schedule, new / schedule, evaluate=False)
            for schedule in ("vanilla", "reordered", "optimized")
        }
        _require_equal(*(after for _, after in three.values()))
        runs = [each for each, _ in three.values()]
        for each, name in ((trained, "trained"), *zip(runs, three, strict=True)):
            each.save(new / name)
        options.save_weights(new / "weights.npz", weights)
        with stage(args, "drawing"):
            files = [folder / path.name for path in (*lifecycle.draw(runs, new), new / "weights.npz")]
    if args.json:
        say_json([each.meta for each in (trained, *runs)])
    else:
        accuracy = trained.meta["accuracy"]
        say(f"{run_text(trained)}{notes_text(trained.meta)}".rstrip())
        say()
        say(
            "Where one training step's memory goes. Vanilla runs all updates last; reordered runs each as soon as it is"
        )
        say("safe; optimized applies each gradient as it is computed, and writes results over what dies in them. The")
        say("weights after the step are the same, to the bit:")
        say()
        say(comparison_text(runs).rstrip())
        say()
        say(f"Held-out digits: {percent(accuracy['before'])} before, {percent(accuracy['after'])} after training.")
        say_more(args, f"Wrote {', '.join(map(str, files))}")
        say_more(args, "next: ./workbench.sh run mlp --epochs 2     or: ./workbench.sh show conv-relu --stage backward")
    return 3 if any(len(each.violations) for each in (trained, *runs)) else 0


def run_arguments(args: argparse.Namespace) -> argparse.Namespace:
    """The arguments of `run` for AS_RUN, with the demo's own options."""
    parser = argparse.ArgumentParser()
    run.add_arguments(parser)
    return argparse.Namespace(**vars(parser.parse_args(AS_RUN.split())) | vars(args))


def _require_equal(vanilla: dict, *others: dict) -> None:
    different = {
        name for other in others for name, values in vanilla.items() if not np.array_equal(values, other[name])
    }
    if different:
        raise InternalError(f"the schedules trained {', '.join(sorted(different))} differently")
