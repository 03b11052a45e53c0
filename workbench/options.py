"""The table of options: a field is one option, and what it says drives all that knows the option.

    momentum: float = option(0.0, FRACTION, "X", "of SGD (default {default:g})", "update", FOLDER | HEADING | …)
         │
         ├─ Python          Optimizer(momentum=0.9), run(…, momentum=0.9), compare(…, momentum=0.9), and their checks
         ├─ command line    --momentum X, its help, its check                       cli/options.py
         ├─ folder          out/lenet-full-nrf52840-momentum0.9/                    folder_parts
         ├─ run.json        "momentum": 0.9, and the kind that a reader requires    recorded, JSON_KINDS
         └─ reports         'momentum 0.9' in the heading, a column of the tables   told, COLUMNS

A new option is a field here, a line in record/FORMATS.md, and code where it has its effect. Nothing else names it.
"""

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from enum import Flag, auto
from inspect import Parameter, signature
from math import inf
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeVar, get_args

from workbench.baseline import BASELINES
from workbench.errors import DataError, PolicyError, WorkbenchError, shown, there_are

LOSSES = ("cross-entropy", "mse", "bce")
AUTO_BIASES, _ = BIAS_STORAGES = ("auto", "int32")
ROUNDINGS = ("stochastic", "nearest", "truncate")
LR_SCHEDULES = ("constant", "cosine")
NORMALIZATIONS = ("none", "unit", "standard")
LEVELS = ("off", "ops", "memory")  # of a trace
ENGINES = ("emulated", "native", "auto")  # who runs the steps
WHOLE_INPUT, ROWS = INPUTS = ("whole", "rows")  # how a network takes an image
LOOPS = {"naive": "naive loops, sizes as literals", "naive-shapes": "naive loops, shapes at run time"}  # as kernels
SCHEDULES = ("vanilla", "reordered", "optimized")
EVERY_SCHEDULE = (*BASELINES, *SCHEDULES)  # from the most conventional on
BY_ROWS = ("optimized",)  # the only schedule that can take an image so
SEARCHED, START = "auto", 0.02  # a learning rate that a sweep is to find; what stands for it until then
FLOAT32_MAX = (2 - 2.0**-23) * 2.0**127
LARGEST = 2**53  # from here on not every reader of JSON keeps whole numbers


def is_number(value, kind: type = Real) -> bool:
    """Whether it is one number of this kind: True and False are none."""
    return isinstance(value, kind) and not isinstance(value, bool)


def is_rate(value) -> bool:
    """Whether it is a number of 0 or more that float32 can hold: 1e39 would become infinite, 1e-60 zero."""
    return is_number(value) and (value == 0 or 2.0**-149 <= value <= FLOAT32_MAX)


# --------------------------------------------------------------------------- what a value may be


@dataclass(frozen=True)
class Kind:
    """What the values of an option are: `json` as run.json keeps them, `words` in a message, the numbers `within`.

    `choices`: the texts there are, each of them a `words`. `instead`: a text that may stand for the number.
    """

    json: str
    words: str
    within: Callable[[Any], bool] = lambda value: True
    choices: tuple[str, ...] = ()
    instead: str | None = None

    def missed(self, value) -> str | None:
        """What this value is not: 'a rate: a number of 0 or more, such as 0.02'; None where it is one."""
        if self.instead is not None and isinstance(value, str) and value == self.instead:
            return None
        if self.choices:
            return None if isinstance(value, str) and value in self.choices else self.words
        if self.json == "truth value":
            return None if isinstance(value, bool) else self.words
        if not is_number(value, Integral if self.json == "whole number" else Real) or not self.within(value):
            return self.words
        if self.json == "number" and not is_rate(value):
            return f"{self.words.partition(':')[0]} that float32 can hold"
        return None

    def plain(self, value):
        """The value as JSON keeps it: a number of numpy's is one of Python's."""
        of_json = {"number": float, "whole number": int, "truth value": bool}.get(self.json)
        return value if of_json is None or value is None or isinstance(value, str) else of_json(value)


def one_of(words: str, choices: tuple[str, ...]) -> Kind:
    return Kind("text", words, choices=choices)


