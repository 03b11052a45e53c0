"""Layers for writing a network by hand: each declares its parameters, draws their values and appends its nodes.

    net = Network("mine", input_shape=(1, 1, 8, 8))
    x = net.relu(net.conv2d(net.input, "conv1", 8, kernel=3, padding=1), "conv1")
    model = net.model(net.dense(net.flatten(x), "fc", 10), data="digits")

Weights are He-normal (He et al. 2015): standard deviation √(2 / fan-in), times `scale`; biases start at 0. Parameters
of a layer called `conv1` are `conv1.weight` and `conv1.bias`; `net.weights` holds them by name, to be replaced at will.
Any operator is there as `net.build.NAME(…)` (see ir/build). Every layer has an int8 form (see quantize/post_training),
an activation as a part of the layer before it; but not clamp, softmax, log_softmax, divide, maximum, minimum,
batch_matmul and embedding.
"""

from contextlib import contextmanager
from copy import copy
from math import prod, sqrt

import numpy as np

from workbench.data import taken
from workbench.errors import ModelError, ShapeError, WorkbenchError, shown
from workbench.frontends import given
from workbench.frontends.fold import fold_batch_norm
from workbench.frontends.model import Model, digest
from workbench.ir.build import Builder, Value
from workbench.ir.verify import verify


