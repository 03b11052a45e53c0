"""Options that several verbs share, and what they come to."""

import argparse
import shlex
from importlib import import_module
from pathlib import Path

import numpy as np

from workbench import boards, files, policy, units
from workbench.boards import Board
from workbench.cli import values
from workbench.cli.output import say_note
from workbench.cli.progress import stage, steps
from workbench.data import READING, Reading
from workbench.data.normalize import KINDS
from workbench.errors import ModelError
from workbench.objective import LOSSES
from workbench.rates import LR_SCHEDULES, SEARCHED, START

# options of one command, not of the training it is about: what it writes, how long it runs
OWN = ("output", "force", "json", "steps", "epochs", "warmup", "validation", "patience", "trace", "engine")


def add_model(
    parser: argparse.ArgumentParser, optional: bool = False, metavar: str = "MODEL", or_else: str = ""
) -> None:
    which = f"{or_else}a network of `workbench models`, a .tflite or .json file, or mynet.py:net, one in Python"
    parser.add_argument("model", metavar=metavar, nargs="?" if optional else None, help=which)
    parser.add_argument(
        "--classes",
        type=values.positive,
        metavar="N",
        help="how many the network has, where it leaves that open: mcunet-5fps, …",
    )


def add_compile(parser: argparse.ArgumentParser, schedule: bool = True, single_policy: bool = True) -> None:
    if single_policy:
        parser.add_argument("--policy", default="full", metavar="P", help=f"{policy.HELP} (default full)")
    if schedule:
        parser.add_argument(
            "--schedule", default="optimized", choices=("vanilla", "reordered", "optimized"), help="default optimized"
        )
    parser.add_argument(
        "--passes", default="", metavar="A,-B", help="add pass A, leave out B: --passes=A,-B; see `workbench passes`"
    )
    parser.add_argument(
        "--input", default="whole", choices=("whole", "rows"), help="the image at once, or row by row (default whole)"
    )
    parser.add_argument("--batch", type=values.positive, default=1, metavar="N", help="samples a step (default 1)")
    parser.add_argument(
        "--accumulate", type=values.positive, default=1, metavar="N", help="batches summed a step (default 1)"
    )
    parser.add_argument("--loss", choices=LOSSES, help="default: cross-entropy for labels, mse for numbers")
    parser.add_argument("--momentum", type=values.rate, default=0.0, metavar="X", help="of SGD (default 0)")
    parser.add_argument("--weight-decay", type=values.rate, default=0.0, metavar="X", help="of SGD (default 0)")
    parser.add_argument(
        "--clip", type=values.norm, metavar="X", help="the most the norm of all gradients may be (default: any)"
    )
    parser.add_argument(
        "--rounding", default="stochastic", choices=policy.ROUNDINGS, help="of int8 updates (default stochastic)"
    )
    parser.add_argument("--no-qas", action="store_true", help="int8 updates without quantization-aware scaling")
    parser.add_argument(
        "--seed", type=values.whole, default=0, metavar="S", help="weights and order of samples (default 0)"
    )


def add_board(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--board", default=boards.DEFAULT, metavar="B", help=f"default {boards.DEFAULT}; see `workbench boards`"
    )
    parser.add_argument("--sram", metavar="SIZE", help="another SRAM limit, like 96K")


def add_training(parser: argparse.ArgumentParser, trace: str, steps: int, weights_out: bool = False) -> None:
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=values.positive, default=steps, metavar="N", help=f"default {steps}")
    length.add_argument("--epochs", type=values.positive, metavar="N", help="passes over the data set instead of steps")
    add_data(parser)
    parser.add_argument("--pretrain", metavar="D", help="first train on this data, on the host: --data adapts it")
    add_rates(parser, searched=True)
    parser.add_argument(
        "--lr-decay", type=values.rate, default=1.0, metavar="X", help="factor on both after each epoch (default 1)"
    )
    parser.add_argument(
        "--lr-schedule", choices=LR_SCHEDULES,
        help="over all steps (default: cosine with --epochs, unless --lr-decay is given; constant with --steps)",
    )  # fmt: skip
    parser.add_argument(
        "--warmup", type=values.whole, default=0, metavar="N", help="steps that raise both to --lr (default 0)"
    )
    parser.add_argument("--validation", type=values.part, metavar="X", help="share to validate on after each epoch")
    parser.add_argument(
        "--patience", type=values.positive, metavar="N", help="stop after N epochs without a better validation loss"
    )
    parser.add_argument(
        "--trace", default=trace, choices=("off", "ops", "memory"), help=f"of the first step (default {trace})"
    )
    add_engine(parser)
    parser.add_argument("--load-weights", metavar="FILE", help="start from the weights in an .npz")
    if weights_out:
        parser.add_argument("--save-weights", metavar="FILE", help="write the trained weights to an .npz")