POSITIVE = Kind("whole number", "a positive whole number", lambda value: 0 < value < LARGEST)
WHOLE = Kind("whole number", "a whole number of 0 or more, below 2⁵³", lambda value: 0 <= value < LARGEST)
PATIENCE = Kind("whole number", "a number of epochs: 1 or more, such as 3", lambda value: 0 < value < LARGEST)
RATE_WORDS = "a rate: a number of 0 or more, such as 0.02"
RATE = Kind("number", RATE_WORDS, lambda value: 0 <= value < inf)
RATE_OR_AUTO = Kind("number", RATE_WORDS, lambda value: 0 <= value < inf, instead=SEARCHED)
FRACTION = Kind("number", "a fraction: a number of 0 or more, below 1", lambda value: 0 <= value < 1)
NORM = Kind("number", "a norm of gradients: a number above 0, such as 1", lambda value: 0 < value < inf)
SPLIT = Kind("number", "a share to train on: above 0, up to 1, such as 0.8", lambda value: 0 < value <= 1)
VALIDATION = Kind("number", "a share of the training part: above 0, below 1, such as 0.1", lambda value: 0 < value < 1)
TRUTH = Kind("truth value", "True or False")


# --------------------------------------------------------------------------- one option


class In(Flag):
    """Where an option shows besides the command line and Python."""

    FOLDER = auto()  # a run's folder name, unless it is the default
    HEADING = auto()  # a report's heading, unless it is the default
    JSON = auto()  # a key of run.json
    COLUMN = auto()  # a column of comparisons
    INTEGERS = auto()  # nowhere, if no int8 parameter is updated


FOLDER, HEADING, JSON, COLUMN, INTEGERS = In
EVERYWHERE, NOWHERE = FOLDER | HEADING | JSON | COLUMN, In(0)


@dataclass(frozen=True)
class Option:
    """One row of the table. `group`: the options that a verb takes together; `kind` None: checked where it is read.

    `told`: its words in headings, where not its name and value; `usual`: a value that headings leave out beside the
    default. `before`: listed before another option, where Python's order of parameters differs.
    """

    name: str
    default: Any
    kind: Kind | None
    metavar: str | None
    help: str
    group: str
    shown: In = NOWHERE
    told: str = ""
    usual: Any = None
    before: str | None = None
    optional: bool = False

    @property
    def flag(self) -> str:
        """'--weight-decay'; '--no-qas' for what is on by default."""
        return f"--{'no-' * (self.default is True)}{self.name.replace('_', '-')}"

    def require(self, value, error: type[WorkbenchError] = DataError) -> None:
        """Raise `error` that says what the value is and what it should be."""
        if self.kind is None or (value is None and self.optional):
            return
        missed = self.kind.missed(value)
        if missed and self.kind.choices:
            raise error(f"no {missed} is called {shown(value)}", there_are(value, self.kind.choices))
        if missed:
            raise error(f"{self.name} is {shown(value)}, not {missed}")

    def in_folder(self, value) -> str:
        """'momentum0.9', 'nearest', 'no_qas', 'int32_biases'."""
        if isinstance(value, bool):
            return self.flag.removeprefix("--").replace("-", "_")
        if self.metavar == "FILE":
            stem = Path(value).stem
            return stem if stem.endswith(self.name) else f"{stem}_{self.name}"
        if isinstance(value, str):
            return self.told.format(value).replace(" ", "_") if self.told else value
        return f"{self.name}{value:g}"

    def in_heading(self, value) -> str:
        """'weight decay 0.1'."""
        return self.told.format(value) if self.told else f"{self.name.replace('_', ' ')} {value:g}"


def option(
    default, kind: Kind | None, metavar: str | None, help: str, group: str, shown: In = NOWHERE, **row
) -> Any:  # fmt: skip
    """A field of a dataclass that is a row of the table (see Option)."""
    row |= {"kind": kind, "metavar": metavar, "help": help, "group": group, "shown": shown}
    return field(default=default, metadata={"option": row})


def rows_of(table) -> tuple[Option, ...]:
    """The options among the fields of a dataclass, in their order."""
    return tuple(
        Option(each.name, each.default, optional=type(None) in get_args(each.type), **each.metadata["option"])
        for each in fields(table)
        if "option" in each.metadata
    )


def require(values, error: type[WorkbenchError] = DataError) -> None:
    """Raise `error` for the first option of a dataclass that holds no such value."""
    for row in rows_of(values):
        row.require(getattr(values, row.name), error)


# --------------------------------------------------------------------------- the table

