"""Options that several verbs share: how they are typed, and the values that they stand for."""

import argparse
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench import boards, files, policy
from workbench.boards import Board
from workbench.cli import values
from workbench.cli.output import say_note
from workbench.cli.progress import stage, steps
from workbench.data import READING, Reading
from workbench.errors import ModelError
from workbench.objective import Objective, as_asked
from workbench.options import (
    EVERY_SCHEDULE,
    OPTIONS,
    RATE,
    SEARCHED,
    Minimizing,
    Optimizer,
    Option,
    Scheduling,
    folder_parts,
    passes_for,
    rows_of,
)
from workbench.plain import as_part

if TYPE_CHECKING:  # seconds to load
    from workbench.artifacts import Built, Compiled
    from workbench.feeding import Training
    from workbench.frontends import Model

# options of a single command: where it writes, how long it runs. Another verb for the same training leaves them out
OWN = ("output", "force", "json", "steps", "epochs", "warmup", "validation", "patience", "trace", "engine", "jobs")


def add_model(
    parser: argparse.ArgumentParser, optional: bool = False, metavar: str = "MODEL", or_else: str = ""
) -> None:
    which = f"{or_else}a network of `workbench models`, a .tflite, .onnx, .pt2 or .json file, or mynet.py:net in Python"
    parser.add_argument("model", metavar=metavar, nargs="?" if optional else None, help=which)
    add(parser, "network")


def add(parser, *groups: str, **defaults) -> None:
    """Add the options of these groups, in the order of the table. `defaults`: the verb's own, by name."""
    for row in OPTIONS.values():
        if row.group in groups:
            add_row(parser, replace(row, default=defaults.get(row.name, row.default)))


def add_row(parser, row: Option) -> None:
    """Add one option of the table."""
    help_text = row.help.format(default=row.default)
    if isinstance(row.default, bool):
        parser.add_argument(row.flag, dest=row.name, action=f"store_{str(not row.default).lower()}", help=help_text)
    elif row.kind and row.kind.choices:
        parser.add_argument(row.flag, default=row.default, choices=row.kind.choices, help=help_text)
    else:
        kind = values.of(row.kind)
        parser.add_argument(row.flag, type=kind, default=row.default, metavar=row.metavar, help=help_text)


def add_compile(parser: argparse.ArgumentParser, schedule: bool = True, single_policy: bool = True) -> None:
    if single_policy:
        parser.add_argument("--policy", default="full", metavar="P", help=f"{policy.HELP} (default full)")
    if schedule:
        parser.add_argument("--schedule", default="optimized", choices=EVERY_SCHEDULE, help="default optimized")
    parser.add_argument(
        "--passes", default="", metavar="A,-B", help="add pass A, leave out B: --passes=A,-B; see `workbench passes`"
    )
    add(parser, "compile", "update", "seed")


def add_board(parser: argparse.ArgumentParser, builds: bool = True) -> None:
    """`builds`: whether the verb makes firmware."""
    parser.add_argument(
        "--board",
        default=boards.DEFAULT,
        metavar="B",
        help=f"a board, or a file like my.toml (default {boards.DEFAULT}); see `workbench boards`",
    )
    parser.add_argument("--sram", metavar="SIZE", help="another SRAM limit, like 96K")
    if builds:
        add(parser, "board")


def add_training(parser: argparse.ArgumentParser, trace: str, steps: int, weights_out: bool = False) -> None:
    add(parser.add_mutually_exclusive_group(), "length", steps=steps)
    add_data(parser)
    parser.add_argument("--pretrain", metavar="D", help="first train on this data, on the host: --data adapts it")
    add(parser, "rates", "training", "engine", trace=trace)
    parser.add_argument("--load-weights", metavar="FILE", help="start from the weights in an .npz, or a module's .pt")
    if weights_out:
        help_text = "write the trained weights to an .npz, or to a .pt, .pt2, .onnx or .tflite, as the network came"
        parser.add_argument("--save-weights", metavar="FILE", help=help_text)


def add_seeds(parser: argparse.ArgumentParser, what: str) -> None:
    help_text = f"{what} once with each of N seeds, from --seed on: mean and spread"
    parser.add_argument("--seeds", type=values.positive, metavar="N", help=help_text)


def add_data(parser: argparse.ArgumentParser, split: bool = True) -> None:
    """`split`: whether the verb holds a part of the data out."""
    add(parser, "data")
    add(parser.add_argument_group("for data of your own"), "reading", *["split"] * split)


def add_rate(parser: argparse.ArgumentParser, what: str = "learning rate") -> None:
    """Add --lr for a verb that cannot search the rate."""
    add_row(parser, replace(OPTIONS["lr"], kind=RATE, help=f"{what} (default {{default}})"))


def add_output(
    parser: argparse.ArgumentParser, what: str = "folder to write (default: under out/)", metavar: str = "DIR"
) -> None:
    parser.add_argument("-o", "--output", metavar=metavar, help=what)
    parser.add_argument("--force", action="store_true", help="overwrite what is there")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def add_x(parser: argparse.ArgumentParser) -> None:
    help_text = "what the lifecycle's horizontal axis counts (default operators)"
    parser.add_argument("--x", default="operators", choices=("operators", "instructions", "cycles"), help=help_text)


