"""What a training is fed: its steps, each with rates and samples. All is read and checked before anything is built.

Training ── with_data ──► Data ── samples_of ──► as the network stores them ── steps_of ──► Step, Step, …
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from itertools import islice
from typing import Any

import numpy as np

from workbench.autodiff import require_trainable
from workbench.data import READING, Data, Reading, batches, names, resolved, taken
from workbench.data.fit import unscaled
from workbench.data.normalize import NONE
from workbench.data.split import set_aside
from workbench.emulate.device import Device
from workbench.errors import DataError, ModelError, there_are
from workbench.frontends import INT8, Model, in_int8
from workbench.ir.types import TensorType, quantized
from workbench.native import host_compiler
from workbench.objective import BCE, LABELS, VALUES, Objective, as_asked, objective
from workbench.options import ENGINES, Given, Optimizer, Scheduling, require
from workbench.policy import PLAIN_SGD
from workbench.pretraining import held_out
from workbench.rates import rates_of, require_room, require_schedule, share, usual_schedule
from workbench.targets import told
from workbench.units import percent
from workbench.units import size as size_text

EMULATED, NATIVE, AUTO = ENGINES  # who runs the steps (see workbench.engine)
PATIENT = 0.1  # the share to validate on where patience needs one and none was asked for
STEPS, MOST_BYTES = 16, 1 << 28  # of random samples
CHECKED = 256  # held-out samples that tell what quantizing did


@dataclass(frozen=True)
class Training(Given, Scheduling):
    """How to train. The fields stand in the table of options; here is what they mean together.

    `epochs` overrides `steps`. `lr` "auto": a sweep finds the rate (see rate_search). `lr_bias` None: `lr`. `lr_decay`
    multiplies both after each epoch. `lr_schedule` None: see rates.usual_schedule. `warmup`: steps until the rates are
    reached (see rates).
    `validation`: the share of the training part that is validated on after each epoch and never trained on. `patience`:
    after so many epochs without a better validation loss the training stops, with the best weights (see epochs).

    `loss` None: what the data's targets suggest (see objective_of).
    `data`: the name of a data set, a file or folder, or samples in memory (see data.given). None: the network's own.
    `calibrate`: other samples, that a network quantized here is calibrated on.
    The fields of options.Given tell how it is read.
    `engine`: who runs the steps (see workbench.engine).
    """

    evaluate: bool = True  # loss and accuracy on the held-out samples, before and after

    def __post_init__(self):
        require(self)
        if self.steps is None and self.epochs is None:
            raise DataError("at least one training step is needed; got None", "give steps or epochs, 1 or more")
        schedule = usual_schedule(self.epochs, self.lr_decay) if self.lr_schedule is None else self.lr_schedule
        object.__setattr__(self, "lr_schedule", schedule)
        require_schedule(schedule, self.lr_decay)
        if self.patience is not None and self.epochs is None:
            raise DataError(
                "patience counts epochs without a better validation loss", "give --epochs, the most of them"
            )
        if self.engine == NATIVE:
            host_compiler()  # raises ToolchainError where there is none
        self.reading  # noqa: B018  raises DataError for what is wrong with it
        if self.data is not None:
            object.__setattr__(self, "data", taken(self.data))  # an iterator is read once, here, for all who use it

    @property
    def set_aside(self) -> float | None:
        """The share of the training part to validate on, if any."""
        return PATIENT if self.validation is None and self.patience is not None else self.validation

    @property
    def reading(self) -> Reading:
        """How the data is to be read."""
        return Reading(**{name: getattr(self, name) for name in READING})


def training_options(**options) -> Training:
    """Training of keywords. Raises DataError for both steps and epochs."""
    if options.get("steps") is not None and options.get("epochs") is not None:
        raise DataError("both steps and epochs are given", "give one of them")
    return Training(**options)


def asked_options(
    beside: Iterable[str], optimizer: Optimizer, options: Mapping[str, Any]
) -> tuple[Training, Optimizer]:
    """The training and the optimizer that keywords ask for; `optimizer` unless some of them are its own.

    Raises DataError for a keyword that neither has, and for the optimizer's beside another optimizer than the usual.
    `beside` names the caller's own keywords, for the message.
    """
    of_training, of_optimizer = ([each.name for each in fields(table)] for table in (Training, Optimizer))
    unknown = [name for name in options if name not in (*of_training, *of_optimizer)]
    if unknown[:1] == ["seeds"]:
        raise DataError("there is no option 'seeds'", "workbench.run_seeds and compare take it; seed is one of them")
    if unknown:
        raise DataError(f"there is no option {unknown[0]!r}",
                        there_are(unknown[0], [*beside, *of_training, *of_optimizer]))  # fmt: skip
    own = {name: value for name, value in options.items() if name in of_optimizer}
    if own and optimizer != PLAIN_SGD:
        raise DataError(f"both optimizer and {next(iter(own))} are given", "give one of them")
    training = training_options(**{name: value for name, value in options.items() if name not in own})
    return training, Optimizer(**own) if own else optimizer


@dataclass(frozen=True)
class Step:
    """What one training step is fed: learning rates, and its batches: inputs (batch, …), targets (batch, …).

    More than one batch means that gradients are accumulated: together they are one step.
    """

    lr: float
    lr_bias: float
    seed: int
    batches: list[tuple[np.ndarray, np.ndarray]]

    def run(self, device: Device, before_call: Callable[[], None] = lambda: None) -> float:
        """Run the step on this device; gives its mean loss. `before_call` comes before each call of the firmware."""
        device.set_rates(self.lr, self.lr_bias)
        device.set_seed(self.seed)
        losses = []
        for number, batch in enumerate(self.batches, 1):
            before_call()
            losses.append((device.train_step if number == len(self.batches) else device.accumulate)(*batch))
        return sum(losses) / len(losses)


def with_data(model: Model, options: Training, calibrate: bool = False) -> tuple[Model, Training]:
    """The network, and the options with their data read, checked and split: once, for all that train with them.

    `calibrate`: a network that was quantized here is quantized again, with the ranges of the user's own data. Raises
    DataError for data that this network cannot be trained on. Without data nothing changes: samples are random.
    """
    given = model.data if options.data is None else options.data
    model = calibrated(model, options)
    if given is None:
        options.reading.refuse(model.name, *options.reading.asked, why="without a data set its samples are random")
        if options.set_aside is not None:
            raise DataError(f"{model.name}: without a data set its samples are random: there is nothing to validate",
                            "give --data, or leave out --validation and --patience")  # fmt: skip
        return model, options
    own = not calibrate or (isinstance(given, str) and given in names()) or options.calibrate is not None
    unquantized = None if own else model.unquantized
    network = unquantized or model
    data = resolved(given, network.wanted, options.reading, options.loss)
    model = in_int8(unquantized, data, options.loss) if unquantized else model
    if model.unquantized and model.unquantized.origin:
        model = _with_figures(model, model.unquantized, data, _aim(model, options, data))
    as_given = options.normalize is None and data.normalize.kind == NONE
    if as_given and (note := unscaled(data.train_x, input_of(network), data.name)):
        data = replace(data, notes=tuple(dict.fromkeys([*data.notes, note])))
    read: dict[str, Any] = {**dict.fromkeys(READING[:-1]), "resize": False}
    return model, replace(options, data=data, **read)


def _with_figures(network: Model, unquantized: Model, data: Data, aim: Objective) -> Model:
    """A note on what quantizing did to an imported network: its figures on held-out samples before it, and after."""
    told = []
    some = replace(data, test_x=data.test_x[:CHECKED], test_y=None if data.test_y is None else data.test_y[:CHECKED])
    for model, kind in ((unquantized, "float32"), (network, "int8")):
        found = held_out(model, model.weights, some, aim)
        figure = f"{found.loss:.3g}" if found.accuracy is None else percent(found.accuracy)
        told.append(f"{figure} in {kind}")
    what = "accuracy" if "%" in told[0] else "loss"
    return replace(network, notes=(*network.notes, f"quantized: held-out {what} {told[0]}, {told[1]}"))


def calibrated(model: Model, options: Training) -> Model:
    """The network quantized with the ranges of the samples that `calibrate` names, if it names any."""
    if options.calibrate is None:
        return model
    if model.unquantized is None:
        raise ModelError(f"{model.name} is not quantized here: there is nothing to calibrate",
                         f"{model.argument}{INT8} is, of a float32 network")  # fmt: skip
    samples = resolved(taken(options.calibrate), model.unquantized.wanted, options.reading, options.loss)
    return in_int8(model.unquantized, samples, options.loss)


def objective_of(model: Model, options: Training) -> Objective:
    """What the training minimizes: cross-entropy of labels and mse of numbers, unless `loss` names another. Without
    data, what the network is for. Raises DataError for a loss that these targets cannot have.
    """
    return as_asked(_aim(model, options, _given(model, options)), options)


def _aim(model: Model, options: Training, samples: Data | None) -> Objective:
    """The loss and the target of a training on these samples (None: there is no data)."""
    if samples is None:
        return model.objective(options.loss)
    return objective(samples.target, options.loss or samples.usual_loss)


def require_samples(model: Model, accumulate: int, options: Training) -> Data:
    """The samples of the training. Raises DataError, before anything is built, where they are too few for a step, or
    the training too short for its warm-up.
    """
    samples = samples_of(model, options, accumulate)
    count = len(samples.train_x)
    if model.batch * accumulate > count:
        wanted = f"a batch of {model.batch} needs as many samples"
        if accumulate > 1:
            wanted = f"{accumulate} batches of {model.batch} a step need {model.batch * accumulate} samples"
        aside = f", {len(samples.validation_x)} set aside to validate on" * (len(samples.validation_x) > 0)
        raise DataError(f"{wanted}; {samples.name} has {count} to train on{aside}")
    a_step = model.batch * accumulate
    steps = step_count(samples, a_step, options)
    require_room(options.warmup, steps)
    rates_of(options, (steps - 1) // (count // a_step))
    return samples


def first_steps(model: Model, options: Training, accumulate: int, count: int) -> list[Step]:
    """The first steps of a training with these options."""
    return list(islice(steps_of(samples_of(model, options, accumulate), model.batch, accumulate, options), count))


def input_of(model: Model) -> TensorType:
    return model.graph.types[model.graph.inputs[0]]


def step_count(samples: Data, batch: int, options: Training) -> int:
    return options.steps or 0 if options.epochs is None else options.epochs * (len(samples.train_x) // batch)


def steps_of(samples: Data, batch: int, accumulate: int, options: Training) -> Iterator[Step]:
    steps = step_count(samples, batch * accumulate, options)
    for step, (epoch, chosen) in enumerate(batches(len(samples.train_x), batch * accumulate, options.seed)):
        parts = [(samples.train_x[part], samples.train_y[part]) for part in np.split(chosen, accumulate)]
        lr, lr_bias = rates_of(options, epoch)
        reached = share(options, min(step, steps - 1), steps)
        yield Step(lr * reached, lr_bias * reached, options.seed, parts)


def samples_of(model: Model, options: Training, accumulate: int = 1) -> Data:
    kind, samples = input_of(model), _given(model, options)
    if samples is None:
        aim = _aim(model, options, None)
        require_trainable(model.graph, aim)
        samples = _random(model, aim, model.batch * accumulate, options.seed)
    else:
        samples = samples if options.set_aside is None else set_aside(samples, options.set_aside)
        stored: dict[str, Any] = {
            name: quantized(getattr(samples, name), kind) for name in ("train_x", "validation_x", "test_x")
        }
        samples = replace(samples, **stored)
    aim = _aim(model, options, samples)
    if aim.loss == BCE:
        _require_probabilities(samples, told(aim, samples.train_x, samples.train_y, kind))
    return samples


def _given(model: Model, options: Training) -> Data | None:
    """The data to train on, in the network's shape, targets as the loss takes them; None: there is none."""
    samples = with_data(model, options)[1].data
    if samples is not None:
        require_trainable(model.graph, _aim(model, options, samples))
    return samples


