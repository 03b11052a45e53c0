"""Fit samples to the network that takes them: shape, layout, number type and targets, before anything is built.

x of a sample                    a network that takes (C, H, W)
(C, H, W), axes of 1 left out    as it is: NCHW
(H, W, C), axes of 1 left out    transposed: NHWC. Where both fit, NCHW, but NHWC if the network's file has that
C·H·W values in a row            in the order of the network's file: (C, H, W), or (H, W, C) of a .tflite
any shape of F values            where it takes F values in a row: in their order
"""

from dataclasses import dataclass
from math import prod
from typing import NoReturn

import numpy as np

from workbench.data.folders import natural
from workbench.data.samples import Samples
from workbench.errors import DataError, shown
from workbench.ir.types import TensorType
from workbench.objective import BCE, CROSS_ENTROPY, INPUT, LABELS, VALUES
from workbench.plain import printable
from workbench.units import percent

NCHW, NHWC = "NCHW", "NHWC"
FAR = 10.0  # inputs beyond it get a note
HARDLY_ANY = 0.001  # of values: clipping so few gets no note
SCALE = "--normalize standard may help"
ONE_OUTPUT = "--loss mse takes them as numbers, --loss bce 0 and 1"


@dataclass(frozen=True)
class Network:
    """What data has to fit.

    `input` is the type of a batch, `output` the shape of a sample's output. `nhwc`: the network's file holds images in
    NHWC. `repeats`: the network reproduces its input, as an autoencoder does.
    """

    name: str
    input: TensorType
    output: tuple[int, ...]
    nhwc: bool = False
    repeats: bool = False

    def target_of_labels(self, loss: str | None, classes: int) -> str:
        """The kind of target that labels of so many classes become, under this loss (None: the usual one).

        Classes or numbers; INPUT where the network reproduces its input, so that labels are left out. As many classes
        as outputs are classes.
        """
        if loss == CROSS_ENTROPY:
            return LABELS
        if loss is None:
            return INPUT if self.repeats and classes != prod(self.output) else LABELS
        return INPUT if self.repeats else VALUES

    def tells_two_classes(self, loss: str | None) -> bool:
        """Whether, under this loss, the sign of its one output tells two classes: targets are 0 and 1."""
        return self.output == (1,) and loss in (None, BCE)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.input.shape[1:]


@dataclass(frozen=True)
class Targets:
    """`values` as Data has them, of the kind `target` (see objective)."""

    target: str
    values: np.ndarray
    classes: int | None = None
    names: tuple[str, ...] = ()


# inputs


def inputs(samples: Samples, network: Network) -> tuple[np.ndarray, str]:
    """x as float32 (n, *shape) and the layout it came in. Raises DataError for what the network cannot take.

    int8 values for an int8 network are stored integers; they become the real numbers that they stand for.
    """
    x, source = samples.x, samples.source
    if len(x) == 0:
        raise DataError(f"{source} is empty: it has no samples")
    if x.dtype.kind not in "fiub":
        raise DataError(f"{source}: x holds {x.dtype}, not numbers")
    values, layout = _in_layout(x, network.shape, network.nhwc, samples.layout)
    if values is None or layout is None:
        _refuse(samples, network)
    if x.dtype == np.int8 and network.input.dtype == "int8":
        values = (values.astype(np.float32) - network.input.zero_point) * np.float32(network.input.scale or 1)
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(values, np.float32)
    require_finite(source, "x", values, x)
    return values, layout


def require_finite(source: str, what: str, values: np.ndarray, given: np.ndarray | None = None) -> None:
    """Raise DataError that names the first sample with a NaN, an infinity or a number beyond float32."""
    flat = values.reshape(len(values), prod(values.shape[1:]))  # there may be no sample
    finite = np.isfinite(flat)
    if finite.all():
        return
    at = int((~finite.all(axis=1)).argmax())
    value = flat[at][~finite[at]][0]
    count = int((~finite.all(axis=1)).sum())
    beyond = given is not None and given.dtype.kind in "fiu" and np.isfinite(given[at]).all()
    word = "a number beyond float32" if beyond else "NaN" if np.isnan(value) else "infinity"
    more = f", {count - 1} more samples too" if count > 1 else ""
    raise DataError(f"{source}: sample {at} of {what} holds {word}{more}", "leave such samples out, or fill the gaps")


def _in_layout(
    x: np.ndarray, shape: tuple[int, ...], nhwc: bool, told: str
) -> tuple[np.ndarray, str] | tuple[None, None]:
    """x (n, …) as (n, *shape), and the layout it came in ('' where the shape leaves only one); None if it does not fit.

    `nhwc`: x is NHWC where both layouts fit; `told`: the layout that x is known to have.
    """
    given, both = x.shape[1:], (shape, _last(shape))
    fits_nchw, fits_nhwc = (given == each if given in both else _core(given) == _core(each) for each in both)
    if len(shape) == 1:
        fits_nchw, fits_nhwc = prod(given) == shape[0], False
    elif len(_core(given)) <= 1 and prod(given) == prod(shape):
        fits_nchw, fits_nhwc = True, nhwc and len(shape) == 3
    elif told and len(shape) == 3:
        fits_nchw, fits_nhwc = fits_nchw and told == NCHW, fits_nhwc and told == NHWC
    if not (fits_nchw or fits_nhwc):
        return None, None
    if len(shape) < 3:
        return x.reshape(-1, *shape), ""
    if fits_nhwc and (nhwc or not fits_nchw):
        return np.moveaxis(x.reshape(-1, *_last(shape)), -1, 1), NHWC
    return x.reshape(-1, *shape), NCHW


