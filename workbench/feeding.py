"""What a training is fed: how long, at which rates, with which samples; read and checked before anything is built.

Training ── with_data ──► Data ── samples_of ──► as the network stores them ── steps_of ──► Step, Step, …
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from itertools import islice
from numbers import Integral

import numpy as np

from workbench.autodiff import require_trainable
from workbench.data import READING, Data, Reading, Samples, batches, names, resolved, taken
from workbench.data.fit import unscaled
from workbench.data.normalize import NONE
from workbench.data.split import set_aside
from workbench.emulate.device import Device
from workbench.errors import DataError, there_are
from workbench.frontends import Model, in_int8
from workbench.ir.types import TensorType, quantized
from workbench.native import host_compiler
from workbench.objective import BCE, LABELS, VALUES, Objective, objective, require_loss
from workbench.policy import Optimizer, is_number, is_rate
from workbench.rates import SEARCHED, START, rates_of, require_room, require_schedule, share, usual_schedule
from workbench.targets import told
from workbench.trace.tracer import LEVELS
from workbench.units import size as size_text

EMULATED, NATIVE, AUTO = ENGINES = ("emulated", "native", "auto")  # who runs the steps (see workbench.engine)
PATIENT = 0.1  # the share to validate on where patience needs one and none was asked for
STEPS, MOST_BYTES = 16, 1 << 28  # of random samples
LARGEST = 2**53  # from here on not every reader of JSON keeps whole numbers


@dataclass(frozen=True)
class Training:
    """How to train. `lr_bias` None means `lr`; `lr_decay` is a factor an epoch on both; `epochs` overrides `steps`.
    `lr` "auto" is found by a sweep (see rate_search).
    `lr_schedule` is constant or cosine (None: see rates.usual_schedule), `warmup` the steps before which the rates are
    not reached (see rates).
    `validation`: the share of the training part that is validated on after each epoch and never trained on; `patience`:
    after so many epochs without a better validation loss the training stops, with the best weights (see epochs).

    `loss`: cross-entropy, mse or bce (None: what the data's targets suggest, see objective_of).
    `data` is the name of a data set, a file or folder, or samples in memory (see data.given); None: the network's own.
    How it is read, the fields from `label` on tell (see data.Reading).
    `engine`: who runs the steps, emulated, native or auto (see workbench.engine).
    """

    steps: int | None = 50
    epochs: int | None = None
    lr: float | str = START
    lr_bias: float | None = None
    lr_decay: float = 1.0
    lr_schedule: str | None = None
    warmup: int = 0
    validation: float | None = None
    patience: int | None = None
    seed: int = 0
    data: str | Data | Samples | None = None  # and whatever taken makes one of
    trace: str = "ops"
    evaluate: bool = True  # loss and accuracy on the held-out samples, before and after
    loss: str | None = None
    label: str | None = None
    split: float | None = None
    split_seed: int | None = None
    normalize: str | None = None
    window: int | None = None
    hop: int | None = None
    resize: bool = False
    engine: str = AUTO

    def __post_init__(self):
        left_open = {"lr": isinstance(self.lr, str) and self.lr == SEARCHED, "lr_bias": self.lr_bias is None}
        for name in ("lr", "lr_bias", "lr_decay"):
            value = getattr(self, name)
            if not is_rate(value) and not left_open.get(name):
                raise DataError(f"{name} is {value!r}, not a number of 0 or more that float32 can hold")
        length = self.steps if self.epochs is None else self.epochs
        if not is_number(length, Integral) or length < 1:
            raise DataError(f"at least one training step is needed; got {length!r}", "give steps or epochs, 1 or more")
        for name in ("seed", "warmup"):
            value = getattr(self, name)
            if not is_number(value, Integral) or not 0 <= value < LARGEST:
                raise DataError(f"{name} is {value!r}, not a whole number of 0 or more, below 2⁵³")
        schedule = usual_schedule(self.epochs, self.lr_decay) if self.lr_schedule is None else self.lr_schedule
        object.__setattr__(self, "lr_schedule", schedule)
        require_schedule(self.lr_schedule, self.lr_decay)
        if self.validation is not None and not (is_number(self.validation) and 0 < self.validation < 1):
            raise DataError(f"validation is {self.validation!r}, not a share of the training part", "such as 0.1")
        if self.patience is not None and not (is_number(self.patience, Integral) and self.patience >= 1):
            raise DataError(f"patience is {self.patience!r}, not a number of epochs", "1 or more, such as 3")
        if self.patience is not None and self.epochs is None:
            raise DataError(
                "patience counts epochs without a better validation loss", "give --epochs, the most of them"
            )
        if self.loss is not None:
            require_loss(self.loss)
        if self.trace not in LEVELS:
            raise DataError(f"no trace level is called {self.trace!r}", there_are(self.trace, LEVELS))
        if self.engine not in ENGINES:
            raise DataError(f"no engine is called {self.engine!r}", there_are(self.engine, ENGINES))
        if self.engine == NATIVE:
            host_compiler()  # raises ToolchainError where there is none
        self.reading  # noqa: B018  raises DataError for what is none
        if self.data is not None:
            object.__setattr__(self, "data", taken(self.data))  # what comes once is read here, for all who use it

    @property
    def set_aside(self) -> float | None:
        """The share of the training part to validate on, if any."""
        return PATIENT if self.validation is None and self.patience is not None else self.validation

    @property
    def reading(self) -> Reading:
        """How the data is to be read."""
        return Reading(**{name: getattr(self, name) for name in READING})


def training_options(beside: Iterable[str] = (), /, **options) -> Training:
    """Training of keywords. Raises DataError for one it does not have, and for both steps and epochs.

    `beside` names the caller's own keywords, for the message.
    """
    names = [field.name for field in fields(Training)]
    unknown = [name for name in options if name not in names]
    if unknown:
        known = [*beside, *names]
        of_optimizer = unknown[0] in (field.name for field in fields(Optimizer))
        hint = f"it is the optimizer's: optimizer=workbench.policy.Optimizer({unknown[0]}=…)"
        if unknown[0] == "seeds":
            raise DataError(
                "there is no option 'seeds'", "workbench.run_seeds and compare take it; seed is one of them"
            )
        raise DataError(f"there is no option {unknown[0]!r}", hint if of_optimizer else there_are(unknown[0], known))
    if options.get("steps") is not None and options.get("epochs") is not None:
        raise DataError("both steps and epochs are given", "give one of them")
    return Training(**options)


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
        """Its mean loss, on this device; `before_call` hears of each call that is about to begin."""
        device.set_rates(self.lr, self.lr_bias)
        device.set_seed(self.seed)
        losses = []
        for number, batch in enumerate(self.batches, 1):
            before_call()
            losses.append((device.train_step if number == len(self.batches) else device.accumulate)(*batch))
        return sum(losses) / len(losses)


def with_data(model: Model, options: Training, calibrate: bool = False) -> tuple[Model, Training]:
    """The options with the data that is trained on in them: read, checked and split once, for all who train so.

    `calibrate`: a network that was quantized here is quantized anew, with the ranges of data of the user's own. Raises
    DataError for what this network cannot be trained on. Without any data nothing changes: samples are random.
    """
    given = model.data if options.data is None else options.data
    if given is None:
        options.reading.refuse(model.name, *options.reading.asked, why="without a data set its samples are random")
        if options.set_aside is not None:
            raise DataError(f"{model.name}: without a data set its samples are random: there is nothing to validate",
                            "give --data, or leave out --validation and --patience")  # fmt: skip
        return model, options
    anew = calibrate and model.unquantized is not None and not (isinstance(given, str) and given in names())
    network = model.unquantized if anew else model
    found = resolved(given, network.wanted, options.reading, options.loss)
    model = in_int8(model.unquantized, found, options.loss) if anew else model
    as_given = options.normalize is None and found.normalize.kind == NONE
    if as_given and (note := unscaled(found.train_x, input_of(network), found.name)):
        found = replace(found, notes=tuple(dict.fromkeys([*found.notes, note])))
    return model, replace(options, data=found, **dict.fromkeys(READING[:-1]), resize=False)


def objective_of(model: Model, options: Training) -> Objective:
    """What such a training minimizes: cross-entropy of labels and mse of numbers, unless `loss` says another; without
    data what the network is for. Raises DataError for a loss that these targets cannot have.
    """
    samples = _given(model, options)
    return (
        model.objective(options.loss)
        if samples is None
        else objective(samples.target, options.loss or samples.usual_loss)
    )


def require_samples(model: Model, accumulate: int, options: Training) -> Data:
    """The samples of such a training. Raises DataError, before anything is built, for what cannot be trained so."""
    samples = samples_of(model, options, accumulate)
    there = len(samples.train_x)
    if model.batch * accumulate > there:
        wanted = f"a batch of {model.batch} needs as many samples"
        if accumulate > 1:
            wanted = f"{accumulate} batches of {model.batch} a step need {model.batch * accumulate} samples"
        aside = f", {len(samples.validation_x)} set aside to validate on" * (len(samples.validation_x) > 0)
        raise DataError(f"{wanted}; {samples.name} has {there} to train on{aside}")
    a_step = model.batch * accumulate
    steps = step_count(samples, a_step, options)
    require_room(options.warmup, steps)
    rates_of(options, (steps - 1) // (there // a_step))
    return samples


def first_steps(model: Model, options: Training, accumulate: int, count: int) -> list[Step]:
    """What the first steps of a run with these options are fed."""
    return list(islice(steps_of(samples_of(model, options, accumulate), model.batch, accumulate, options), count))


def input_of(model: Model) -> TensorType:
    return model.graph.types[model.graph.inputs[0]]


def step_count(samples: Data, batch: int, options: Training) -> int:
    return options.steps if options.epochs is None else options.epochs * (len(samples.train_x) // batch)


def steps_of(samples: Data, batch: int, accumulate: int, options: Training) -> Iterator[Step]:
    steps = step_count(samples, batch * accumulate, options)
    for step, (epoch, chosen) in enumerate(batches(len(samples.train_x), batch * accumulate, options.seed)):
        parts = [(samples.train_x[part], samples.train_y[part]) for part in np.split(chosen, accumulate)]
        rates = (rate * share(options, min(step, steps - 1), steps) for rate in rates_of(options, epoch))
        yield Step(*rates, options.seed, parts)


def samples_of(model: Model, options: Training, accumulate: int = 1) -> Data:
    kind, samples = input_of(model), _given(model, options)
    if samples is None:
        require_trainable(model.graph, model.objective(options.loss))
        samples = _random(model, model.objective(options.loss), model.batch * accumulate, options.seed)
    else:
        samples = samples if options.set_aside is None else set_aside(samples, options.set_aside)
        stored = {name: quantized(getattr(samples, name), kind) for name in ("train_x", "validation_x", "test_x")}
        samples = replace(samples, **stored)
    aim = objective(samples.target, options.loss or samples.usual_loss)
    if aim.loss == BCE:
        _require_probabilities(samples, told(aim, samples.train_x, samples.train_y, kind))
    return samples


def _given(model: Model, options: Training) -> Data | None:
    """The data to train on, in the network's shape, targets as the loss takes them; None: there is none."""
    samples = with_data(model, options)[1].data
    if samples is not None:
        require_trainable(model.graph, objective(samples.target, options.loss or samples.usual_loss))
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
        y = rng.integers(0, classes, count, dtype=np.int32)
        return Data("random", x, y, x[:0], y[:0], classes)
    wide = (count, *output.shape[1:]) if aim.target == VALUES else (count, 0)
    y = rng.integers(0, 2, wide) if aim.loss == BCE else rng.normal(size=wide)
    y = y.astype(np.float32)
    return Data("random", x, y, x[:0], y[:0], None, target=aim.target)
