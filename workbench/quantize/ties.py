"""The weighted layers of a float network, and what those that share a weight or a bias must have alike in int8.

a stored weight counts in s, one scale a filter       shared: one s
a stored bias counts in x_scale · s                   shared: one s and one x_scale, the largest of them
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from workbench.errors import ModelError
from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
from workbench.ir.op import Int8Form
from workbench.ops._activation import BIAS


@dataclass(frozen=True)
class Layer:
    """A convolution or dense layer with the bias and the activation behind it: nodes from `node` to `end` are one."""

    node: Node
    end: Node
    weight: str
    bias: str | None
    activation: str

    @property
    def label(self) -> str:
        return self.node.label or self.node.op

    @property
    def form(self) -> Int8Form:
        return ops.get(self.node.op).needed_int8


def weighted_layers(graph: Graph, only_reader: Callable[[Node], Node | None]) -> list[Layer]:
    """In order. Raises ModelError for a weight or a bias that is computed: int8 ones are stored."""
    return [_layer(graph, node, only_reader) for node in graph.nodes if _is_layer(node)]


def _is_layer(node: Node) -> bool:
    form = ops.get(node.op).int8
    return form is not None and form.how == "layer"


def _layer(graph: Graph, node: Node, only_reader: Callable[[Node], Node | None]) -> Layer:
    end, weight, *biases = node, *node.operands[1:]
    activation = node.attrs.get("activation", "")
    follower = only_reader(end)
    if follower is not None and ops.get(follower.op).epilogue == BIAS and not biases and not activation:
        end, biases = follower, [follower.operands[1]]
        follower = only_reader(end)
    if follower is not None and activation_of(follower) and not activation:
        end, activation = follower, activation_of(follower)
    for name in (weight, *biases):
        if name not in graph.parameters:
            raise ModelError(f"{node.label or node.op}: a weight or bias that is computed has no int8 form")
    return Layer(node, end, weight, next(iter(biases), None), activation)


def activation_of(node: Node) -> str:
    """The activation that a layer may end in, where the node is one: relu or relu6."""
    epilogue = ops.get(node.op).epilogue
    return "" if epilogue == BIAS else epilogue


def tied(layers: Iterable[Layer], by: Callable[[Layer], Iterable[str | None]]) -> list[list[Layer]]:
    """Groups of layers that have one of the parameters `by(layer)` in common, or are joined by others that do."""
    groups: list[tuple[set[str], list[Layer]]] = []
    for layer in layers:
        names, members = {name for name in by(layer) if name}, [layer]
        for group in [group for group in groups if group[0] & names]:
            groups.remove(group)
            names, members = names | group[0], group[1] + members
        groups.append((names, members))
    return [members for _, members in groups]


def largest_of_each(values: Mapping[str, float], groups: Iterable[Iterable[str]]) -> dict[str, float]:
    """`values` raised until the members of each group have one; a member may be in several."""
    groups, raised = [list(group) for group in groups], dict(values)
    while True:
        before = dict(raised)
        for group in groups:
            raised |= dict.fromkeys(group, max(raised[name] for name in group))
        if raised == before:
            return raised
