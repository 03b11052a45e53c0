"""The main job in a minute: digits learned on an emulated microcontroller, then where its memory went."""

from workbench import boards
from workbench.cli import lifecycle, options, run
from workbench.cli.output import OUT, say, say_json

HELP = "train lenet on real digits, then draw vanilla beside reordered"
MODEL, EPOCHS, RATE, DECAY = "lenet", 5, 0.02, 0.6


def add_arguments(parser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def execute(args) -> int:
    from workbench.report.text import comparison_text, run_text

    args.model, args.policy, args.batch, args.seed, args.data = MODEL, "full", 1, 0, None
    args.lr, args.lr_bias, args.lr_decay, args.trace, args.load_weights = RATE, None, DECAY, "memory", None
    args.steps, args.epochs = 1, None
    args.momentum, args.weight_decay, args.accumulate = 0.0, 0.0, 1
    board = boards.get(boards.DEFAULT)
    folder = OUT / "demo"
    vanilla, _ = run.train_once(args, board, "vanilla", folder / "vanilla")
    args.epochs = EPOCHS
    reordered, weights = run.train_once(args, board, "reordered", folder / "reordered")
    for each in (vanilla, reordered):
        each.save(folder / each.meta["schedule"])
    options.save_weights(folder / "weights.npz", weights)
    files = [*lifecycle.draw([vanilla, reordered], folder), folder / "weights.npz"]
    if args.json:
        say_json([vanilla.meta, reordered.meta])
        return 0
    accuracy = reordered.meta["accuracy"]
    say(run_text(reordered).rstrip())
    say()
    say("Vanilla runs all updates last; reordered runs each as soon as it is safe (same weights, to the bit):")
    say()
    say(comparison_text([vanilla, reordered]).rstrip())
    say()
    say(f"Held-out digits: {100 * accuracy['before']:.1f} % before, {100 * accuracy['after']:.1f} % after training.")
    say(f"Wrote {', '.join(map(str, files))}")
    say("next: ./workbench.sh run mlp --epochs 2     or: ./workbench.sh show conv-relu --stage backward")
    return 3 if any(len(each.violations) for each in (vanilla, reordered)) else 0
