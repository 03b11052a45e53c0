"""The layer of the model that each operator works for, forward, backward and update alike: the column `layer`.

An operator that reads a parameter works for that parameter's layer; so does one whose label names a parameter, such as
`update.conv2.weight`. Any other forward operator has its layer in its own label: `conv2.relu` works for conv2. A
gradient `d.X` is made by the layer that reads X. That layer is not in the label, but in the gradient it starts from:

    forward     X = conv1.relu  ── pool1 ──►  Z = pool1
    backward    d.conv1.relu  ◄── pool1 ──  d.pool1          it reads d.Z, so it works for the layer that made Z

What belongs to no layer has none: the loss and its own gradient, the image's transfer, the norm of all gradients.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain

from workbench.autodiff import role_of
from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
from workbench.ir.labels import AGAIN, GRADIENT, LOGITS, OF_PARAMETER, PACKED

PART = {"factors", "table", "scaled"}  # frontends call what they compute for a layer by its name and one of these
JOINED = "+"  # the layers of a region, in the order in which they work; a policy joins layers likewise


def layers_of(graph: Graph, root: Mapping[str, str]) -> tuple[str, ...]:
    """The layer of each node that does work (`Analysis.work`), "" for none; those of a region joined by `+`.

    `root` is the storage root of every value.
    """
    bodies = {node.results[0]: _body_of(node) for node in graph.nodes}
    parameters = _layers_of_parameters(chain(*bodies.values()), graph)
    known = _Known(root, frozenset(graph.inputs), parameters, frozenset(parameters.values()))
    phase = dict(zip((node.results[0] for node in graph.analysis.work), graph.analysis.phases, strict=True))
    layers = {}
    for name, nodes in bodies.items():
        of_nodes = [known.add(node, phase.get(name, "")) for node in nodes]
        layers[name] = JOINED.join(dict.fromkeys(layer for layer in of_nodes if layer))
    return tuple(layers[name] for name in phase)


def _body_of(node: Node) -> tuple[Node, ...]:
    """The nodes of a region's body under the names of the graph around it; any other node is its own body."""
    body = node.body
    if body is None:
        return (node,)
    outer = dict(zip(body.inputs, node.operands, strict=True)) | dict(zip(body.outputs, node.results, strict=True))
    return body.renamed({name: outer.get(name, f"{node.results[0]}.{name}") for name in body.types}).nodes


def _layers_of_parameters(nodes: Iterable[Node], graph: Graph) -> dict[str, str]:
    """Parameter -> its layer: conv1.weight belongs to conv1, and so does each bias read with or behind it."""
    layers: dict[str, str] = {}
    last = ""
    for node in nodes:
        for index, told in sorted(ops.get(node.op).parameters.items()):
            name = node.operands[index] if index < len(node.operands) else ""
            role = role_of(told, name, graph.types[name]) if name in graph.parameters else ""
            if role == "weight":
                last = layers.setdefault(name, name.removesuffix(PACKED).removesuffix(".weight"))
            elif role == "bias":
                layers.setdefault(name, last or name.removesuffix(".bias"))
    return layers


@dataclass
class _Known:
    """What is known from the nodes so far: the layer of each parameter and forward label, the gradients by value."""

    root: Mapping[str, str]
    inputs: frozenset[str]
    parameters: Mapping[str, str]
    weighted: frozenset[str]
    forward: dict[str, str] = field(default_factory=dict)  # label -> layer
    gradients: dict[str, tuple[str, str]] = field(default_factory=dict)  # value -> X of its label d.X, its layer

    def add(self, node: Node, phase: str) -> str:
        """The layer of the next node in execution order."""
        label, is_gradient = node.label.removesuffix(AGAIN), False
        layer = self._of_parameters(node, label)
        if phase in {"forward", "loss"}:
            layer = layer or ("" if phase == "loss" else self._of_forward(node, label))
            self.forward.setdefault(label, layer)
        elif label.startswith(GRADIENT):
            is_gradient, layer = True, layer or self._of_gradient(node, label.removeprefix(GRADIENT))
        elif not layer and label in self.forward:
            layer = self.forward[label]
        if is_gradient:
            self.gradients |= dict.fromkeys(node.results, (label.removeprefix(GRADIENT), layer))
        return layer

    def _of_parameters(self, node: Node, label: str) -> str:
        """The layer of the parameter that the node reads, or else of the one that its label names."""
        read = (self.root.get(name, name) for name in node.operands)
        named = [label.removeprefix(word) for word in OF_PARAMETER if label.startswith(word)]
        return next((self.parameters[name] for name in (*read, *named) if name in self.parameters), "")

    def _of_forward(self, node: Node, label: str) -> str:
        if label in self.inputs or not label:
            return ""
        if weighted := self._weighted(label):
            return weighted
        before, _, last = label.rpartition(".")
        activation = len(node.operands) == 1 and last == node.op.rpartition(".")[-1]
        if before and (activation or last in PART):
            return before
        return "" if label == LOGITS else label

    def _of_gradient(self, node: Node, value: str) -> str:
        read = [self.gradients[name] for name in node.operands if name in self.gradients]
        sources = [source for source, _ in read if source != value]
        if sources:  # where they have no layer, such as the logits of an int8 network, its own label may
            return self._of_value(sources[0]) or self._weighted(value)
        if len(read) > 1:  # the sum of the value's gradients
            return self._of_value(value)
        return read[0][1] if read else ""  # one: its rule has two nodes; none: the loss's own gradient

    def _of_value(self, label: str) -> str:
        """The layer that made the forward value of this label, which may be fused into another by now."""
        if label in self.forward:
            return self.forward[label]
        before = label.rpartition(".")[0]
        return self._weighted(label) or self.forward.get(before, "")

    def _weighted(self, label: str) -> str:
        """The weighted layer that the label begins with."""
        while label and label not in self.weighted:
            label = label.rpartition(".")[0]
        return label
