"""Post-training quantization: a float32 forward graph as an int8 one, calibrated on samples.

    calibrate     run the samples through the float graph; of each value keep the range that it takes
    convert       conv/dense + bias + ReLU  ->  one qnn.conv2d, its clip being the ReLU;  add + ReLU  ->  one qnn.add
                  sigmoid, hard swish, …    ->  a table of 256 results

Weights: one scale a filter, symmetric, s = max |w| / 127; biases int32 in units of x_scale · s (coarser ones where they
would not fit, see safe_channels). Activations: one scale and zero point a tensor, so that the range, zero included,
fills [-128, 127] (Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference"). A dense layer is a convolution over one pixel.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from workbench.errors import ModelError
from workbench.ir.build import Builder, Value
from workbench.ir.graph import Graph, Node
from workbench.ir.interpret import interpret
from workbench.ir.verify import verify
from workbench.quantize import room
from workbench.quantize.room import Range
from workbench.quantize.safe_channels import moved, safe_shifts
from workbench.quantize.ties import ACTIVATIONS, Layer, largest_of_each, tied, weighted_layers

WEIGHT_LIMIT, SMALLEST_SCALE = 127, 1e-8


@dataclass(frozen=True)
class Quantization:
    """What an int8 tensor stands for: (q - zero_point) · scale."""

    scale: float
    zero_point: int

    @classmethod
    def of_range(cls, low: float, high: float) -> "Quantization":
        """The one whose int8 covers [low, high] and zero, which it holds exactly."""
        low, high = min(low, 0.0), max(high, 0.0)
        scale = (high - low) / 255 or 1.0
        return cls(float(np.float32(scale)), int(np.clip(round(-128 - low / scale), -128, 127)))

    def of_scale(self, scale: float) -> "Quantization":
        """The one of this scale, not a smaller one, that covers the same range."""
        if scale == self.scale:
            return self
        low = (-128 - self.zero_point) * self.scale
        return Quantization(scale, int(np.clip(round(-128 - low / scale), -128, 127)))

    def stored(self, real: float) -> int:
        return int(np.clip(round(real / self.scale) + self.zero_point, -128, 127))


OF_BOUNDED = {"nn.sigmoid": Quantization(1 / 256, -128), "nn.tanh": Quantization(1 / 128, 0)}


def ranges_seen(graph: Graph, weights: Mapping[str, np.ndarray], samples: np.ndarray) -> dict[str, Range]:
    """Value -> its least and largest, zero included, while `samples` (n, batch, …) run through the float graph."""
    (source,) = graph.inputs
    ranges: dict[str, Range] = {}

    def see(name: str, values: np.ndarray) -> None:
        low, high = ranges.get(name, (0.0, 0.0))
        ranges[name] = min(low, float(values.min())), max(high, float(values.max()))

    def observe(node: Node, results: tuple[np.ndarray, ...]) -> None:
        see(node.results[0], results[0])

    for sample in samples:
        see(source, sample)
        interpret(graph, {**weights, source: sample}, observe=observe)
    return ranges


def quantized(
    graph: Graph,
    weights: Mapping[str, np.ndarray],
    samples: np.ndarray,
    untrained: bool = False,
    output: Range | None = None,
) -> tuple[Graph, dict[str, np.ndarray]]:
    """An int8 graph that computes what `graph` does, its input and output int8 too, and its parameters.

    `samples` (n, batch, …) calibrate it. `untrained` leaves room for what training will come to, `output` a range that
    the output must hold (see room). Raises ModelError for an operator that has no int8 form.
    """
    ranges = ranges_seen(graph, weights, samples)
    ranges = room.widened(graph, ranges, output) if untrained else ranges
    return _Converter(graph, weights, {name: Quantization.of_range(*each) for name, each in ranges.items()},
                      room.least_magnitude if untrained else None).run()  # fmt: skip


class _Converter:
    def __init__(
        self,
        graph: Graph,
        weights: Mapping[str, np.ndarray],
        ranges: dict[str, Quantization],
        least: Callable[[np.ndarray], float] | None = None,
    ):
        """`least`: what the filters of a layer hold at least, whatever they are."""
        self.graph, self.float_weights, self.least = graph, weights, least
        self.build = Builder()
        self.weights: dict[str, np.ndarray] = {}
        self.values: dict[str, Value] = {}  # float value -> its int8 form
        self.makers = graph.producer()
        self.readers: dict[str, list[Node]] = {}
        for node in graph.nodes:
            for name in node.operands:
                self.readers.setdefault(name, []).append(node)
        layers = weighted_layers(graph, self._only_reader)
        self.layers = {layer.node.results[0]: layer for layer in layers}
        self.ties = {layer.node.results[0]: group for group in tied(layers, lambda layer: (layer.weight, layer.bias))
                     for layer in group}  # fmt: skip
        fixed = {node.results[0]: OF_BOUNDED[node.op] for node in graph.nodes if node.op in OF_BOUNDED}
        self.ranges = self._of_one_scale(tied(layers, lambda layer: (layer.bias,)), ranges | fixed)
        self.done: set[str] = set()  # values that exist only inside an int8 operator

    def run(self) -> tuple[Graph, dict[str, np.ndarray]]:
        (source,) = self.graph.inputs
        of_input = self.ranges[source]
        self.values[source] = self.build.input(
            source, self.graph.types[source].shape, "int8", scale=of_input.scale, zero_point=of_input.zero_point
        )
        for node in self.graph.nodes:
            if node.results[0] in self.done:
                continue
            convert = CONVERTERS.get(node.op)
            if convert is None:
                raise ModelError(
                    f"{node.label or node.op}: {node.op} has no int8 form", f"there are {', '.join(CONVERTERS)}"
                )
            convert(self, node)
        (output,) = self.graph.outputs
        return verify(self.build.graph(self.values[output])), self.weights

    def layer(self, node: Node) -> None:
        """A convolution or dense layer with the bias and the activation behind it."""
        layer = self.layers[node.results[0]]
        x, of_y = self._value(node, 0), self.ranges[layer.end.results[0]]
        name, window = LAYERS[node.op]
        if node.op == "nn.conv2d_transpose" and (node.attrs["groups"] > 1 or node.attrs["dilation"] != (1, 1)):
            raise ModelError(f"{node.label}: a transposed convolution in groups or dilated has no int8 form")
        attrs = {key: node.attrs[key] for key in window}
        if node.op == "nn.dense":
            x = self.build.reshape(x, newshape=(*x.shape, 1, 1), label=f"{node.label}.pixel")
        w, b, s = (self._parameter(name, values) for name, values in self._stored(layer).items())
        m = self.build.op(
            "qnn.requantization", s, x_scale=x.type.scale, y_scale=of_y.scale, label=f"{node.label}.factors"
        )
        y = self.build.op(
            name, x, w, b, m, channels=w.shape[0], kernel_size=w.shape[2:], x_scale=x.type.scale,
            x_zero_point=x.type.zero_point, y_scale=of_y.scale, y_zero_point=of_y.zero_point,
            clip=_clip(of_y, layer.activation), label=node.label, **attrs,
        )  # fmt: skip
        if node.op == "nn.dense":
            y = self.build.batch_flatten(y, label=f"{node.label}.flatten")
        self._becomes(layer.end, y)

    def _stored(self, layer: Layer) -> dict[str, np.ndarray]:
        """Weight, bias and scales of a layer as they are stored, by name; the same for all that share them."""
        group = self.ties[layer.node.results[0]]
        s = np.max([_filter_scales(w, self.least(w) if self.least else 0.0) for w in map(self._filters, group)], axis=0)
        shifts = safe_shifts([(*self._integers(each, s), self._factor(each)) for each in group], s)
        w, b, s = moved(*self._integers(layer, s), s, shifts)
        of_all = min(each.weight for each in group)
        return {layer.weight: w, layer.bias or self._own_bias(layer): b, f"{of_all}_scale": s}

    def _filters(self, layer: Layer) -> np.ndarray:
        """As int8 layers have them, output channels first."""
        w = self.float_weights[layer.weight]
        if layer.node.op == "nn.conv2d_transpose":
            return w.transpose(1, 0, 2, 3)
        return w[:, :, None, None] if w.ndim == 2 else w

    def _integers(self, layer: Layer, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        w = self._filters(layer)
        bias = self.float_weights[layer.bias] if layer.bias else np.zeros(len(w), np.float32)
        b = np.rint(bias / (self._x_scale(layer) * s.astype(np.float64)))  # beyond int32 where weights are all but zero
        return np.rint(w / s[:, None, None, None]), b

    def _own_bias(self, layer: Layer) -> str:
        """A name for the zeros that are added where a layer has no bias: each layer has its own."""
        name, number = f"{layer.weight}.bias", 2
        while name in self.weights:
            name, number = f"{layer.weight}.bias_{number}", number + 1
        return name

    def _factor(self, layer: Layer) -> float:
        return self._x_scale(layer) / self.ranges[layer.end.results[0]].scale

    def _x_scale(self, layer: Layer) -> float:
        return self.ranges[self._origin(layer.node.operands[0])].scale

    def _origin(self, name: str) -> str:
        """The value whose quantization `name` has: operators that take int8 as it is hand it on."""
        as_it_is = (_Converter.same, _Converter.pad)
        while (maker := self.makers.get(name)) is not None and CONVERTERS.get(maker.op) in as_it_is:
            name = maker.operands[0]
        return name

    def _of_one_scale(self, groups: list[list[Layer]], ranges: dict[str, Quantization]) -> dict[str, Quantization]:
        """The ranges, those of what layers with one bias read widened to one scale."""
        origins = [[self._origin(layer.node.operands[0]) for layer in group] for group in groups]
        known = [group for group in origins if len(group) > 1 and set(group) <= set(ranges)]
        scales = largest_of_each({name: each.scale for name, each in ranges.items()}, known)
        return {name: each.of_scale(scales[name]) for name, each in ranges.items()}

    def of_two(self, node: Node) -> None:
        """A sum, a difference or a product, with the activation behind it."""
        (a, of_a), (b, of_b) = (self._operand(node, index) for index in range(2))
        follower = self._only_reader(node)
        end = follower if follower is not None and follower.op in ACTIVATIONS else node
        of_y = self.ranges[end.results[0]]
        y = self.build.op(
            f"qnn.{node.op}", a, b, a_scale=of_a.scale, a_zero_point=of_a.zero_point, b_scale=of_b.scale,
            b_zero_point=of_b.zero_point, y_scale=of_y.scale, y_zero_point=of_y.zero_point,
            clip=_clip(of_y, ACTIVATIONS.get(end.op, "")), label=node.label,
        )  # fmt: skip
        self._becomes(end, y)

    def _operand(self, node: Node, index: int) -> tuple[Value, Quantization]:
        """The int8 form of an operand, which may be a constant, and what it stands for."""
        name = node.operands[index]
        if name not in self.graph.parameters:
            x = self._value(node, index)
            return x, Quantization(x.type.scale, x.type.zero_point)
        values = self.float_weights[name]
        found = Quantization.of_range(float(values.min()), float(values.max()))
        stored = np.clip(np.rint(values / found.scale) + found.zero_point, -128, 127)
        return self._parameter(name, stored.astype(np.int8)), found

    def table(self, node: Node) -> None:
        """An activation that stands alone."""
        x, of_y = self._value(node, 0), self.ranges[node.results[0]]
        t = self.build.shared(
            "qnn.table", function=node.op.removeprefix("nn."), number=node.attrs.get("alpha", 0.0),
            x_scale=x.type.scale, x_zero_point=x.type.zero_point, y_scale=of_y.scale, y_zero_point=of_y.zero_point,
            label=f"{node.label}.table",
        )  # fmt: skip
        self.values[node.results[0]] = self.build.op("qnn.lookup", x, t, label=node.label)

    def same(self, node: Node) -> None:
        """An operator that takes int8 as it takes floats."""
        x = self._value(node, 0)
        self.values[node.results[0]] = self.build.op(node.op, x, label=node.label, **node.attrs)

    def mean(self, node: Node) -> None:
        x = self._value(node, 0)
        pool = {"pool_size": x.shape[2:]} if node.op == "nn.global_avg_pool2d" else dict(node.attrs)
        if pool.pop("count_include_pad", False) or any(pool.get("padding", ())):
            raise ModelError(f"{node.label}: an average over padding has no int8 form")
        of_y = self.ranges[node.results[0]]
        name = "qnn.mean" if node.op == "mean" else "qnn.avg_pool2d"
        y = self.build.op(name, x, x_scale=x.type.scale, x_zero_point=x.type.zero_point, y_scale=of_y.scale,
                          y_zero_point=of_y.zero_point, label=node.label, **pool)  # fmt: skip
        self.values[node.results[0]] = y

    def pad(self, node: Node) -> None:
        """Around its operand, in its scale."""
        x = self._value(node, 0)
        value = Quantization(x.type.scale, x.type.zero_point).stored(node.attrs["value"])
        self.values[node.results[0]] = self.build.pad(x, label=node.label, **{**node.attrs, "value": value})

    def concatenate(self, node: Node) -> None:
        """Operands of another scale than the result's are brought to it."""
        of_y = self.ranges[node.results[0]]
        operands = [self._in_scale(self._value(node, i), of_y, node.label) for i in range(len(node.operands))]
        self.values[node.results[0]] = self.build.concatenate(*operands, label=node.label, **node.attrs)

    def _in_scale(self, x: Value, of_y: Quantization, label: str) -> Value:
        of_x = Quantization(x.type.scale, x.type.zero_point)
        if of_x == of_y:
            return x
        return self.build.op(
            "qnn.requantize", x, x_scale=of_x.scale, x_zero_point=of_x.zero_point, y_scale=of_y.scale,
            y_zero_point=of_y.zero_point, label=f"{label}.scaled",
        )  # fmt: skip

    def _value(self, node: Node, index: int) -> Value:
        """The int8 form of an operand. Raises ModelError for a parameter: there is none but in a layer."""
        name = node.operands[index]
        if name not in self.values:
            raise ModelError(f"{node.label or node.op}: its operand {index}, %{name}, has no int8 form")
        return self.values[name]

    def _becomes(self, end: Node, y: Value) -> None:
        """The nodes up to `end` are one int8 operator, with this result."""
        node = end
        while node.op in (*ACTIVATIONS, "nn.bias_add"):
            self.done.add(node.results[0])
            node = self.makers[node.operands[0]]
        self.values[end.results[0]] = y

    def _only_reader(self, node: Node) -> Node | None:
        readers = self.readers.get(node.results[0], [])
        return readers[0] if len(readers) == 1 and node.results[0] not in self.graph.outputs else None

    def _parameter(self, name: str, values: np.ndarray) -> Value:
        if name in self.weights:
            return self.build.value(name)
        self.weights[name] = values
        return self.build.parameter(name, values.shape, str(values.dtype))