def add_seeds(parser: argparse.ArgumentParser, what: str) -> None:
    told = f"{what} once with each of N seeds, from --seed on: mean and spread"
    parser.add_argument("--seeds", type=values.positive, metavar="N", help=told)


def add_data(parser: argparse.ArgumentParser, split: bool = True) -> None:
    """`split`: whether a part of it can be held out."""
    which = "a data set by name, FILE.npz, FILE.csv, or FOLDER/CLASS/*.png, .jpg, .wav, .csv (default: its own)"
    parser.add_argument("--data", metavar="D", help=which)
    own = parser.add_argument_group("for data of your own")
    own.add_argument("--label", metavar="A,B", help='columns or array of targets; "none": the input is its own target')
    if split:
        own.add_argument(
            "--split", type=values.share, metavar="X", help="share to train on (default 0.8 of each class)"
        )
        own.add_argument("--split-seed", type=values.whole, metavar="S", help="which samples those are (default 0)")
    own.add_argument("--normalize", choices=KINDS, help="inputs (default: unit for images, bytes and wav, else none)")
    own.add_argument("--window", type=values.positive, metavar="N", help="cut recordings into pieces of N values")
    own.add_argument("--hop", type=values.positive, metavar="M", help="a piece begins every M values (default: N)")
    own.add_argument("--resize", action="store_true", help="bring images to the size that the network takes")


def add_engine(parser: argparse.ArgumentParser) -> None:
    told = "who computes: the emulated core, its native twin on this machine, or what is quicker (default auto)"
    parser.add_argument("--engine", default="auto", choices=("emulated", "native", "auto"), help=told)


def add_rates(parser: argparse.ArgumentParser, searched: bool = False) -> None:
    kind, word = (values.rate, "") if not searched else (values.rate_or_auto, ", or auto, the best of a short sweep")
    parser.add_argument("--lr", type=kind, default=START, metavar="X", help=f"learning rate{word} (default {START})")
    parser.add_argument("--lr-bias", type=values.rate, metavar="X", help="learning rate of biases (default: --lr)")


def add_output(
    parser: argparse.ArgumentParser, what: str = "folder to write (default: under out/)", metavar: str = "DIR"
) -> None:
    parser.add_argument("-o", "--output", metavar=metavar, help=what)
    parser.add_argument("--force", action="store_true", help="overwrite what is there")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def add_x(parser: argparse.ArgumentParser) -> None:
    told = "what the lifecycle's horizontal axis counts (default operators)"
    parser.add_argument("--x", default="operators", choices=("operators", "instructions", "cycles"), help=told)


def board(args) -> Board:
    """The board with the SRAM limit that was asked for."""
    found = boards.get(args.board)
    return found.with_sram(units.parse_bytes(args.sram)) if args.sram else found


def model(args):
    """The network with the weights that were asked for."""
    from workbench import frontends

    with stage(args, f"{args.model}: loading"):
        found = frontends.load(args.model, args.batch, args.seed, args.classes)
    for note in found.notes:
        say_note(note, args)
    path = getattr(args, "load_weights", None)
    if not path:
        return found
    from workbench import session  # seconds to load: a misspelt name should not wait for it

    return session.with_weights(found, read_weights(path, found.graph), path)