def board(args) -> Board:
    """The board with the SRAM limit that was asked for."""
    return boards.chosen(args.board, args.sram or None)


def model(args) -> "Model":
    """The network with the weights that were asked for."""
    from workbench import frontends

    with stage(args, f"{args.model}: loading"):
        network = frontends.load(args.model, args.batch, args.seed, args.classes, args.shape)
    for note in network.notes:
        say_note(note, args)
    path = getattr(args, "load_weights", None)
    if not path:
        return network
    from workbench import session  # seconds to load: a misspelt name should not wait for it

    return session.with_weights(network, read_weights(path, network), path)


def networks(args, network: "Model") -> "Mapping[int, Model] | None":
    """The network of each seed, by seed; `network` is that of the first seed, with its data read. None: no --seeds."""
    if args.seeds is None:
        return None
    from workbench.feeding import Training
    from workbench.study import seeds

    start = network if args.pretrain or args.load_weights else args.model
    training = Training(data=args.data, **of(args, Minimizing), **reading(args))
    with stage(args, f"{args.model}: loading"):
        numbers = seeds.seeds_of(args.seed, args.seeds)
        by_seed = seeds.networks(start, network, numbers, training, args.batch, args.classes, args.shape)
    if args.seeds > 1 and seeds.same_weights(by_seed):
        say_note("every seed begins with the same weights; the order of samples tells seeds apart", args)
    return by_seed


def called(args) -> str:
    """The name of the network that was asked for."""
    from workbench.frontends.loading import called

    return called(args.model)


def pretrained(args, network: "Model") -> "Model":
    """The network after its pre-training; as it is without --pretrain."""
    from workbench.pretraining import pretrain

    if not args.pretrain:
        return network
    with steps(args, f"{called(args)} before the board") as step:
        return pretrain(network, args.pretrain, adapt_to=args.samples, seed=args.seed, loss=args.loss, progress=step,
                        **reading(args))  # fmt: skip


def compiled(args, network: "Model | None" = None, schedule: str | None = None) -> "Compiled":
    """The training step of `network` (None: of the one asked for), compiled as asked."""
    network = network or _with_known_layers(args)
    from workbench import session

    schedule = schedule or args.schedule
    with stage(args, f"{named(args, schedule)}: compiling"):
        return session.compile(network, args.policy, schedule, optimizer(args), passes(args), objective(args, network))


def built(
    args, compiled: "Compiled", board: Board, folder: str | Path | None = None, virtual: bool = False, **rates
) -> "Built":
    """The firmware of a compiled step, kept in `folder`; it starts with these rates (see session.build)."""
    from workbench import session

    with stage(args, f"{named(args, compiled.schedule)}: building"):
        return session.build(compiled, board, folder, virtual, **rates, kernels=args.kernels)


def named(args, schedule: str) -> str:
    """What progress calls a step: 'lenet full optimized'."""
    return f"{called(args)} {args.policy} {schedule}"


def objective(args, network: "Model") -> Objective:
    """What the training minimizes: the data decide; without data, the network does."""
    asked_for = Minimizing(**of(args, Minimizing))
    if not hasattr(args, "data"):
        return as_asked(network.objective(asked_for.loss), asked_for)
    from workbench.feeding import Training, objective_of

    return objective_of(network, Training(**vars(asked_for), **data(args)))


def passes(args) -> str:
    """The changes of the schedule's passes; --input rows is one of them."""
    return passes_for(args.passes, args.input)


def of(args, table: type) -> dict[str, Any]:
    """The typed values of a dataclass's options, by name, without those that the verb does not take."""
    return {row.name: getattr(args, row.name) for row in rows_of(table) if hasattr(args, row.name)}


def optimizer(args) -> Optimizer:
    return Optimizer(**of(args, Optimizer))


def training(args, evaluate: bool = True) -> "Training":
    """The training asked for. Its data are the samples that `with_data` has read; before that, their name."""
    from workbench.feeding import Training

    length = {"steps": None} if args.epochs else {}
    return Training(**{**of(args, Scheduling), **length, **data(args)}, evaluate=evaluate)


def data(args) -> dict[str, Any]:
    """Training's keywords about data."""
    samples = getattr(args, "samples", None)
    return {"data": args.data, **reading(args)} if samples is None else {"data": samples}


def reading(args) -> dict[str, Any]:
    """The options on how data is read that differ from their defaults."""
    return {name: getattr(args, name) for name in READING if getattr(args, name, None) not in (None, False)}


def with_data(args, network: "Model", asked: "Training | None" = None) -> "Model":
    """The network for its data, which is read, checked, and kept for `training`. Raises DataError.

    A network that is quantized here takes its ranges from that data. `asked`: the training (None: as typed).
    """
    from workbench.feeding import with_data as given_data

    calibrate = not getattr(args, "pretrain", None)
    network, with_samples = given_data(network, training(args) if asked is None else asked, calibrate)
    args.samples = with_samples.data
    return network