def _require_probabilities(samples: Data, targets: np.ndarray) -> None:
    low, high = float(targets.min(initial=0)), float(targets.max(initial=0))
    if not 0 <= low <= high <= 1:
        raise DataError(f"bce takes targets from 0 to 1; {samples.name} has {low:.3g} to {high:.3g}",
                        "--loss mse takes any numbers")  # fmt: skip


def _random(model: Model, aim: Objective, a_step: int, seed: int) -> Data:
    """Samples of no data set: float32 ones in [0, 1), int8 ones over all that int8 holds, whatever it stands for.
    Targets are any classes, normal numbers or, for bce, 0 and 1.

    Enough for STEPS steps; of giant samples, for as few as memory has room for. Raises DataError where one is too much.
    """
    kind, output = input_of(model), model.graph.types[model.graph.outputs[0]]
    size = a_step * max(kind.elements, output.elements) // kind.shape[0] * 4
    if size > MOST_BYTES:
        raise DataError(f"random samples of {kind}, {a_step} a step, take {size_text(size)}; at most "
                        f"{size_text(MOST_BYTES)} are made", "a smaller batch takes less")  # fmt: skip
    count, rng = a_step * max(1, min(STEPS, MOST_BYTES // size)), np.random.default_rng(seed)
    shape = (count, *kind.shape[1:])
    x = rng.random(shape, np.float32) if kind.dtype == "float32" else rng.integers(-128, 128, shape, np.int8)
    if aim.target == LABELS:
        classes = output.shape[-1]
        labels = rng.integers(0, classes, count, dtype=np.int32)
        return Data("random", x, labels, x[:0], labels[:0], classes)
    wide = (count, *output.shape[1:]) if aim.target == VALUES else (count, 0)
    numbers = rng.integers(0, 2, wide) if aim.loss == BCE else rng.normal(size=wide)
    y = numbers.astype(np.float32)
    return Data("random", x, y, x[:0], y[:0], None, target=aim.target)
