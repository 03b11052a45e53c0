"""Post-training quantization: a float32 forward graph as an int8 one, calibrated on samples.

    calibrate     run the samples through the float graph; of each value keep the range that it takes
    convert       conv/dense + bias + ReLU  ->  one qnn.conv2d, its clip being the ReLU;  add + ReLU  ->  one qnn.add

Weights: one scale a filter, symmetric, s = max |w| / 127; biases int32 in units of x_scale · s (coarser ones where they
would not fit, see safe_channels). Activations: one scale and zero point a tensor, so that the range, zero included,
fills [-128, 127] (Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference"). A dense layer is a convolution over one pixel.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from workbench.errors import ModelError
from workbench.ir.build import Builder, Value
from workbench.ir.graph import Graph, Node
from workbench.ir.interpret import interpret
from workbench.ir.verify import verify
from workbench.quantize.safe_channels import safe_channels

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

    def stored(self, real: float) -> int:
        return int(np.clip(round(real / self.scale) + self.zero_point, -128, 127))


def calibrated(graph: Graph, weights: Mapping[str, np.ndarray], samples: np.ndarray) -> dict[str, Quantization]:
    """Value -> its quantization, from the ranges seen while `samples` (n, batch, …) run through the float graph."""
    (source,) = graph.inputs
    ranges: dict[str, tuple[float, float]] = {}

    def see(name: str, values: np.ndarray) -> None:
        low, high = ranges.get(name, (0.0, 0.0))
        ranges[name] = min(low, float(values.min())), max(high, float(values.max()))

    def observe(node: Node, results) -> None:
        see(node.results[0], results[0])

    for sample in samples:
        see(source, sample)
        interpret(graph, {**weights, source: sample}, observe=observe)
    return {name: Quantization.of_range(*limits) for name, limits in ranges.items()}


def quantized(
    graph: Graph, weights: Mapping[str, np.ndarray], samples: np.ndarray
) -> tuple[Graph, dict[str, np.ndarray]]:
    """An int8 graph that computes what `graph` does, its input and output int8 too, and its parameters.

    `samples` (n, batch, …) calibrate it. Raises ModelError for an operator that has no int8 form.
    """
    return _Converter(graph, weights, calibrated(graph, weights, samples)).run()


class _Converter:
    def __init__(self, graph: Graph, weights: Mapping[str, np.ndarray], ranges: dict[str, Quantization]):
        self.graph, self.float_weights, self.ranges = graph, weights, ranges
        self.build = Builder()
        self.weights: dict[str, np.ndarray] = {}
        self.values: dict[str, Value] = {}  # float value -> its int8 form
        self.done: set[str] = set()  # values that exist only inside an int8 operator
        self.readers: dict[str, list[Node]] = {}
        for node in graph.nodes:
            for name in node.operands:
                self.readers.setdefault(name, []).append(node)

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
        x, w = self.values[node.operands[0]], self.float_weights[node.operands[1]]
        end, bias, bias_name = node, np.zeros(len(w), np.float32), f"{node.operands[1]}.bias"
        follower = self._only_reader(end)
        if follower is not None and follower.op == "nn.bias_add":
            end, bias_name, bias = follower, follower.operands[1], self.float_weights[follower.operands[1]]
            self.done.add(end.results[0])
        end, clip = self._activation(end)
        attrs = (
            {key: node.attrs[key] for key in ("strides", "padding", "dilation", "groups")}
            if node.op == "nn.conv2d"
            else {}
        )
        if w.ndim == 2:
            w = w[:, :, None, None]
            x = self.build.reshape(x, newshape=(*x.shape, 1, 1), label=f"{node.label}.pixel")
        largest = np.abs(w).max(axis=(1, 2, 3))
        largest[largest == 0] = largest.max() or 1.0  # a filter of zeros counts in its neighbours' units, to be trained
        scales = np.maximum(largest / WEIGHT_LIMIT, SMALLEST_SCALE).astype(np.float32)
        of_y = self.ranges[end.results[0]]
        w8 = np.rint(w / scales[:, None, None, None])
        b32 = np.rint(bias / (x.type.scale * scales.astype(np.float64)))  # beyond int32 where weights are all but zero
        w8, b32, scales = safe_channels(w8, b32, scales, x.type.scale / of_y.scale)
        stored = {node.operands[1]: w8, bias_name: b32, f"{node.operands[1]}_scale": scales}
        w8, b32, s = (self._parameter(name, values) for name, values in stored.items())
        m = self.build.op(
            "qnn.requantization", s, x_scale=x.type.scale, y_scale=of_y.scale, label=f"{node.label}.factors"
        )
        y = self.build.op(
            "qnn.conv2d", x, w8, b32, m, channels=w.shape[0], kernel_size=w.shape[2:], x_scale=x.type.scale,
            x_zero_point=x.type.zero_point, y_scale=of_y.scale, y_zero_point=of_y.zero_point, clip=clip,
            label=node.label, **attrs,
        )  # fmt: skip
        if node.op == "nn.dense":
            y = self.build.batch_flatten(y, label=f"{node.label}.flatten")
        self.values[end.results[0]] = y

    def add(self, node: Node) -> None:
        a, b = (self.values[name] for name in node.operands)
        end, clip = self._activation(node)
        of_y = self.ranges[end.results[0]]
        self.values[end.results[0]] = self.build.op(
            "qnn.add", a, b, a_scale=a.type.scale, a_zero_point=a.type.zero_point, b_scale=b.type.scale,
            b_zero_point=b.type.zero_point, y_scale=of_y.scale, y_zero_point=of_y.zero_point, clip=clip,
            label=node.label,
        )  # fmt: skip

    def same(self, node: Node) -> None:
        """An operator that takes int8 as it takes floats."""
        x = self.values[node.operands[0]]
        self.values[node.results[0]] = self.build.op(node.op, x, label=node.label, **node.attrs)

    def mean(self, node: Node) -> None:
        x = self.values[node.operands[0]]
        pool = {"pool_size": x.shape[2:]} if node.op == "nn.global_avg_pool2d" else dict(node.attrs)
        if pool.pop("count_include_pad", False) or any(pool.get("padding", ())):
            raise ModelError(f"{node.label}: an average over padding has no int8 form")
        of_y = self.ranges[node.results[0]]
        y = self.build.op("qnn.avg_pool2d", x, x_scale=x.type.scale, x_zero_point=x.type.zero_point, y_scale=of_y.scale,
                          y_zero_point=of_y.zero_point, label=node.label, **pool)  # fmt: skip
        self.values[node.results[0]] = y

    def _activation(self, node: Node) -> tuple[Node, tuple[int, int]]:
        """The ReLU behind `node`, if it alone reads it, and the clip that does the same in int8."""
        follower = self._only_reader(node)
        if follower is None or follower.op not in ("nn.relu", "nn.relu6"):
            return node, (-128, 127)
        of_y = self.ranges[follower.results[0]]
        self.done.add(follower.results[0])
        return follower, (of_y.stored(0.0), of_y.stored(6.0) if follower.op == "nn.relu6" else 127)

    def _only_reader(self, node: Node) -> Node | None:
        readers = self.readers.get(node.results[0], [])
        return readers[0] if len(readers) == 1 and node.results[0] not in self.graph.outputs else None

    def _parameter(self, name: str, values: np.ndarray) -> Value:
        self.weights[name] = values
        return self.build.parameter(name, values.shape, str(values.dtype))


CONVERTERS = {
    "nn.conv2d": _Converter.layer, "nn.dense": _Converter.layer, "add": _Converter.add,
    "nn.max_pool2d": _Converter.same, "nn.batch_flatten": _Converter.same, "reshape": _Converter.same,
    "nn.avg_pool2d": _Converter.mean, "nn.global_avg_pool2d": _Converter.mean,
}  # fmt: skip
