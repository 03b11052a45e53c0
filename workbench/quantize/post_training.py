"""Post-training quantization: a float32 forward graph as an int8 one, calibrated on samples.

    calibrate     run the samples through the float graph; of each value keep the range that it takes
    convert       conv/dense + bias + ReLU  ->  one qnn.conv2d, its clip being the ReLU;  add + ReLU  ->  one qnn.add
                  sigmoid, hard swish, …    ->  a table of 256 results

Weights and biases: see filters. Activations: one scale and zero point a tensor, so that the range, zero included, fills
[-128, 127] (Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference"). A dense layer is a convolution over one pixel.
"""

from collections.abc import Callable, Mapping

import numpy as np

from workbench.errors import ModelError
from workbench.ir import op as ops
from workbench.ir.build import Builder, Value
from workbench.ir.graph import Graph, Node
from workbench.ir.scales import scales_folded
from workbench.ir.verify import verify
from workbench.ops._activation import BIAS
from workbench.quantize import emit, filters, room
from workbench.quantize.calibration import ranges_seen
from workbench.quantize.quantization import Quantization
from workbench.quantize.room import Range
from workbench.quantize.ties import Layer, activation_of, largest_of_each, tied, weighted_layers


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
    graph, weights = scales_folded(graph, weights, keep_names=True)
    ranges = ranges_seen(graph, weights, samples)
    ranges = room.widened(graph, ranges, output) if untrained else ranges
    scales = {name: Quantization.of_range(*each) for name, each in ranges.items()}
    return _Converter(graph, weights, scales, room.least_magnitude if untrained else None).run()


