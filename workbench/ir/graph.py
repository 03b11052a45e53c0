"""Graph: values, and the nodes that make them in execution order. Frozen; a change is a new graph."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any

from workbench.errors import GraphError
from workbench.ir.types import TensorType

if TYPE_CHECKING:
    from workbench.ir.analysis import Analysis


@dataclass(frozen=True)
class Node:
    """One operator: `results = op(operands, attrs)`.

    `over[i]` is the operand whose storage result i takes over ("" = storage of its own): that operand, and
    every value that shares its storage, must not be read afterwards. `label` says where the node comes from.
    """

    op: str
    operands: tuple[str, ...]
    results: tuple[str, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    over: tuple[str, ...] = ()
    label: str = ""

    @property
    def body(self) -> "Graph | None":
        """The graph inside a region; None for every other node."""
        return self.attrs.get("body")

    @property
    def region_body(self) -> "Graph":
        """The graph inside a region. Raises GraphError for every other node."""
        if self.body is None:
            raise GraphError(f"{self.op} is no region")
        return self.body

    @property
    def overwrites(self) -> tuple[str, ...]:
        return tuple(name for name in self.over if name)


@dataclass(frozen=True)
class Graph:
    """`inputs` are written by the host (rank 0: scalars such as the learning rate), `parameters` persist.

    `state` persists as well and starts at zero: what an optimizer keeps beside the parameters. `types` knows every
    value. Nodes stand in execution order; `outputs` outlive the last one.
    """

    inputs: tuple[str, ...]
    parameters: tuple[str, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    types: Mapping[str, TensorType]
    state: tuple[str, ...] = ()

    @property
    def arguments(self) -> tuple[str, ...]:
        return self.inputs + self.parameters + self.state

    @property
    def persistent(self) -> tuple[str, ...]:
        return self.parameters + self.state

    @property
    def scalars(self) -> tuple[str, ...]:
        return tuple(name for name in self.inputs if self.types[name].rank == 0)

    @cached_property
    def analysis(self) -> "Analysis":
        """Def-use, aliases, lifetimes and precedence of this graph, kept as long as it is."""
        from workbench.ir.analysis import Analysis

        return Analysis(self)

    def __getstate__(self) -> dict[str, Any]:
        """Without the analysis: another process makes its own."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def label(self, value: str) -> str:
        """A name for people: the label of the node that made it (arguments are called by their own name)."""
        node = self.analysis.producer(value)
        if node is not None and node.body:
            made = node.body.outputs[node.results.index(value)]
            label = node.body.label(made)
            return value if label == made else label
        if node is None or not node.label:
            return value
        return node.label if value == node.results[0] else f"{node.label}.{self.suffix(value)}"

    def suffix(self, value: str) -> str:
        """What a second result is called: mask for bits, argmax for indices."""
        return {"bit": "mask", "int8": "argmax", "int32": "argmax"}.get(self.types[value].dtype, "second")

    def with_nodes(self, nodes: Iterable[Node], outputs: tuple[str, ...] | None = None) -> "Graph":
        """The same arguments with other nodes; types of values nobody makes any more are dropped."""
        nodes = tuple(nodes)
        made = {result for node in nodes for result in node.results} | set(self.arguments)
        types = {name: kind for name, kind in self.types.items() if name in made}
        return replace(self, nodes=nodes, types=types, outputs=self.outputs if outputs is None else outputs)

    def with_order(self, nodes: Iterable[Node]) -> "Graph":
        """The same nodes in another order. Raises GraphError if one is lost or twice there."""
        nodes = tuple(nodes)
        if sorted(map(_key, nodes)) != sorted(map(_key, self.nodes)):
            raise GraphError("an order must hold each node once")
        return replace(self, nodes=nodes)

    def renamed(self, names: Mapping[str, str]) -> "Graph":
        """The same graph with values called otherwise; what `names` leaves out keeps its name."""
        new = {name: names.get(name, name) for name in self.types}
        nodes = tuple(
            replace(
                node,
                operands=tuple(new[name] for name in node.operands),
                results=tuple(new[name] for name in node.results),
                over=tuple(new.get(name, "") for name in node.over),
            )
            for node in self.nodes
        )
        inputs, parameters, state, outputs = (
            tuple(new[name] for name in group) for group in (self.inputs, self.parameters, self.state, self.outputs)
        )
        return Graph(inputs, parameters, nodes, outputs, {new[name]: kind for name, kind in self.types.items()}, state)

    def renumbered(self) -> "Graph":
        """The same graph, its results called 0, 1, 2, … in order of execution, but for what arguments are called."""
        made = (result for node in self.nodes for result in node.results)
        taken = set(self.arguments)
        free = (name for name in map(str, count()) if name not in taken)
        return self.renamed(dict(zip(made, free, strict=False)))

    def as_body(self) -> "Graph":
        """The same graph with names that do not depend on what is around it: inputs in0, in1, …, results 0, 1, …"""
        made = (result for node in self.nodes for result in node.results)
        inputs = {name: f"in{index}" for index, name in enumerate(self.inputs)}
        return self.renamed(inputs | {old: str(number) for number, old in enumerate(made)})

    def with_needs_grad(self, wanted: Mapping[str, bool | tuple[int, int]]) -> "Graph":
        """The same graph in which exactly these parameters need gradients."""
        types = dict(self.types)
        for name in self.parameters:
            types[name] = replace(types[name], needs_grad=wanted.get(name, False))
        return replace(self, types=types)


def _key(node: Node) -> tuple[str, ...]:
    return (node.op, *node.results)