WAY = one_of("way to take the image", INPUTS)
KERNELS_HELP = (
    "kernels' schedules, by `workbench tune`; rule: untuned ones; naive, naive-shapes: textbook loops to compare "
    "with, sizes as literals or at run time (default: those that ship)"
)
OPEN_CLASSES = "how many the network has, where it leaves that open: mcunet-5fps, …"
OPEN_SHAPE = "of a sample, where an .onnx file leaves it open: 1x28x28"
BIAS_STORAGE = one_of("storage of biases", BIAS_STORAGES)
BIAS_STORAGE_HELP = "trained int8 layers' biases: as 16-bit changes where these suffice, or 32 bits (default {default})"
ROUNDING = one_of("rounding", ROUNDINGS)
LOSS = one_of("loss", LOSSES)
SCHEDULE = one_of("schedule of the learning rate", LR_SCHEDULES)
SCHEDULE_HELP = "over all steps (default: cosine with --epochs, unless --lr-decay is given; constant with --steps)"
CALIBRATE_HELP = "what a network of -int8 is calibrated on (default: --data)"
DATA_HELP = "a data set by name, FILE.npz, FILE.csv, or FOLDER/CLASS/*.png, .jpg, .wav, .csv (default: its own)"
LEVEL = one_of("trace level", LEVELS)
ENGINE = one_of("engine", ENGINES)
ENGINE_HELP = "who computes: the emulated core, its native twin on this machine, or what is quicker (default {default})"
NORMALIZATION = one_of("normalization", NORMALIZATIONS)
NORMALIZATION_HELP = "inputs (default: unit for images, bytes and wav, else none)"


# fmt: off
@dataclass(frozen=True)
class Preparing:
    """How a network is made, and how its input comes."""

    input: str = option("whole", WAY, None, "the image at once, or row by row (default {default})", "compile", JSON)
    kernels: Any = option(None, None, "FILE", KERNELS_HELP, "board", FOLDER)  # noqa: RUF009  a field
    batch: int = option(1, POSITIVE, "N", "samples a step (default {default})", "compile", FOLDER | JSON)
    classes: int | None = option(None, POSITIVE, "N", OPEN_CLASSES, "network", FOLDER, before="seed")
    shape: Any = option(None, None, "CxHxW", OPEN_SHAPE, "network", FOLDER, told="shape {}", before="seed")  # noqa: RUF009


@dataclass(frozen=True)
class Optimizer:
    """Plain SGD, or with momentum (v ← momentum · v + g), weight decay (g = dw + weight_decay · w, for every
    parameter), or gradients accumulated over so many batches before each update. `clip`: the most that the global norm
    of their mean may be (see ops/clip).

    Of quantized parameters: how an update is rounded, whether its gradient is scaled by their scales (QAS, see
    ops/qnn_sgd), and how trained biases are stored (see quantize/bias_storage).
    """

    momentum: float = option(0.0, FRACTION, "X", "of SGD (default {default:g})", "update", EVERYWHERE)
    weight_decay: float = option(0.0, RATE, "X", "of SGD (default {default:g})", "update", EVERYWHERE)
    accumulate: int = option(1, POSITIVE, "N", "batches summed a step (default {default})", "update", FOLDER | JSON,
                             before="momentum")
    rounding: str = option("stochastic", ROUNDING, None, "how int8 updates are rounded (default {default})", "update",
                           FOLDER | JSON | INTEGERS)
    qas: bool = option(True, TRUTH, None, "int8 updates without quantization-aware scaling", "update",
                       FOLDER | JSON | INTEGERS)
    clip: float | None = option(None, NORM, "X", "the most the norm of all gradients may be (default: any)", "update",
                                EVERYWHERE, before="rounding")
    bias_storage: str = option(AUTO_BIASES, BIAS_STORAGE, None, BIAS_STORAGE_HELP, "update",
                               EVERYWHERE | INTEGERS, told="{} biases")

    def __post_init__(self):
        require(self, PolicyError)


@dataclass(frozen=True)
class Minimizing:
    """What is minimized. `loss` None: what the data's targets suggest. An Objective has all of these options too."""

    loss: str | None = option(None, LOSS, None, "default: cross-entropy for labels, mse for numbers", "update", FOLDER,
                              before="rounding")
    _: KW_ONLY


@dataclass(frozen=True)
class Scheduling(Minimizing):
    """How long a training is, at which rates, on which data, and who runs it (see feeding.Training)."""

    steps: int | None = option(50, POSITIVE, "N", "default {default}", "length")
    epochs: int | None = option(None, POSITIVE, "N", "passes over the data set instead of steps", "length", JSON)
    lr: float | str = option(START, RATE_OR_AUTO, "X", "learning rate, or auto, the best of a short sweep "
                             "(default {default})", "rates", JSON | COLUMN)
    lr_bias: float | None = option(None, RATE, "X", "learning rate of biases (default: --lr)", "rates", JSON | COLUMN)
    lr_decay: float = option(1.0, RATE, "X", "factor on both after each epoch (default {default:g})", "training",
                             JSON | COLUMN)
    lr_schedule: str | None = option(None, SCHEDULE, None, SCHEDULE_HELP, "training", HEADING | JSON | COLUMN,
                                     told="{} decay", usual="constant")
    warmup: int = option(0, WHOLE, "N", "steps that raise both to --lr (default {default})", "training",
                         HEADING | JSON | COLUMN, told="warm-up {}")
    validation: float | None = option(None, VALIDATION, "X", "share of the training part to validate on", "training",
                                       JSON)
    patience: int | None = option(None, PATIENCE, "N", "stop after N epochs without a better validation loss",
                                  "training", JSON)
    seed: int = option(0, WHOLE, "S", "weights and order of samples (default {default})", "seed", JSON | COLUMN)
    data: Any = option(None, None, "D", DATA_HELP, "data")  # noqa: RUF009  a field
    calibrate: Any = option(None, None, "D", CALIBRATE_HELP, "data")  # noqa: RUF009  a field
    trace: str = option("ops", LEVEL, None, "what is recorded of the first step (default {default})", "training")
    engine: str = option("auto", ENGINE, None, ENGINE_HELP, "engine")