def networks(args, found) -> dict:
    """The network of each seed asked for, by seed; `found` is the first one's, with its data read. None: one seed."""
    if args.seeds is None:
        return None
    from workbench.feeding import Training
    from workbench.study import seeds

    start = found if args.pretrain or args.load_weights else args.model
    how = Training(data=args.data, loss=args.loss, **reading(args))
    with stage(args, f"{args.model}: loading"):
        made = seeds.networks(start, found, seeds.seeds_of(args.seed, args.seeds), how, args.batch, args.classes)
    if args.seeds > 1 and seeds.same_weights(made):
        say_note("every seed begins with the same weights; the order of samples tells seeds apart", args)
    return made


def called(args) -> str:
    """What the network asked for is called."""
    from workbench.frontends.loading import called

    return called(args.model)


def pretrained(args, found):
    """The network after the pre-training that was asked for, if it was."""
    from workbench.pretraining import pretrain

    if not args.pretrain:
        return found
    with steps(args, f"{called(args)} before the board") as step:
        return pretrain(found, args.pretrain, adapt_to=args.samples, seed=args.seed, loss=args.loss, progress=step,
                        **reading(args))  # fmt: skip


def compiled(args, found=None, schedule: str | None = None):
    """The model (`found`, or the one asked for) compiled as asked."""
    found = found or _with_such_layers(args)
    from workbench import session

    schedule = schedule or args.schedule
    with stage(args, f"{named(args, schedule)}: compiling"):
        return session.compile(found, args.policy, schedule, optimizer(args), passes(args), objective(args, found))


def built(args, compiled, board: Board, folder=None, virtual: bool = False, **rates):
    """It as firmware, kept in `folder`, starting with these rates (see session.build)."""
    from workbench import session

    with stage(args, f"{named(args, compiled.schedule)}: building"):
        return session.build(compiled, board, folder, virtual, **rates)


def named(args, schedule: str) -> str:
    """How progress calls it: 'lenet full optimized'."""
    return f"{called(args)} {args.policy} {schedule}"


def objective(args, found):
    """What the model asked for minimizes: by the data that the verb takes, or else what the network is for."""
    if not hasattr(args, "data"):
        return found.objective(args.loss)
    from workbench.feeding import Training, objective_of

    return objective_of(found, Training(loss=args.loss, **data(args)))


def passes(args) -> str:
    """The changes of the schedule's passes that were asked for, the image by rows among them."""
    return ",".join(filter(None, (args.passes, "input-rows" if args.input == "rows" else "")))


def optimizer(args):
    return policy.Optimizer(
        args.momentum, args.weight_decay, args.accumulate, args.rounding, not args.no_qas, args.clip
    )


def training(args, evaluate: bool = True):
    """The training asked for, on the data that `with_data` has read, where it has."""
    from workbench.feeding import Training

    return Training(
        steps=None if args.epochs else args.steps, epochs=args.epochs, seed=args.seed, **data(args),
        lr=args.lr, lr_bias=args.lr_bias, lr_decay=args.lr_decay, lr_schedule=args.lr_schedule, warmup=args.warmup,
        validation=args.validation, patience=args.patience,
        trace=args.trace, evaluate=evaluate, loss=args.loss, engine=args.engine,
    )  # fmt: skip


def data(args) -> dict:
    """Training's keywords about data."""
    samples = getattr(args, "samples", None)
    return {"data": args.data, **reading(args)} if samples is None else {"data": samples}


def reading(args) -> dict:
    """How data of one's own is to be read, as far as that was asked for."""
    return {name: getattr(args, name) for name in READING if getattr(args, name, None) not in (None, False)}


def with_data(args, found, how=None):
    """The model, once the data asked for is read and fits it: `training` has it from then on. A network that is
    quantized here is so with the ranges of that data. Raises DataError.
    """
    from workbench.feeding import with_data as given_data

    calibrate = not getattr(args, "pretrain", None)
    found, how = given_data(found, training(args) if how is None else how, calibrate)
    args.samples = how.data
    return found


def check(args):
    """The model asked for; raises what is wrong with it, policy, data, batch or length: before anything is written."""
    return check_data(args, _with_such_layers(args))