class _Converter:
    """One conversion: nodes are taken in order, and a layer's bias and activation with it.

    `least`: the magnitude that the filters of a layer hold at least, whatever they are.
    """

    def __init__(
        self,
        graph: Graph,
        weights: Mapping[str, np.ndarray],
        ranges: Mapping[str, Quantization],
        least: Callable[[np.ndarray], float] | None = None,
    ) -> None:
        self.graph, self.float_weights, self.least = graph, weights, least
        self.build = Builder()
        self.weights: dict[str, np.ndarray] = {}
        self.values: dict[str, Value] = {}  # float value -> its int8 form
        layers = weighted_layers(graph, self._only_reader)
        self.layers = {layer.node.results[0]: layer for layer in layers}
        self.ties = {layer.node.results[0]: group for group in tied(layers, lambda layer: (layer.weight, layer.bias))
                     for layer in group}  # fmt: skip
        bounded = {node.results[0]: Quantization(*form.bounded) for node in graph.nodes
                   if (form := ops.get(node.op).int8) and form.bounded}  # fmt: skip
        self.ranges = self._of_one_scale(tied(layers, lambda layer: (layer.bias,)), {**ranges, **bounded})
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
            form = ops.get(node.op).int8
            if form is None:
                known = [name for name, op in ops.registered().items() if op.int8]
                raise ModelError(
                    f"{node.label or node.op}: {node.op} has no int8 form", f"there are {', '.join(known)}"
                )
            CONVERTERS[form.how](self, node)
        (output,) = self.graph.outputs
        return verify(self.build.graph(self.values[output])), self.weights

    def layer(self, node: Node) -> None:
        """A convolution or dense layer with the bias and the activation behind it."""
        layer = self.layers[node.results[0]]
        form, window = layer.form, {key: node.attrs[key] for key in layer.form.window}
        x, of_y = self._value(node, 0), self.ranges[layer.end.results[0]]
        if form.transposed and (node.attrs["groups"] > 1 or node.attrs["dilation"] != (1, 1)):
            raise ModelError(f"{node.label}: a transposed convolution in groups or dilated has no int8 form")
        if form.of_pixels:
            x = self.build.reshape(x, newshape=(*x.shape, 1, 1), label=f"{node.label}.pixel")
        w, b, s = (self._parameter(name, values) for name, values in self._stored(layer).items())
        y = emit.layer(self.build, x, w, b, s, of_y, label=node.label, transposed=form.transposed,
                       clip=of_y.clip(layer.activation), **window)  # fmt: skip
        if form.of_pixels:
            y = self.build.batch_flatten(y, label=f"{node.label}.flatten")
        self._becomes(node, layer.end, y)

    def _stored(self, layer: Layer) -> dict[str, np.ndarray]:
        """Weight, bias and scales of a layer as they are stored, by name; the same for all that share them."""
        group = self.ties[layer.node.results[0]]
        scaled = [self._scaled(each) for each in group]
        w, b, s = filters.stored(self._scaled(layer), scaled, self.float_weights, self.least)
        of_all = min(each.weight for each in group)
        return {layer.weight: w, layer.bias or self._own_bias(layer): b, f"{of_all}_scale": s}

    def _scaled(self, layer: Layer) -> filters.Scaled:
        x = self.ranges[self._origin(layer.node.operands[0])]
        return filters.Scaled(layer, x.scale, self.ranges[layer.end.results[0]].scale)

    def _own_bias(self, layer: Layer) -> str:
        """A name for the zeros that are added where a layer has no bias: each layer has its own."""
        name, number = f"{layer.weight}.bias", 2
        while name in self.weights:
            name, number = f"{layer.weight}.bias_{number}", number + 1
        return name

    def _origin(self, name: str) -> str:
        """The value whose quantization `name` has: operators that take int8 unchanged pass it on."""
        while (maker := self.graph.analysis.producer(name)) is not None and _passes_on(maker):
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
        end = follower if follower is not None and activation_of(follower) else node
        of_y = self.ranges[end.results[0]]
        y = emit.of_two(self.build, node.op, (a, b), (of_a, of_b), of_y, clip=of_y.clip(activation_of(end)),
                        label=node.label)  # fmt: skip
        self._becomes(node, end, y)

    def _operand(self, node: Node, index: int) -> tuple[Value, Quantization]:
        """The int8 form of an operand, which may be a constant, and what it stands for."""
        name = node.operands[index]
        if name not in self.graph.parameters:
            x = self._value(node, index)
            return x, Quantization.of(x.type)
        values = self.float_weights[name]
        if ops.get(node.op).epilogue == BIAS:
            values = values.reshape(1, -1, *[1] * (self.graph.types[node.operands[0]].rank - 2))
        of_values = Quantization.of_range(float(values.min()), float(values.max()))
        return self._parameter(name, of_values.all_stored(values)), of_values

    def table(self, node: Node) -> None:
        """An activation that stands alone."""
        op, of_y = ops.get(node.op), self.ranges[node.results[0]]
        number = op.needed_int8.number(**node.attrs)
        y = emit.looked_up(self.build, op.function, self._value(node, 0), of_y, number=number, label=node.label)
        self.values[node.results[0]] = y

    def unchanged(self, node: Node) -> None:
        """An operator that takes int8 as it takes floats."""
        x = self._value(node, 0)
        self.values[node.results[0]] = self.build.op(node.op, x, label=node.label, **node.attrs)

    def average(self, node: Node) -> None:
        """Over windows, over some axes, or over whole planes."""
        x, window = self._value(node, 0), dict(node.attrs)
        if window.pop("count_include_pad", False) or any(window.get("padding", ())):
            raise ModelError(f"{node.label}: an average over padding has no int8 form")
        y = emit.average(self.build, x, self.ranges[node.results[0]], label=node.label, **window)
        self.values[node.results[0]] = y

    def padded(self, node: Node) -> None:
        """Around its operand, in its scale."""
        x = self._value(node, 0)
        value = Quantization.of(x.type).stored(node.attrs["value"])
        self.values[node.results[0]] = self.build.pad(x, label=node.label, **{**node.attrs, "value": value})

    def joined(self, node: Node) -> None:
        """Operands of another scale than the result's are brought to it."""
        of_y = self.ranges[node.results[0]]
        operands = [self._in_scale(self._value(node, i), of_y, node.label) for i in range(len(node.operands))]
        self.values[node.results[0]] = self.build.concatenate(*operands, label=node.label, **node.attrs)

    def _in_scale(self, x: Value, of_y: Quantization, label: str) -> Value:
        return x if Quantization.of(x.type) == of_y else emit.requantized(self.build, x, of_y, label=f"{label}.scaled")

    def _value(self, node: Node, index: int) -> Value:
        """The int8 form of an operand. Raises ModelError for a parameter: there is none but in a layer."""
        name = node.operands[index]
        if name not in self.values:
            raise ModelError(f"{node.label or node.op}: its operand {index}, %{name}, has no int8 form")
        return self.values[name]

    def _becomes(self, first: Node, end: Node, y: Value) -> None:
        """The nodes from `first` to `end` are one int8 operator, with this result."""
        node = end
        while node is not first:
            self.done.add(node.results[0])
            node = self.graph.nodes[self.graph.analysis.maker[node.operands[0]]]
        self.values[end.results[0]] = y

    def _only_reader(self, node: Node) -> Node | None:
        reader = self.graph.analysis.only_reader(node.results[0])
        return None if reader is None else self.graph.nodes[reader]

    def _parameter(self, name: str, values: np.ndarray) -> Value:
        return emit.parameter(self.build, self.weights, name, values)


def _passes_on(node: Node) -> bool:
    form = ops.get(node.op).int8
    return form is not None and form.how in ("unchanged", "padded")


CONVERTERS: dict[str, Callable[[_Converter, Node], None]] = {
    "layer": _Converter.layer, "of two": _Converter.of_two, "table": _Converter.table,
    "joined": _Converter.joined, "unchanged": _Converter.unchanged, "padded": _Converter.padded,
    "average": _Converter.average,
}  # fmt: skip