def _last(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(C, H, W) -> (H, W, C)."""
    return (*shape[1:], shape[0]) if len(shape) == 3 else shape


def _core(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)


def _refuse(samples: Samples, network: Network) -> NoReturn:
    given, shape = samples.x.shape[1:], network.shape
    mismatch = f"{samples.source}: a sample is {_shape(given)}; {network.name} takes {_shape(shape)}"
    window = _window(given, shape) if samples.groups is not None else None
    if window:
        raise DataError(mismatch, f"--window {window} cuts recordings into pieces of that length")
    if prod(given) == prod(shape):
        raise DataError(mismatch, "the axes stand in another order; arrange them so, or give each sample as one row")
    either = f" or {_shape(_last(shape))}" if len(shape) == 3 and shape[0] > 1 else ""
    raise DataError(mismatch, f"give samples of {_shape(shape)}{either}, or a network whose input is {_shape(given)}")


def _window(recording: tuple[int, ...], shape: tuple[int, ...]) -> int | None:
    """The length of pieces of a recording (channels, values) that the network takes; None where no length fits."""
    channels, values = recording
    for length in (shape[-1], prod(shape) // channels):
        piece, in_a_row = (channels, length), len(shape) == 1 or 1 in (channels, length)
        if length < values and (_core(piece) == _core(shape) or (in_a_row and prod(piece) == prod(shape))):
            return length
    return None


def _shape(shape: tuple[int, ...]) -> str:
    if len(shape) == 1:
        return "1 value" if shape[0] == 1 else f"{shape[0]} values in a row"
    return f"({', '.join(map(str, shape))})"


def clipped(values: np.ndarray, kind: TensorType, source: str) -> str | None:
    """A note on values beyond what an int8 input can hold; None where it can hold nearly all."""
    if kind.dtype != "int8":
        return None
    scale = kind.scale or 1
    low, high = ((end - kind.zero_point) * scale for end in (-128, 127))
    beyond = int(((values < low - scale / 2) | (values > high + scale / 2)).sum())
    if beyond < HARDLY_ANY * values.size or not beyond:
        return None
    share = f"{beyond:,} of {values.size:,} values ({percent(beyond / values.size)})"
    return f"{source}: {share} are clipped: the int8 input holds {low:.4g} to {high:.4g}"


def unscaled(x: np.ndarray, kind: TensorType, source: str) -> str | None:
    """A note on inputs far larger than a network learns well from; None for others, and for int8 networks, whose input
    scale is given.
    """
    largest = float(np.abs(x).max(initial=0))
    if kind.dtype == "int8" or largest <= FAR:
        return None
    return f"{source}: inputs reach {largest:,.4g}; {SCALE}, as values of about 1 learn best"


# targets


def targets(
    samples: Samples, network: Network, loss: str | None = None, unlabelled: bool = False,
    names: tuple[str, ...] = (), settled: bool = False,
) -> Targets:  # fmt: skip
    """The target of each sample, as this loss takes it (None: the usual loss).

    `names`: the classes' names, if they have some. `settled`: the classes are known, and some may be missing here.
    Raises DataError for targets that the network cannot learn.
    """
    given, source = samples.targets, samples.source
    if given is None or unlabelled or _are_left_out(given, network, loss):
        return _input_as_target(samples, network, loss)
    given = given[:, 0] if given.ndim == 2 and given.shape[1] == 1 and given.dtype.kind not in "f" else given
    if given.ndim > 1 and given.dtype.kind in "US":
        raise DataError(f"{source}: y holds names of shape {given.shape}", "one name belongs to each sample")
    if given.dtype.kind == "b":
        given = given.astype(np.int64)
    if given.dtype.kind in "US":
        return _named(source, given, network, loss, names)
    if (
        given.ndim == 1
        and given.dtype.kind in "iu"
        and (loss in (None, CROSS_ENTROPY) or network.tells_two_classes(loss))
    ):
        if names and samples.names:  # a class is its name, whichever classes are there
            return _named(source, np.array(samples.names)[given], network, loss, names)
        return _counted(source, given, network, samples.names or names, settled)
    if samples.names:
        raise DataError(f"{source}: its targets are names of classes; the loss {loss} takes numbers",
                        "leave out --loss, or --label none: the input is the target")  # fmt: skip
    return _values(source, given, network, loss, samples.layout)


def _are_left_out(given: np.ndarray, network: Network, loss: str | None) -> bool:
    """Whether targets are left out: labels, for a network that reproduces its input."""
    if given.dtype.kind not in "iubUS" or given.size != len(given):
        return False
    classes = len(np.unique(given)) if given.dtype.kind in "US" else int(given.max(initial=0)) + 1
    return network.target_of_labels(loss, classes) == INPUT


def _input_as_target(samples: Samples, network: Network, loss: str | None) -> Targets:
    if prod(network.shape) != prod(network.output):
        reason = f"{samples.source} has no labels, so its input is the target: {prod(network.shape)} values"
        raise DataError(f"{reason}; {network.name} gives {prod(network.output)}",
                        "give labels: (x, y), an array y, --label NAME")  # fmt: skip
    if network.nhwc and len(network.output) == 1 and len(_core(network.shape)) > 1 and network.shape[0] > 1:
        raise DataError(f"{network.name} gives its values in the order of its file, (H, W, C); its input is (C, H, W), "
                        "so it cannot be the target", "give the targets: (x, y)")  # fmt: skip
    return Targets(INPUT, np.empty((len(samples.x), 0), np.float32))


def _named(source: str, given: np.ndarray, network: Network, loss: str | None, settled: tuple[str, ...]) -> Targets:
    if loss not in (None, CROSS_ENTROPY) and not network.tells_two_classes(loss):
        raise DataError(f"{source}: y holds names such as {shown(str(given[0]))}; the loss {loss} takes numbers",
                        "leave out --loss, or name columns of numbers")  # fmt: skip
    texts = [printable(str(each)) for each in given]
    names = list(settled) or sorted(set(texts), key=natural)
    number = {name: at for at, name in enumerate(names)}
    unknown = next((text for text in texts if text not in number), None)
    if unknown is not None:
        raise DataError(
            f"{source}: no class is called {shown(unknown)}",
            f"there are {', '.join(names)}; --label none leaves labels out",
        )
    return _counted(source, np.array([number[text] for text in texts]), network, tuple(names), bool(settled))


def _counted(source: str, labels: np.ndarray, network: Network, names: tuple[str, ...], settled=False) -> Targets:
    if len(network.output) != 1:
        raise DataError(f"{source} has class labels; {network.name} gives {network.output}, not a score a class",
                        "--label none: the input is the target")  # fmt: skip
    low, high = int(labels.min()), int(labels.max())
    if low < 0:
        at = int((labels < 0).argmax())
        raise DataError(f"{source}: sample {at} has the label {int(labels[at])}",
                        "classes are counted from 0, or have names; --loss mse takes numbers as they are")  # fmt: skip
    classes = len(names) or high + 1
    if classes <= 2 and network.tells_two_classes(None):
        return Targets(VALUES, labels.astype(np.float32).reshape(-1, 1), 2, names)
    if classes > network.output[0] or high >= network.output[0]:
        which = f"{classes} classes" if names else f"labels up to {high}, so {classes} classes"
        counted = ", counted from 0" if low == 1 and high == network.output[0] else ""
        hint = f"a network with {classes} outputs" if network.output[0] > 1 else ONE_OUTPUT
        raise DataError(f"{source} has {which}{counted}; {network.name} tells {network.output[0]}",
                        "classes are counted from 0: take 1 from each label" if counted else hint)  # fmt: skip
    if low == high and not settled:
        what = f"{names[low]!r}" if names else str(low)
        raise DataError(f"{source}: every sample is of one class, {what}", "there is nothing to tell apart")
    return Targets(LABELS, labels.astype(np.int32), classes, names)


def _values(source: str, given: np.ndarray, network: Network, loss: str | None, layout: str) -> Targets:
    """Targets that are numbers, in the output's shape; images in NCHW or NHWC, as inputs may be."""
    with np.errstate(over="ignore"):
        values = given.astype(np.float32)
    arranged, _ = _in_layout(values, network.output, network.nhwc, layout)
    if arranged is None:
        whole = given.ndim == 1 and (values == np.rint(values)).all()
        hint = "targets are of the output's shape, class labels one whole number each"
        if prod(given.shape[1:]) == prod(network.output):
            hint = "the axes stand in another order; arrange them so, or give each target as one row"
        if whole:
            labels = given.dtype.kind in "iu"
            hint = "without --loss they are class labels" if labels else "class labels are whole numbers: y.astype(int)"
        raise DataError(f"{source}: a target is {_shape(given.shape[1:] or (1,))}; {network.name} gives "
                        f"{_shape(network.output)}", hint)  # fmt: skip
    if loss == CROSS_ENTROPY:
        raise DataError(f"{source}: a target is {_shape(given.shape[1:])}; the loss {loss} takes one label a sample",
                        "y.argmax(axis=1), where a row has one 1")  # fmt: skip
    require_finite(source, "y", values, given)
    if loss == BCE and not ((values >= 0) & (values <= 1)).all():
        at = int((~((values >= 0) & (values <= 1)).reshape(len(values), -1).all(axis=1)).argmax())
        raise DataError(f"{source}: sample {at} has a target beyond 0 and 1", "bce takes such; --loss mse takes others")
    return Targets(VALUES, np.ascontiguousarray(arranged))
