"""Operators as PyTorch and ONNX have them, emitted as ours: channels first, of any rank, constants folded.

    theirs                                 ours
    Conv1d of (N, C, L)                    conv2d of one row, (N, C, 1, L)
    Linear of (N, T, C)                    dense of (N·T, C)
    LayerNorm, GroupNorm                   mean, subtract, multiply, rsqrt, and scale and shift
    a + b of other ranks                   add of one rank, read from the right
    what depends on no input               its value: a constant, or the weight seen otherwise (see Weight)

An operand is a Value of the graph, a Weight, an array or a number. What is read by the graph becomes a parameter: a
weight under its own name, a constant as LABEL.constant, which no policy updates.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod, sqrt
from typing import Any

import numpy as np

from workbench.errors import ModelError
from workbench.frontends.weight import RESHAPED, Step, Weight, inverse, undone
from workbench.ir import op as ops
from workbench.ir.build import Builder, Value
from workbench.ir.graph import Graph
from workbench.ir.labels import CONSTANT
from workbench.ir.types import Ints

Operand = Value | Weight | np.ndarray | float
Pads = Sequence[tuple[int, int]]  # before and behind, an axis


class Emitter:
    """Grows a graph. `weights`: parameter -> its values; `steps`: parameter of the file -> how its values were made of
    what the file stores.
    """

    def __init__(self) -> None:
        self.build = Builder()
        self.weights: dict[str, np.ndarray] = {}
        self.steps: dict[str, tuple[Step, ...]] = {}

    def value(self, x: Operand, label: str) -> Value:
        """The operand as a value of the graph."""
        if isinstance(x, Value):
            return x
        if not isinstance(x, Weight):
            return self._constant(np.asarray(x, np.float32), label)
        if x.name not in self.weights:
            self.weights[x.name] = np.asarray(x.array, np.float32, order="C")
            self.steps[x.name] = x.steps
            return self.build.parameter(x.name, x.shape)
        steps, stored = self.steps[x.name], self.build.value(x.name)
        if steps == x.steps:
            return stored
        for step, numbers in reversed(steps):  # read in two ways: one weight all the same
            stored = self._step(stored, step, numbers if step == RESHAPED else inverse(numbers), label)
        for at, (step, numbers) in enumerate(x.steps):
            after = undone(x.array, x.steps[at + 1 :]).shape
            stored = self._step(stored, step, after if step == RESHAPED else numbers, label)
        return stored

    def _step(self, x: Value, step: str, numbers: Ints, label: str) -> Value:
        if step == RESHAPED:
            return self.build.reshape(x, newshape=numbers, label=label)
        return self.build.transpose(x, axes=numbers, label=label)

    def _constant(self, array: np.ndarray, label: str) -> Value:
        name, count = f"{label}{CONSTANT}", 1
        while name in self.weights:
            if self.weights[name].shape == array.shape and np.array_equal(self.weights[name], array, equal_nan=True):
                return self.build.value(name)
            count += 1
            name = f"{label}.{count}{CONSTANT}"
        self.weights[name] = np.asarray(array, order="C")
        return self.build.parameter(name, array.shape)

    def op(self, name: str, *operands: Operand, label: str, **attrs: Any) -> Operand:
        """A node, or the value of what depends on constants alone. `name` may be the short one."""
        kind = ops.by_short_name(name) or ops.get(name)
        if len(operands) == 1 and isinstance(operands[0], Value) and kind.layouts == "same":
            return self._before_view(operands[0], lambda x: self.build.op(kind.name, x, label=label, **attrs), label)
        if any(isinstance(x, Value | Weight) for x in operands):
            return self.build.op(kind.name, *(self.value(x, label) for x in operands), label=label, **attrs)
        (result,) = kind.evaluated(*(np.asarray(x, np.float32) for x in operands), **kind.complete(attrs))
        return result

    def _before_view(self, x: Value, of_each: Callable[[Value], Value], label: str) -> Operand:
        """A function of each element: of what x is a view of, so that a layer may be right before it."""
        maker = self.build.producer(x)
        if maker is None or not ops.get(maker.op).view:
            return of_each(x)
        return self.reshape(of_each(self.build.value(maker.operands[0])), x.shape, label)

    # Movement

    def reshape(self, x: Operand, shape: Sequence[int], label: str) -> Operand:
        shape = tuple(int(size) for size in shape)
        if not isinstance(x, Value):
            return x.reshaped(shape) if isinstance(x, Weight) else np.reshape(x, shape)
        return x if x.shape == shape else self.build.reshape(x, newshape=shape, label=label)

    def transpose(self, x: Operand, axes: Sequence[int], label: str) -> Operand:
        axes = tuple(int(axis) for axis in axes)
        if not isinstance(x, Value):
            return x.transposed(axes) if isinstance(x, Weight) else np.transpose(x, axes)
        return x if axes == tuple(range(x.rank)) else self.build.transpose(x, axes=axes, label=label)

    def part(self, x: Operand, axis: int, begin: int, end: int, label: str, step: int = 1) -> Operand:
        """Elements begin, begin + step, … before `end` along an axis."""
        chosen = range(begin, min(end, shape_of(x)[axis]), step)
        if not chosen:
            raise ModelError(f"nothing is left of an axis of {shape_of(x)[axis]} in [{begin}, {end})")
        if len(chosen) == shape_of(x)[axis]:
            return x
        if not isinstance(x, Value | Weight):
            return np.take(x, chosen, axis)
        x = self.value(x, label)
        shape = x.shape
        if step == 1 and axis < 4:
            return self.build.strided_slice(x, begin=chosen.start, end=chosen.stop, axis=axis, label=label)
        before, behind = prod(shape[:axis]), prod(shape[axis + 1 :])
        seen = self.value(self.reshape(x, (before, shape[axis], behind), label), label)
        cut = self.build.slice(seen, begin=(chosen.start, 0), size=(len(chosen), behind), strides=(step, 1),
                               label=label)  # fmt: skip
        return self.reshape(cut, (*shape[:axis], len(chosen), *shape[axis + 1 :]), label)

    def joined(self, parts: Sequence[Operand], axis: int, label: str) -> Operand:
        if not any(isinstance(x, Value | Weight) for x in parts):
            return np.concatenate([np.asarray(x) for x in parts], axis)
        if len(parts) == 1:
            return parts[0]
        return self.build.concatenate(*(self.value(x, label) for x in parts), axis=axis, label=label)

    def padded(self, x: Operand, pads: Pads, label: str, value: float = 0.0) -> Operand:
        """Elements of one value before and behind, for each axis; fewer than none cut."""
        for axis, (low, high) in enumerate(pads):
            if low < 0 or high < 0:
                x = self.part(x, axis, max(0, -low), shape_of(x)[axis] - max(0, -high), label)
        pads = [(max(0, low), max(0, high)) for low, high in pads]
        if not any(map(any, pads)):
            return x
        if not isinstance(x, Value):
            return np.pad(np.asarray(x if not isinstance(x, Weight) else x.array), pads, constant_values=value)
        if any(pads[0]):  # the first axis is no one's batch here
            seen = self.padded(self.reshape(x, (1, *x.shape), label), [(0, 0), *pads], label, value)
            return self.reshape(seen, shape_of(seen)[1:], label)
        return self.build.pad(x, low=tuple(low for low, _ in pads[1:]), high=tuple(high for _, high in pads[1:]),
                              strides=(1,) * (x.rank - 1), value=float(value), label=label)  # fmt: skip

    # Layers

    def conv(self, x: Operand, w: Operand, b: Operand | None, *, strides: Ints, pads: Pads, dilation: Ints,
             groups: int, label: str) -> Operand:  # fmt: skip
        """Over one axis or two: (N, C, L) or (N, C, H, W)."""
        line = len(shape_of(x)) == 3
        x, w, strides, pads, dilation = self._images(x, w, strides, pads, dilation, label)
        top_left, bottom_right = zip(*pads, strict=True)
        y = self.build.conv2d(
            self.value(x, label), self.value(w, label), channels=shape_of(w)[0], kernel_size=shape_of(w)[2:],
            strides=strides, padding=(*top_left, *bottom_right), dilation=dilation, groups=groups, label=label,
        )  # fmt: skip
        if b is not None:
            y = self.build.bias_add(y, self.value(b, label), label=f"{label}.bias")
        return self._lined(y, line, label)

    def conv_transpose(self, x: Operand, w: Operand, b: Operand | None, *, strides: Ints, pads: Pads, dilation: Ints,
                       output_padding: Ints, groups: int, label: str) -> Operand:  # fmt: skip
        """`w`: (input channels, channels a group, …)."""
        line = len(shape_of(x)) == 3
        output_padding = (0, *output_padding) if line else output_padding
        x, w, strides, pads, dilation = self._images(x, w, strides, pads, dilation, label)
        top_left, bottom_right = zip(*pads, strict=True)
        y = self.build.conv2d_transpose(
            self.value(x, label), self.value(w, label), channels=shape_of(w)[1] * groups, kernel_size=shape_of(w)[2:],
            strides=strides, padding=(*top_left, *bottom_right), output_padding=output_padding, dilation=dilation,
            groups=groups, label=label,
        )  # fmt: skip
        return self._lined(y if b is None else self.build.bias_add(y, self.value(b, label), label=f"{label}.bias"),
                           line, label)  # fmt: skip

    def _images(self, x: Operand, w: Operand, strides: Ints, pads: Pads, dilation: Ints, label: str):
        """A line as an image of one row."""
        if len(shape_of(x)) != 3:
            return x, w, tuple(strides), pads, tuple(dilation)
        (n, c, length), (o, i, k) = shape_of(x), shape_of(w)
        x, w = self.reshape(x, (n, c, 1, length), label), self.reshape(w, (o, i, 1, k), label)
        return x, w, (1, *strides), [(0, 0), *pads], (1, *dilation)

    def _lined(self, y: Value, line: bool, label: str) -> Value:
        return self.build.reshape(y, newshape=(*y.shape[:2], y.shape[3]), label=label) if line else y

    def linear(self, x: Operand, w: Operand, b: Operand | None, label: str) -> Operand:
        """x · wᵀ + b of the last axis; `w`: (outputs, inputs)."""
        shape = shape_of(x)
        flat = self.value(self.reshape(x, (prod(shape[:-1]), shape[-1]), label), label)
        y = self.build.dense(flat, self.value(w, label), label=label)
        if b is not None:
            y = self.build.bias_add(y, self.value(b, label), label=f"{label}.bias")
        return self.reshape(y, (*shape[:-1], y.shape[1]), label)

    def matmul(self, a: Operand, b: Operand, label: str) -> Operand:
        """As numpy's: leading axes are broadcast; a vector is a row, or a column."""
        if len(shape_of(a)) == 1 and len(shape_of(b)) > 2:
            return self.matmul(self._turned(b, label), a, label)
        if len(shape_of(a)) == 2 < len(shape_of(b)):  # (bᵀ · aᵀ)ᵀ: a stays one matrix for all of b
            turned = self.matmul(self._turned(b, label), self._turned(a, label), label)
            return self._turned(turned, label)
        (*outer_a, m, k), (*outer_b, _, n) = _matrix(shape_of(a), 0), _matrix(shape_of(b), 1)
        drop = [axis for axis, x in ((-2, a), (-1, b)) if len(shape_of(x)) == 1]
        a, b = self.reshape(a, (*outer_a, m, k), label), self.reshape(b, (*outer_b, k, n), label)
        if not outer_b:
            flat = self.value(self.reshape(a, (prod(outer_a) * m, k), label), label)
            if isinstance(b, Weight):  # a layer whose weight is stored the other way
                y = self.build.dense(flat, self.value(b.transposed((1, 0)), label), label=label)
            else:
                y = self.build.matmul(flat, self.value(b, label), label=label)
            outer = outer_a
        else:
            outer = list(np.broadcast_shapes(tuple(outer_a), tuple(outer_b)))
            count = prod(outer)
            both = [self.repeated(x, (*outer, *shape_of(x)[-2:]), label) for x in (a, b)]
            a, b = (self.reshape(x, (count, *shape_of(x)[-2:]), label) for x in both)
            y = self.build.batch_matmul(self.value(a, label), self.value(b, label), label=label)
        shape = [*outer, m, n]
        for axis in drop:
            shape.pop(axis)
        return self.reshape(y, shape, label)

    def _turned(self, x: Operand, label: str) -> Operand:
        """The last two axes swapped."""
        rank = len(shape_of(x))
        return self.transpose(x, (*range(rank - 2), rank - 1, rank - 2), label)

    def repeated(self, x: Operand, shape: Ints, label: str) -> Operand:
        """x as often as this shape needs it, along axes of one element."""
        if shape_of(x) == tuple(shape):
            return x
        if not isinstance(x, Value | Weight):
            return np.broadcast_to(x, shape)
        own = (1,) * (len(shape) - len(shape_of(x))) + shape_of(x)
        zeros = np.zeros([size if its == 1 else 1 for size, its in zip(shape, own, strict=True)], np.float32)
        return self.of_two("add", x, zeros, label)

    # Norms

    def batch_norm(self, x: Operand, gamma: Operand | None, beta: Operand | None, mean, var, epsilon: float,
                   label: str) -> Operand:  # fmt: skip
        """(x − mean) / √(var + ε) · gamma + beta, a channel each, with the statistics of the file.

        Where a policy leaves the layer before it as it is, the compiled step has it in there (see passes/fold_scales).
        """
        maker = self.build.producer(x) if isinstance(x, Value) else None
        if isinstance(x, Value) and maker is not None and ops.get(maker.op).view and x.rank == 3:
            image = self.build.value(maker.operands[0])  # whose rows and columns x has as a line: a layer may be there
            if image.rank == 4 and image.shape[:2] == x.shape[:2]:
                y = self.batch_norm(image, gamma, beta, mean, var, epsilon, label)
                return self.reshape(y, x.shape, label)
        along = (-1, *[1] * (len(shape_of(x)) - 2))
        inverse_deviation = 1 / np.sqrt(np.asarray(var, np.float64) + epsilon)
        x = self.op("bias_add", x, -np.asarray(mean), label=f"{label}.mean")
        x = self.of_two("multiply", x, inverse_deviation.reshape(along), f"{label}.var")
        if gamma is not None:
            x = self.of_two("multiply", x, self.reshape(gamma, (shape_of(gamma)[0], *along[1:]), label),
                            f"{label}.scale")  # fmt: skip
        return x if beta is None else self.op("bias_add", x, beta, label=f"{label}.shift")

    def layer_norm(self, x: Operand, axes: int, gamma: Operand | None, beta: Operand | None, epsilon: float,
                   label: str) -> Operand:  # fmt: skip
        """Over the last so many axes."""
        shape = shape_of(x)
        y = self._normalized(x, tuple(range(len(shape) - axes, len(shape))), epsilon, label)
        return self._scaled(y, gamma, beta, (1,) * (len(shape) - axes) + shape[len(shape) - axes :], label)

    def group_norm(self, x: Operand, groups: int, gamma: Operand | None, beta: Operand | None, epsilon: float,
                   label: str) -> Operand:  # fmt: skip
        n, channels, *size = shape_of(x)
        grouped = self.reshape(x, (n, groups, channels // groups * prod(size)), label)
        y = self.reshape(self._normalized(grouped, (2,), epsilon, label), (n, channels, *size), label)
        return self._scaled(y, gamma, beta, (1, channels, *[1] * len(size)), label)

    def _normalized(self, x: Operand, axes: Ints, epsilon: float, label: str) -> Operand:
        centred = self.of_two("subtract", x, self.mean(x, axes, label, keep=True), f"{label}.centred")
        square = self.op("multiply", centred, centred, label=f"{label}.square")
        inverse = self.op(
            "rsqrt", self.mean(square, axes, label, keep=True), epsilon=float(epsilon), label=f"{label}.rsqrt"
        )
        return self.of_two("multiply", centred, inverse, f"{label}.normalized")

    def _scaled(self, x: Operand, gamma: Operand | None, beta: Operand | None, shape: Ints, label: str) -> Operand:
        """x · gamma + beta, which have this shape but for axes of one element."""
        if gamma is not None:
            x = self.of_two("multiply", x, self.reshape(gamma, _filled(shape, gamma), label), f"{label}.scale")
        if beta is not None:
            x = self.of_two("add", x, self.reshape(beta, _filled(shape, beta), label), f"{label}.shift")
        return x

    # Elementwise, reductions, pooling

    def of_two(self, name: str, a: Operand, b: Operand, label: str) -> Operand:
        """An operator of two operands, element by element; the shape with fewer axes is read from the right."""
        rank = max(len(shape_of(a)), len(shape_of(b)))
        a, b = (self.reshape(x, (1,) * (rank - len(shape_of(x))) + shape_of(x), label) for x in (a, b))
        return self.op(name, a, b, label=label)

    def mean(self, x: Operand, axes: Sequence[int], label: str, keep: bool) -> Operand:
        axes = tuple(sorted({axis % len(shape_of(x)) for axis in axes})) or tuple(range(len(shape_of(x))))
        y = self.op("mean", x, axis=axes, label=label)
        rest = [size for at, size in enumerate(shape_of(x)) if at not in axes]
        return y if keep else self.reshape(y, rest, label)

    def pool(
        self, kind: str, x: Operand, *, size: Ints, strides: Ints, pads: Pads, label: str, **attrs: Any
    ) -> Operand:
        """`kind`: max or avg; over one axis or two."""
        line = len(shape_of(x)) == 3
        if line:
            n, c, length = shape_of(x)
            x, size, strides, pads = (
                self.reshape(x, (n, c, 1, length), label),
                (1, *size),
                (1, *strides),
                [(0, 0), *pads],
            )
        top_left, bottom_right = zip(*pads, strict=True)
        y = getattr(self.build, f"{kind}_pool2d")(self.value(x, label), pool_size=tuple(size), strides=tuple(strides),
                          padding=(*top_left, *bottom_right), label=label, **attrs)  # fmt: skip
        return self._lined(y, line, label)

    def adaptive_pool(self, kind: str, x: Operand, size: Ints, label: str) -> Operand:
        """`kind`: max or avg; to so many rows and columns, which divide those of x."""
        from_size = shape_of(x)[2:]
        if kind == "avg" and tuple(size) == (1,) * len(size):
            if len(size) == 1:
                return self.mean(x, (2,), label, keep=True)
            return self.op("global_avg_pool2d", x, label=label)
        if any(large % small for large, small in zip(from_size, size, strict=True)):
            raise ModelError(
                f"an adaptive pooling of {tuple(from_size)} to {tuple(size)} has windows of different sizes, which is "
                "not supported", "sizes that divide those of the input give windows of one size",
            )  # fmt: skip
        window = tuple(large // small for large, small in zip(from_size, size, strict=True))
        return self.pool(kind, x, size=window, strides=window, pads=[(0, 0)] * len(window), label=label)

    def softmax(self, x: Operand, axis: int, label: str, log: bool = False) -> Operand:
        rank = len(shape_of(x))
        axis %= rank
        order = [*(at for at in range(rank) if at != axis), axis]
        y = self.op("log_softmax" if log else "softmax", self._ranked(self.transpose(x, order, label), label),
                    label=label)  # fmt: skip
        y = self.reshape(y, [shape_of(x)[at] for at in order], label)
        return self.transpose(y, inverse(order), label)

    def _ranked(self, x: Operand, label: str) -> Operand:
        return x if len(shape_of(x)) > 1 else self.reshape(x, (1, *shape_of(x)), label)

    def attention(self, q: Operand, k: Operand, v: Operand, mask: Operand | None, scale: float | None,
                  label: str) -> Operand:  # fmt: skip
        """softmax(q · kᵀ · scale + mask) · v of the last two axes."""
        scale = 1 / sqrt(shape_of(q)[-1]) if scale is None else scale
        axes = [*range(len(shape_of(k)) - 2), len(shape_of(k)) - 1, len(shape_of(k)) - 2]
        scores = self.matmul(q, self.transpose(k, axes, f"{label}.keys"), f"{label}.scores")
        scores = self.of_two("multiply", scores, scale, f"{label}.scaled")
        if mask is not None:
            scores = self.of_two("add", scores, mask, f"{label}.mask")
        return self.matmul(self.softmax(scores, -1, f"{label}.softmax"), v, f"{label}.values")


def for_any_batch(graph: Graph, twice: Graph) -> Graph:
    """The graph with −1 for each size in a reshape that grows with the batch; `twice`: the same for twice as many.

    As it is where more than that differs: its sizes then refuse another batch.
    """
    if [node.op for node in graph.nodes] != [node.op for node in twice.nodes]:
        return graph
    pairs = list(zip(graph.nodes, twice.nodes, strict=True))
    alike = all({**node.attrs, "newshape": ()} == {**other.attrs, "newshape": ()} for node, other in pairs)
    if not alike or any(graph.types[name] != twice.types.get(name) for name in graph.parameters):
        return graph
    nodes = []
    for node, other in pairs:
        shape, grown = node.attrs.get("newshape", ()), other.attrs.get("newshape", ())
        if shape != grown and len(shape) == len(grown):
            sizes = [-1 if a != b else a for a, b in zip(shape, grown, strict=True)]
            if sizes.count(-1) == 1:
                node = replace(node, attrs={**node.attrs, "newshape": tuple(sizes)})
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def shape_of(x: Operand) -> Ints:
    return tuple(x.shape) if isinstance(x, Value | Weight) else np.shape(x)


def _filled(shape: Ints, x: Operand) -> Ints:
    """`shape` where it holds all of x, with the elements of x along the axis that is -1 there or 1."""
    return shape if -1 in shape or prod(shape) == prod(shape_of(x)) else shape_of(x)


def _matrix(shape: Ints, at: int) -> Ints:
    """A vector as a row, at=0, or as a column."""
    return shape if len(shape) > 1 else ((1, *shape) if at == 0 else (*shape, 1))
