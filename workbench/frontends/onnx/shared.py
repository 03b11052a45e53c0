"""What the operators of ONNX files share: one call of one, its attributes and constants, axes, windows and padding."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import numpy as np

from workbench.errors import ModelError
from workbench.frontends.emitter import Emitter, Operand, shape_of
from workbench.frontends.model import LARGEST_TENSOR
from workbench.frontends.onnx.file import Constants
from workbench.frontends.weight import Weight
from workbench.ir import op as ops
from workbench.ir.build import Value
from workbench.ir.types import Ints

LARGEST_WINDOW = 4096  # rows or columns
MOST_PARTS = 256  # that an axis is cut into and put together again
Pads = list[tuple[int, int]]


@dataclass
class Call:
    """One call of an operator: where its result goes, and what it may know. `used`: of each result whether it is read;
    `names`: those of all parameters;
    `products`: the results of products with stored weights, behind which a sum may be their bias;
    `merged`: parameters that exporters made one because they begin equal, as zeros or ones;
    `batches`: how many samples the file is for, and for how many it is read; `stored`: what the file
    calls an array, by its id; `tensors`: what it calls a parameter."""

    emit: Emitter
    label: str
    opset: int
    options: dict[str, Any]
    results: int
    room: Constants
    names: set[str] = field(default_factory=set)
    used: list[bool] = field(default_factory=list)
    products: set[str] = field(default_factory=set)
    merged: set[str] = field(default_factory=set)
    batches: tuple[int, int] = (1, 1)
    stored: dict[int, str] = field(default_factory=dict)
    tensors: dict[str, str] = field(default_factory=dict)

    def of(self, name: str, *operands: Operand, label: str = "", **attrs: Any) -> Operand:
        """A node of the operator that has this name without its family, or its value where all is constant."""
        kind = ops.by_short_name(name)
        if kind is None:
            raise ModelError(f"there is no operator {name!r}")
        return self.emit.op(kind.name, *operands, label=label or self.label, **attrs)

    def option(self, name: str, default: Any = None) -> Any:
        return self.options.get(name, default)

    def whole(self, name: str, default: int) -> int:
        return int(self.option(name, default))

    def number(self, name: str, default: float) -> float:
        """A real number; attributes are float32, of which the shortest form is meant: 0.01, not 0.00999999978."""
        value = self.option(name)
        return default if value is None else float(str(np.float32(value)))

    def parameter(self, x: Operand | None, part: str) -> Operand | None:
        """A constant that a layer has as its weight or bias, as a parameter that can be trained."""
        if isinstance(x, Weight) and x.name in self.merged:
            x = x.array
        if x is None or isinstance(x, Value | Weight):
            return x
        name, count = f"{self.label}.{part}", 1
        while name in self.names:
            count += 1
            name = f"{self.label}.{part}_{count}"
        self.names.add(name)
        if id(x) in self.stored:
            self.tensors[name] = self.stored[id(x)]
        return Weight(name, np.asarray(x, np.float32))


@dataclass(frozen=True)
class Imported:
    """How an operator is imported, each of its results in a list where there are several, and a line about it."""

    convert: Callable[..., Any]
    about: str


def array_of(x: Operand | None, what: str) -> np.ndarray:
    """The numbers of an operand that does not depend on the input."""
    if x is None:
        raise ModelError(f"its {what} are missing")
    if isinstance(x, Value):
        raise ModelError(f"its {what} depend on the input, which is not supported")
    return x.array if isinstance(x, Weight) else np.asarray(x)


def whole_numbers(x: Operand | Sequence[int] | None, what: str) -> list[int]:
    array = np.asarray(x) if isinstance(x, Sequence) else array_of(x, what)
    if array.dtype.kind not in "iu" and array.size:
        raise ModelError(f"its {what} are {array.dtype}; they need to be whole numbers")
    return [int(each) for each in array.reshape(-1)]


def scalar_of(x: Operand | None, what: str, default: float) -> float:
    if x is None:
        return default
    values = array_of(x, what)
    if values.size != 1:
        raise ModelError(f"its {what} are of shape {values.shape}; one number is supported")
    return float(str(values.reshape(-1)[0]))


def axis_of(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise ModelError(f"there is no axis {axis} of {rank}")
    return int(axis) % rank


def axes_of(axes: Sequence[int], rank: int) -> list[int]:
    chosen = [axis_of(axis, rank) for axis in axes]
    if len(set(chosen)) < len(chosen):
        raise ModelError(f"axes {list(axes)} name one twice")
    return chosen


def at_most(shape: Sequence[int]) -> Ints:
    """A shape that a network can have."""
    shape, elements = tuple(int(size) for size in shape), 1
    for size in shape:
        elements *= size
    if len(shape) > 8 or any(size < 0 for size in shape) or elements > LARGEST_TENSOR:
        raise ModelError(f"a tensor of {shape[:8]} is more than a network for a microcontroller has")
    return shape


def several(call: Call, name: str, count: int, default: int = 1) -> Ints:
    """An attribute of a whole number an axis."""
    values = tuple(int(each) for each in call.option(name) or (default,) * count)
    if len(values) != count or min(values, default=1) < (0 if name == "output_padding" else 1):
        raise ModelError(f"its {name} are {list(values)[:8]} for {count} axes")
    if max(values, default=0) > LARGEST_WINDOW:
        raise ModelError(f"its {name} of {max(values)} make no sense")
    return values


def pads_of(call: Call, sizes: Ints, window: Ints, strides: Ints) -> Pads:
    """Before and behind, an axis. `window`: what it spans, dilation included."""
    kind, count = call.option("auto_pad", "NOTSET"), len(sizes)
    if kind in ("SAME_UPPER", "SAME_LOWER"):
        pads = []
        for size, k, stride in zip(sizes, window, strides, strict=True):
            total = max(0, (ceil(size / stride) - 1) * stride + k - size)
            small, large = total // 2, total - total // 2
            pads.append((small, large) if kind == "SAME_UPPER" else (large, small))
        return pads
    if kind == "VALID":
        return [(0, 0)] * count
    if kind not in ("NOTSET", ""):
        raise ModelError(f"its auto_pad is {kind!r}, which does not exist")
    given = [int(each) for each in call.option("pads") or (0,) * 2 * count]
    if len(given) != 2 * count or min(given, default=0) < 0 or max(given, default=0) > LARGEST_WINDOW:
        raise ModelError(f"its pads are {given[:8]} for {count} axes")
    return list(zip(given[:count], given[count:], strict=True))


def taken(call: Call, x: Operand, axis: int, indices: Sequence[int], label: str) -> Operand:
    """The elements of these numbers along an axis, in this order."""
    size = shape_of(x)[axis]
    chosen = [int(index) for index in indices]
    if any(not -size <= index < size for index in chosen):
        raise ModelError(f"index {next(i for i in chosen if not -size <= i < size)} is beyond an axis of {size}")
    chosen = [index % size for index in chosen]
    if not isinstance(x, Value | Weight):
        return np.take(x, chosen, axis)
    if not chosen:
        raise ModelError("nothing is left of an axis, which is not supported")
    runs: list[list[int]] = []  # begin, end, step
    for index in chosen:
        if runs and runs[-1][1] - runs[-1][0] == 1 and index > runs[-1][0]:
            runs[-1][1:] = index + 1, index - runs[-1][0]
        elif runs and index == runs[-1][1] - 1 + runs[-1][2]:
            runs[-1][1] = index + 1
        else:
            runs.append([index, index + 1, 1])
    if len(runs) > MOST_PARTS:
        raise ModelError(f"it takes {len(runs)} parts of an axis; up to {MOST_PARTS} are supported")
    parts = [call.emit.part(x, axis, begin, end, label, step) for begin, end, step in runs]
    return call.emit.joined(parts, axis, label)


def each_one(x: Operand | None) -> Operand:
    if x is None:
        raise ModelError("an operand is missing")
    return x