@dataclass(frozen=True)
class Given:
    """How given data is read; None by default (see data.Reading)."""

    label: str | None = option(None, None, "A,B", 'columns or array of targets; "none": the input is its own target',
                               "reading")
    split: float | None = option(None, SPLIT, "X", "share to train on, the rest is held out (default 0.8)", "split")
    split_seed: int | None = option(None, WHOLE, "S", "which samples those are (default 0)", "split")
    normalize: str | None = option(None, NORMALIZATION, None, NORMALIZATION_HELP, "reading")
    window: int | None = option(None, POSITIVE, "N", "cut recordings into pieces of N values", "reading")
    hop: int | None = option(None, POSITIVE, "M", "a piece begins every M values (default: N)", "reading")
    resize: bool = option(False, TRUTH, None, "bring images to the size that the network takes", "reading")
# fmt: on


def _listed() -> list[Option]:
    """All rows, in the order of help, headings, folder names and columns."""
    rows = [row for table in (Preparing, Optimizer, Scheduling, Given) for row in rows_of(table)]
    for row in [row for row in rows if row.before]:
        rows.remove(row)
        rows.insert(next(at for at, other in enumerate(rows) if other.name == row.before), row)
    return rows


OPTIONS = {row.name: row for row in _listed()}
JSON_KINDS = {row.name: row.kind.json for row in OPTIONS.values() if row.kind and JSON in row.shown}  # of run.json
COLUMNS = tuple(row.name for row in OPTIONS.values() if COLUMN in row.shown)


# --------------------------------------------------------------------------- what is read off the table


def recorded(values, integers: bool = True) -> dict[str, Any]:
    """What run.json keeps of a dataclass's options, by key. `integers`: int8 parameters are updated."""
    kept = [row for row in rows_of(values) if JSON in row.shown and (integers or INTEGERS not in row.shown)]
    return {row.name: row.kind.plain(getattr(values, row.name)) for row in kept if row.kind}


def folder_parts(values) -> list[str]:
    """['batch8', 'momentum0.9', 'no_qas']: options other than by default, for a folder's name."""
    chosen = [(row, getattr(values, row.name, row.default)) for row in OPTIONS.values() if FOLDER in row.shown]
    return [row.in_folder(value) for row, value in chosen if value not in (None, row.default)]


def told(meta: Mapping[str, Any]) -> list[str]:
    """['momentum 0.9', 'cosine decay']: options other than by default, for a heading; `meta` is run.json's."""
    chosen = [(row, meta.get(row.name)) for row in OPTIONS.values() if HEADING in row.shown]
    return [row.in_heading(value) for row, value in chosen if value not in (None, row.default, row.usual)]


def passes_for(passes: str, input: str) -> str:
    """`passes` with the one that takes the image by rows, where `input` says so. Raises DataError for another input."""
    OPTIONS["input"].require(input)
    return ",".join(filter(None, (passes, "input-rows"))) if input == ROWS and isinstance(passes, str) else passes


def usual_schedules(input: str) -> tuple[str, ...]:
    """All, or those that can run with the input so."""
    return BY_ROWS if input == ROWS else SCHEDULES


Function = TypeVar("Function", bound=Callable[..., Any])


def takes(*sources: Callable[..., Any], without: tuple[str, ...] = (), **defaults) -> Callable[[Function], Function]:
    """Decorator of a function with `**options`: its signature tells the fields of these classes, and the keywords of
    these functions.

    `defaults`: those that are its own.
    """

    def signed(function: Function) -> Function:
        known = {name: each for name, each in signature(function).parameters.items() if each.kind != each.VAR_KEYWORD}
        for source in sources:
            for name, each in signature(source).parameters.items():
                if name not in (*known, *without) and (isinstance(source, type) or each.kind == each.KEYWORD_ONLY):
                    default = defaults.get(name, each.default)
                    known[name] = each.replace(kind=Parameter.KEYWORD_ONLY, default=default)
        own = signature(function).replace(parameters=list(known.values()))
        function.__signature__ = own  # type: ignore[attr-defined]
        return function

    return signed