class Network:
    """Grows a Model. Every method takes and gives a value; `label` names the nodes for people."""

    def __init__(self, name: str, input_shape, seed: int = 0):
        self.name = given.network_name(name)
        self.build = Builder()
        self.weights: dict[str, np.ndarray] = {}
        self.drawn: dict[str, np.ndarray] = {}  # the weights as they were at first
        self.rng = np.random.default_rng(given.whole(name, "seed", seed, least=0))
        self.input = self.build.input("input0", given.input_shape(input_shape))

    def conv2d(
        self, x: Value, label: str, channels: int, kernel, *, stride=1, padding=0, dilation=1, groups=1, scale=1.0
    ) -> Value:
        """`kernel`, `stride`, `dilation`: one number or (rows, columns); `padding` also (top, left, bottom, right)."""
        self._require(label, x, rank=4)
        channels, groups = given.whole(label, "channels", channels), given.whole(label, "groups", groups)
        kernel, stride = given.several(label, "kernel", kernel), given.several(label, "strides", stride)
        self._require_groups(label, x, channels, groups)
        with self._whole_or_not_at_all():
            w = self._weight(label, (channels, x.shape[1] // groups, *kernel), scale)
            y = self.build.conv2d(
                x, w, channels=channels, kernel_size=kernel, strides=stride, groups=groups,
                padding=_four(label, padding), dilation=given.several(label, "dilation", dilation), label=label,
            )  # fmt: skip
            return self._bias(y, label)

    def conv2d_transpose(
        self,
        x: Value,
        label: str,
        channels: int,
        kernel,
        *,
        stride=1,
        padding=0,
        output_padding=0,
        dilation=1,
        groups=1,
        scale=1.0,
    ) -> Value:
        """(size - 1) · stride + dilation · (kernel - 1) + 1 - padding + output_padding rows and columns; `weight` is
        (input channels, channels / groups, rows, columns)."""
        self._require(label, x, rank=4)
        channels, groups = given.whole(label, "channels", channels), given.whole(label, "groups", groups)
        kernel = given.several(label, "kernel", kernel)
        self._require_groups(label, x, channels, groups)
        with self._whole_or_not_at_all():
            shape = (x.shape[1], channels // groups, *kernel)
            w = self._weight(label, shape, scale, fan_in=x.shape[1] // groups * prod(kernel))
            y = self.build.conv2d_transpose(
                x, w, channels=channels, kernel_size=kernel, strides=given.several(label, "strides", stride),
                padding=_four(label, padding), groups=groups, dilation=given.several(label, "dilation", dilation),
                output_padding=given.several(label, "output_padding", output_padding, least=0), label=label,
            )  # fmt: skip
            return self._bias(y, label)

    def batch_norm(self, label: str, *, gamma=None, beta=None, mean, var, epsilon: float = 1e-5) -> None:
        """Fold the batch normalization that follows the layer `label` into its weight and bias (see fold)."""
        weight, bias = f"{label}.weight", f"{label}.bias"
        if weight not in self.weights:
            raise ModelError(f"batch norm: there is no layer {label!r} before it")
        self.weights[weight], self.weights[bias] = fold_batch_norm(
            self.weights[weight], self.weights[bias], gamma, beta, mean, var, epsilon
        )

    def dense(self, x: Value, label: str, outputs: int, *, scale=1.0) -> Value:
        self._require(label, x, rank=2)
        with self._whole_or_not_at_all():
            w = self._weight(label, (given.whole(label, "outputs", outputs), x.shape[1]), scale)
            return self._bias(self.build.dense(x, w, label=label), label)

    def relu(self, x: Value, label: str) -> Value:
        self._require(label, x)
        return self.build.relu(x, label=f"{label}.relu")

    def relu6(self, x: Value, label: str) -> Value:
        self._require(label, x)
        return self.build.relu6(x, label=f"{label}.relu6")

    def sigmoid(self, x: Value, label: str) -> Value:
        self._require(label, x)
        return self.build.sigmoid(x, label=f"{label}.sigmoid")

    def hard_sigmoid(self, x: Value, label: str) -> Value:
        self._require(label, x)
        return self.build.hard_sigmoid(x, label=f"{label}.hard_sigmoid")

    def tanh(self, x: Value, label: str) -> Value:
        self._require(label, x)
        return self.build.tanh(x, label=f"{label}.tanh")

    def hard_swish(self, x: Value, label: str) -> Value:
        self._require(label, x)
        return self.build.hard_swish(x, label=f"{label}.hard_swish")

    def silu(self, x: Value, label: str) -> Value:
        """x · sigmoid(x), swish by another name."""
        self._require(label, x)
        return self.build.silu(x, label=f"{label}.silu")

    def gelu(self, x: Value, label: str, approximate: str = "none") -> Value:
        """x · Φ(x), or with approximate="tanh" its approximation."""
        self._require(label, x)
        return self.build.gelu(x, approximate=approximate, label=f"{label}.gelu")

    def leaky_relu(self, x: Value, label: str, alpha: float = 0.01) -> Value:
        """alpha · x below 0."""
        self._require(label, x)
        return self.build.leaky_relu(x, alpha=given.factor(label, "alpha", alpha), label=f"{label}.leaky_relu")

    def exp(self, x: Value, label: str) -> Value:
        self._require(label, x)
        return self.build.exp(x, label=f"{label}.exp")

    def log(self, x: Value, label: str) -> Value:
        self._require(label, x)
        return self.build.log(x, label=f"{label}.log")

    def sqrt(self, x: Value, label: str) -> Value:
        self._require(label, x)
        return self.build.sqrt(x, label=f"{label}.sqrt")

    def abs(self, x: Value, label: str) -> Value:
        self._require(label, x)
        return self.build.abs(x, label=f"{label}.abs")

    def softplus(self, x: Value, label: str) -> Value:
        self._require(label, x)
        return self.build.softplus(x, label=f"{label}.softplus")

    def elu(self, x: Value, label: str, alpha: float = 1.0) -> Value:
        """alpha · (exp(x) - 1) below 0."""
        self._require(label, x)
        return self.build.elu(x, alpha=given.factor(label, "alpha", alpha), label=f"{label}.elu")

    def rsqrt(self, x: Value, label: str, epsilon: float = 0.0) -> Value:
        """1 / √(x + epsilon)."""
        self._require(label, x)
        return self.build.rsqrt(x, epsilon=given.factor(label, "epsilon", epsilon), label=f"{label}.rsqrt")

    def clamp(self, x: Value, label: str, min: float | None = None, max: float | None = None) -> Value:
        """x held to [min, max]; None: to no end."""
        self._require(label, x)
        ends = {name: given.factor(label, name, end) for name, end in (("min", min), ("max", max)) if end is not None}
        return self.build.clamp(x, **ends, label=f"{label}.clamp")

    def softmax(self, x: Value, label: str) -> Value:
        """Along the last axis, inside a network. One that ends in class scores ends without: its loss has it."""
        self._require(label, x)
        return self.build.softmax(x, label=f"{label}.softmax")

    def log_softmax(self, x: Value, label: str) -> Value:
        self._require(label, x)
        return self.build.log_softmax(x, label=f"{label}.log_softmax")

    def add(self, a: Value, b: Value, label: str) -> Value:
        return self._of_two("add", a, b, label)

    def subtract(self, a: Value, b: Value, label: str) -> Value:
        return self._of_two("subtract", a, b, label)

    def multiply(self, a: Value, b: Value, label: str) -> Value:
        """Each axis is as long in both or 1 in one. (N, C) beside an image is one number a channel: a gate."""
        return self._of_two("multiply", a, b, label)

    def divide(self, a: Value, b: Value, label: str) -> Value:
        return self._of_two("divide", a, b, label)

    def maximum(self, a: Value, b: Value, label: str) -> Value:
        return self._of_two("maximum", a, b, label)

    def minimum(self, a: Value, b: Value, label: str) -> Value:
        return self._of_two("minimum", a, b, label)

    def batch_matmul(
        self, a: Value, b: Value, label: str, *, transpose_a: bool = False, transpose_b: bool = False
    ) -> Value:
        """(…, M, K) · (…, K, N) of equal leading axes; a matrix that is transposed is stored the other way round."""
        self._require(label, a, b)
        return self.build.batch_matmul(a, b, transpose_a=bool(transpose_a), transpose_b=bool(transpose_b), label=label)

    def embedding(self, x: Value, label: str, count: int, size: int, *, scale=1.0) -> Value:
        """Of each whole number in x, 0 to count - 1, `size` numbers: row x of `weight` (count, size), which begins
        normally distributed."""
        self._require(label, x)
        with self._whole_or_not_at_all():
            shape = given.whole(label, "count", count), given.whole(label, "size", size)
            return self.build.embedding(x, self._weight(label, shape, scale, fan_in=2), label=label)

    def _of_two(self, op: str, a: Value, b: Value, label: str) -> Value:
        self._require(label, a, b)
        if {a.rank, b.rank} == {2, 4}:
            a, b = (x if x.rank == 4 else self._pixel(x, label) for x in (a, b))
        return self.build.op(op, a, b, label=label)

    def _pixel(self, x: Value, label: str) -> Value:
        return self.build.reshape(x, newshape=(*x.shape, 1, 1), label=f"{label}.pixel")

    def concatenate(self, *operands: Value, label: str, axis: int = 1) -> Value:
        self._require(label, *operands)
        return self.build.concatenate(*operands, axis=given.whole(label, "axis", axis, least=0), label=label)

    def max_pool2d(self, x: Value, label: str, size, *, stride=None, padding=0) -> Value:
        """`stride` is `size` unless told."""
        return self.build.max_pool2d(x, **self._window(label, x, size, stride, padding))

    def avg_pool2d(self, x: Value, label: str, size, *, stride=None, padding=0) -> Value:
        return self.build.avg_pool2d(x, **self._window(label, x, size, stride, padding))

    def global_avg_pool2d(self, x: Value, label: str) -> Value:
        """(N, C, H, W) -> (N, C)."""
        self._require(label, x, rank=4)
        return self.flatten(self.build.global_avg_pool2d(x, label=label))

    def mean(self, x: Value, label: str, axis, *, keepdims: bool = False) -> Value:
        """The mean over one axis or several, counted from 0, the batch's; they go, or stay with one element each."""
        self._require(label, x)
        axes = self._axes(label, x, axis)
        y = self.build.mean(x, axis=tuple(sorted(axes)), label=label)
        rest = tuple(size for at, size in enumerate(x.shape) if at not in axes)
        return y if keepdims else self.build.reshape(y, newshape=rest, label=label)

    def transpose(self, x: Value, label: str, axes) -> Value:
        """The axes in another order; the batch's stays the first."""
        self._require(label, x)
        axes = given.several(label, "axes", axes, least=0, counts=(x.rank,))
        if axes[:1] != (0,):
            raise ShapeError(f"{label}: the batch axis, 0, stays the first; got axes {axes}")
        return self.build.transpose(x, axes=axes, label=label)

    def reshape(self, x: Value, label: str, shape) -> Value:
        """Another shape for each sample: what stands behind the batch axis."""
        self._require(label, x)
        return self.build.reshape(x, newshape=(x.shape[0], *given.numbers(label, "shape", shape)), label=label)

    def slice(self, x: Value, label: str, axis: int, begin: int, end: int, *, step: int = 1) -> Value:
        """Elements begin, begin + step, … before `end` along an axis."""
        self._require(label, x)
        axes = self._axes(label, x, axis)
        if len(axes) > 1:
            raise ShapeError(f"{label}: slices along one axis at a time; got {shown(axis)}")
        (axis,) = axes
        begin, end = (given.whole(label, name, each, least=0) for name, each in (("begin", begin), ("end", end)))
        chosen = range(begin, min(end, x.shape[axis]), given.whole(label, "step", step))
        if not chosen:
            raise ShapeError(f"{label}: nothing of {x.type} lies in [{begin}, {end}) along axis {axis}")
        parts = [chosen if at == axis else range(size) for at, size in enumerate(x.shape)][1:]
        return self.build.slice(
            x, begin=tuple(part.start for part in parts), size=tuple(map(len, parts)),
            strides=tuple(part.step for part in parts), label=label,
        )  # fmt: skip

    def pad(self, x: Value, label: str, padding) -> Value:
        """Zeros around an image; `padding` is one number, (rows, columns) or (top, left, bottom, right)."""
        self._require(label, x, rank=4)
        top, left, bottom, right = _four(label, padding)
        return self.build.pad(x, low=(0, top, left), high=(0, bottom, right), strides=(1, 1, 1), label=label)

    def resize_nearest(self, x: Value, label: str, size) -> Value:
        """An image of `size` rows and columns, each pixel the nearest one of x: twice the size repeats each."""
        self._require(label, x, rank=4)
        return self.build.resize_nearest(x, size=given.several(label, "size", size), label=label)

    def flatten(self, x: Value) -> Value:
        self._require("flatten", x)
        return self.build.batch_flatten(x, label="flatten")

    def model(self, output: Value, data=None, about: str = "") -> Model:
        """The network that ends in `output`. `data` is what it trains on: the name of a data set, a file or folder, or
        samples such as (x, y) (see data.given); None: random samples."""
        self._require("model", output)
        data = None if data is None else taken(data)
        drawn = digest({name: self.drawn[name] for name in self.weights if name in self.drawn})
        return Model(self.name, verify(self.build.graph(output)), self.weights, data, about, drawn=drawn)

    def _require(self, label: str, *operands: Value, rank: int | None = None) -> None:
        """Raise what is wrong with a layer's name, or with what it reads."""
        given.label(label)
        for x in operands:
            if not isinstance(x, Value) or self.build.types.get(x.name) != x.type:
                raise ModelError(f"{label} reads {shown(x)}, which this network does not have",
                                 "a layer reads `input`, or what other layers of the same network gave")  # fmt: skip
            if rank is not None and x.rank != rank:
                axes = "(batch, channels, rows, columns)" if rank == 4 else "(batch, values): see flatten"
                raise ShapeError(f"{label} reads {x.type}; it needs {axes}")

    def _require_groups(self, label: str, x: Value, channels: int, groups: int) -> None:
        if channels % groups or x.shape[1] % groups:
            raise ShapeError(
                f"{label}: {groups} groups do not divide {x.shape[1]} input and {channels} output channels"
            )

    def _axes(self, label: str, x: Value, axis) -> set[int]:
        """Some axes behind the batch's, of `x`."""
        axes = set(given.numbers(label, "axis", axis))
        if not axes or max(axes) >= x.rank:
            raise ShapeError(f"{label}: an axis is one of 1 to {x.rank - 1} of {x.type}; got {shown(axis)}")
        return axes

    def _window(self, label: str, x: Value, size, stride, padding) -> dict:
        self._require(label, x, rank=4)
        size = given.several(label, "size", size)
        stride = size if stride is None else given.several(label, "strides", stride)
        return {"pool_size": size, "strides": stride, "padding": _four(label, padding), "label": label}

    @contextmanager
    def _whole_or_not_at_all(self):
        """A layer that is refused leaves no parameter behind: it can be tried again."""
        built, weights = {name: copy(value) for name, value in vars(self.build).items()}, dict(self.weights)
        try:
            yield
        except WorkbenchError:
            vars(self.build).update(built)
            self.weights.clear()
            self.weights.update(weights)
            raise

    def _weight(self, label: str, shape, scale: float = 1.0, fan_in: int | None = None) -> Value:
        given.at_most(f"{given.unreserved(label)}.weight", shape)
        deviation = given.factor(label, "scale", scale) * sqrt(2 / (fan_in or prod(shape[1:])))
        values = self.rng.normal(size=shape) * deviation
        self._begin_with(f"{label}.weight", values.astype(np.float32))
        return self.build.parameter(f"{label}.weight", shape)

    def _begin_with(self, name: str, values: np.ndarray) -> None:
        self.weights[name], self.drawn[name] = values, values.copy()

    def _bias(self, y: Value, label: str) -> Value:
        self._begin_with(f"{label}.bias", np.zeros(y.shape[1], np.float32))
        return self.build.bias_add(y, self.build.parameter(f"{label}.bias", y.shape[1:2]), label=f"{label}.bias_add")


def _four(label: str, padding) -> tuple[int, ...]:
    """One number, (rows, columns) or (top, left, bottom, right)."""
    return given.several(label, "padding", padding, least=0, counts=(2, 4))