def _filter_scales(w: np.ndarray, least: float) -> np.ndarray:
    largest = np.maximum(np.abs(w).max(axis=(1, 2, 3)), np.float32(least))
    largest[largest == 0] = largest.max() or 1.0  # a filter of zeros counts in its neighbours' units, to be trained
    scales: np.ndarray = np.maximum(largest / WEIGHT_LIMIT, SMALLEST_SCALE)
    return scales.astype(np.float32)


def _clip(of_y: Quantization, activation: str) -> tuple[int, int]:
    """The clip that does in int8 what the activation does."""
    low = of_y.stored(0.0) if activation else -128
    return low, of_y.stored(6.0) if activation == "relu6" else 127


LAYERS = {  # float layer -> its int8 form, and the attributes they share
    "nn.conv2d": ("qnn.conv2d", ("strides", "padding", "dilation", "groups")),
    "nn.conv2d_transpose": ("qnn.transposed_conv2d", ("strides", "padding", "output_padding")),
    "nn.dense": ("qnn.conv2d", ()),
}
CONVERTERS = {
    **dict.fromkeys(LAYERS, _Converter.layer), **dict.fromkeys(("add", "subtract", "multiply"), _Converter.of_two),
    **dict.fromkeys(("nn.sigmoid", "nn.tanh", "nn.leaky_relu", "nn.hard_swish"), _Converter.table),
    "concatenate": _Converter.concatenate,
    "nn.max_pool2d": _Converter.same, "nn.batch_flatten": _Converter.same, "reshape": _Converter.same,
    "nn.resize_nearest": _Converter.same, "slice": _Converter.same, "transpose": _Converter.same, "pad": _Converter.pad,
    "nn.avg_pool2d": _Converter.mean, "nn.global_avg_pool2d": _Converter.mean, "mean": _Converter.mean,
}  # fmt: skip