def _with_such_layers(args):
    """The model asked for. Raises PolicyError where the policy asked for names layers that it has not."""
    from workbench.passes.apply_policy import apply_policy

    found = model(args)
    apply_policy(found.graph, found.policy(args.policy))
    return found


def check_data(args, found):
    """The model with its data read. Raises what is wrong with that, the batch, the length or the kind of update asked
    for, or why none can be.
    """
    from workbench.autodiff import require_applicable
    from workbench.feeding import require_samples
    from workbench.pretraining import pretraining_samples

    require_applicable(found.graph, optimizer(args))
    found = with_data(args, found)
    require_samples(found, args.accumulate, training(args))
    if args.pretrain:
        pretraining_samples(found, args.pretrain, args.samples, Reading(**reading(args)), args.loss)
    return found


def chosen(args, verb: str) -> str:
    """What was asked for otherwise than by default and `verb` takes too, as one types it: ' --batch 8 --lr 0.1'.

    Where it writes, how long and on what it runs and what it traces are its own; a rate that was searched is no rate.
    """
    searched = ("lr",) if getattr(args, "lr", None) == SEARCHED else ()
    words = asked(args, import_module(f"workbench.cli.{verb}").add_arguments, without=(*OWN, *searched))
    return "".join(f" {word}" for word in words)


def asked(args, add_arguments, without: tuple[str, ...] = ()) -> list[str]:
    """Of the options that `add_arguments` adds those that differ from default: ['--batch 8', '--passes=-in-place']."""
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser)
    words = []
    for action in parser._actions:
        value = getattr(args, action.dest, action.default)
        if not action.option_strings or action.dest in without or value in (None, action.default):
            continue
        if value is True:
            words.append(action.option_strings[-1])
        elif action.nargs is None:
            between = "=" if str(value).startswith("-") else " "  # argparse would take -in-place for an option
            words.append(f"{action.option_strings[-1]}{between}{shlex.quote(str(value))}")
    return words


def read_weights(path: str, graph) -> dict[str, np.ndarray]:
    """The arrays that an .npz holds for the parameters of `graph`. Raises ModelError where it is missing, truncated or
    holds anything else.
    """
    try:
        return files.read_arrays(path, {name: graph.types[name].elements for name in graph.parameters})
    except FileNotFoundError:
        raise ModelError(f"{path} is missing", "--save-weights writes such a file") from None
    except (OSError, ValueError) as error:
        words = getattr(error, "strerror", None) or error
        raise ModelError(
            f"{path} is not a whole .npz of weights: {words}", "--save-weights writes such a file"
        ) from None


def run_name(args, board: Board, schedule: str | None = None, label: str | None = None) -> str:
    """lenet-full-nrf52840, with what else was chosen: the folder under out/. `label` stands for the policy's name."""
    parts = [called(args), label or _policy_name(args.policy), board.name]
    parts += [schedule] if schedule and schedule != "optimized" else []
    words = [word.strip() for word in passes(args).split(",")]
    parts += [f"no_{word[1:]}" if word.startswith("-") else word for word in words if word]
    for name, plain in (("batch", 1), ("accumulate", 1), ("momentum", 0), ("weight_decay", 0)):
        parts += [f"{name}{getattr(args, name):g}"] if getattr(args, name) != plain else []
    parts += [f"clip{args.clip:g}"] if args.clip else []
    parts += [args.loss] if args.loss else []
    parts += [args.rounding] if args.rounding != "stochastic" else []
    parts += ["no_qas"] if args.no_qas else []
    parts += [f"classes{args.classes}"] if args.classes else []
    parts += [f"seeds{args.seeds}"] if getattr(args, "seeds", None) else []
    return "-".join("".join(c if c.isalnum() or c in "._-" else "_" for c in part) for part in parts)


def _policy_name(text: str) -> str:
    """What a policy is called: one in a file as the file says, any other as it is written."""
    return policy.parse_policy(text).name if text.endswith(policy.FILES) else text


def save_weights(path: Path, weights: dict[str, np.ndarray]) -> None:
    """Write an .npz under exactly this name, at once."""
    from workbench.record.folder import write_at_once

    write_at_once(path, files.packed(weights))