def check(args) -> "Model":
    """The network asked for, with its data. Raises what is wrong with network, policy, data, batch or length, before
    anything is written.
    """
    return check_data(args, _with_known_layers(args))


def _with_known_layers(args) -> "Model":
    """The network asked for. Raises PolicyError where the policy names layers that the network lacks."""
    from workbench.passes.apply_policy import apply_policy

    network = model(args)
    apply_policy(network.graph, network.policy(args.policy))
    return network


def check_data(args, network: "Model") -> "Model":
    """The network with its data read. Raises what is wrong with the data, the batch, the length, the pre-training or
    the kind of update.
    """
    from workbench.autodiff import require_applicable
    from workbench.feeding import require_samples
    from workbench.pretraining import pretraining_samples

    require_applicable(network.graph, optimizer(args))
    network = with_data(args, network)
    require_samples(network, args.accumulate, training(args))
    if args.pretrain:
        pretraining_samples(network, args.pretrain, args.samples, Reading(**reading(args)), args.loss)
    return network


def chosen(args, verb: str) -> str:
    """The options other than by default that `verb` takes too, as they are typed: ' --batch 8 --lr 0.1'.

    Left out are those in OWN, and --lr auto: the rate that was searched is not its value.
    """
    searched = ("lr",) if getattr(args, "lr", None) == SEARCHED else ()
    words = asked(args, import_module(f"workbench.cli.{verb}").add_arguments, without=(*OWN, *searched))
    return "".join(f" {word}" for word in words)


def asked(args, add_arguments: Callable[[argparse.ArgumentParser], None], without: tuple[str, ...] = ()) -> list[str]:
    """The options of `add_arguments` that differ from their defaults: ['--batch 8', '--passes=-in-place']."""
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser)
    words = []
    for action in parser._actions:
        value = getattr(args, action.dest, action.default)
        if not action.option_strings or action.dest in without or value in (None, action.default):
            continue
        if isinstance(value, bool):
            words.append(action.option_strings[-1])
        elif action.nargs is None:
            between = "=" if str(value).startswith("-") else " "  # argparse would take -in-place for an option
            words.append(f"{action.option_strings[-1]}{between}{shlex.quote(str(value))}")
    return words


def read_weights(path: str, network: "Model") -> dict[str, np.ndarray]:
    """The arrays that an .npz, or a state dict, holds for the parameters of a network. Raises ModelError where it is
    missing, truncated or holds anything else.
    """
    graph = network.graph
    try:
        if Path(path).suffix.lower() in (".pt", ".pth"):
            from workbench.frontends import saving

            return saving.read_state(path, network)
        return files.read_arrays(path, {name: graph.types[name].elements for name in graph.parameters})
    except FileNotFoundError:
        raise ModelError(f"{path} is missing", "--save-weights writes such a file") from None
    except (OSError, ValueError) as error:
        words = getattr(error, "strerror", None) or error
        kind = Path(path).suffix.lower() if Path(path).suffix.lower() in (".pt", ".pth") else ".npz"
        raise ModelError(
            f"{path} is not a whole {kind} of weights: {words}", "--save-weights writes such a file"
        ) from None


def run_name(args, board: Board, schedule: str | None = None, label: str | None = None) -> str:
    """The folder under out/: 'lenet-full-nrf52840', and each choice that is not the default. `label` replaces the
    policy's name.
    """
    parts = [called(args), label or as_part(_policy_name(args.policy)), board.name]
    parts += [schedule] if schedule and schedule != "optimized" else []
    words = [word.strip() for word in passes(args).split(",")]
    parts += [f"no_{word[1:]}" if word.startswith("-") else word for word in words if word]
    parts += folder_parts(args)
    parts += [f"seeds{args.seeds}"] if getattr(args, "seeds", None) else []
    return "-".join("".join(c if c.isalnum() or c in "._-" else "_" for c in part) for part in parts)


def _policy_name(text: str) -> str:
    """The policy's name: a file states its own, any other text is its name."""
    return policy.parse_policy(text).name if policy.is_file(text) else text


def weights_writer(args, network: "Model") -> "Callable[[Mapping[str, np.ndarray]], bytes]":
    """What makes the content of --save-weights. Raises ModelError, before the training, for what cannot be written."""
    from workbench.frontends import saving
    from workbench.passes.apply_policy import apply_policy

    origin = network.origin
    marked = apply_policy(network.graph, network.policy(args.policy))
    updated = {name for name in marked.parameters if marked.types[name].needs_grad or args.pretrain}
    updated.update(origin.changed(network.weights) if origin else ())
    return saving.writer(
        args.save_weights, called(args), origin, [name for name in marked.parameters if name in updated]
    )


def save_weights(path: Path, weights: Mapping[str, np.ndarray], write: Callable[..., bytes] = files.packed) -> None:
    """Write them under exactly this name, at once; `write`: as what (see weights_writer)."""
    from workbench.record.folder import write_at_once

    write_at_once(path, write(weights))
