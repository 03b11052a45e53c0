"""Builder: append nodes one by one; types are inferred as they come. `build.conv2d(x, w, …)` appends an nn.conv2d."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.errors import GraphError, shown
from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
from workbench.ir.types import Ints, TensorType

Names = tuple[str, ...]


@dataclass(frozen=True)
class Value:
    """A handle on a value while building."""

    name: str
    type: TensorType

    @property
    def shape(self) -> tuple[int, ...]:
        return self.type.shape

    @property
    def rank(self) -> int:
        return self.type.rank


Values = tuple[Value, ...]


class Builder:
    """Grows a graph. Start from nothing or from `graph`, whose nodes come first."""

    def __init__(self, graph: Graph | None = None) -> None:
        self.inputs = list(graph.inputs) if graph else []
        self.parameters = list(graph.parameters) if graph else []
        self.state = list(graph.state) if graph else []
        self.nodes = list(graph.nodes) if graph else []
        self.types = dict(graph.types) if graph else {}
        self._indexed, self._count = self.nodes, 0  # of which nodes makers and readers are known
        self._makers: dict[str, Node] = {}
        self._readers: dict[str, list[Node]] = {}
        self.default_label = ""
        made = (name for node in self.nodes for name in node.results)
        self._next = 1 + max((int(name) for name in made if name.isdecimal()), default=-1)

    def input(
        self,
        name: str,
        shape: Sequence[int] = (),
        dtype: str = "float32",
        *,
        layout: str = "",
        scale: float = 0.0,
        zero_point: int = 0,
    ) -> Value:
        """Declare an argument that the host writes; rank 0 makes it a scalar. `scale`, `zero_point`: of an int8 one."""
        kind = TensorType(_sizes(shape), dtype, layout, scale=float(scale), zero_point=int(zero_point))
        return self._declare(self.inputs, name, kind)

    def parameter(self, name: str, shape: Sequence[int], dtype: str = "float32") -> Value:
        """Declare a parameter."""
        return self._declare(self.parameters, name, TensorType(_sizes(shape), dtype))

    def state_beside(self, name: str, what: str, kind: TensorType | None = None) -> Value:
        """Declare state beside a parameter: `name.what`, zero at the start. `kind` None: float32, in the shape of the
        part that is updated."""
        return self._declare(self.state, f"{name}.{what}", kind or TensorType(self.types[name].updated.shape))

    def value(self, name: str) -> Value:
        return Value(name, self.types[name])

    def fresh(self, count: int) -> tuple[str, ...]:
        """Names for `count` new values: the next numbers that no argument is called by."""
        names: list[str] = []
        while len(names) < count:
            names += [str(self._next)] * (str(self._next) not in self.types)
            self._next += 1
        return tuple(names)

    def op(self, name: str, *operands: Value, label: str | None = None, over: Names = (), **attrs: Any) -> Value:
        """Append a node and give its result.

        Of a node with several results it gives the tuple of them; typed code asks `results` for that.
        """
        values = self.results(name, *operands, label=label, over=over, **attrs)
        return values[0] if len(values) == 1 else values  # type: ignore[return-value]  # one or several: see above

    def results(self, name: str, *operands: Value, label: str | None = None, over: Names = (), **attrs: Any) -> Values:
        """Append a node and give all its results."""
        kind = ops.get(name)
        full = kind.complete(attrs)
        for index, operand in enumerate(operands):
            if not isinstance(operand, Value):
                raise GraphError(f"{name}: operand {index} is {shown(operand)}, no value of a graph")
        types = kind.result_types([operand.type for operand in operands], full)
        names = self.fresh(len(types))
        taken = tuple("" if at is None else operands[at].name for at in kind.taken(full))
        over = over or (taken if any(taken) else ())
        label = self.default_label if label is None else label
        self.nodes.append(Node(name, tuple(operand.name for operand in operands), names, full, over, label))
        self.types.update(zip(names, types, strict=True))
        return tuple(self.value(result) for result in names)

    def shared(self, name: str, *operands: Value, label: str | None = None, **attrs: Any) -> Value:
        """`op`, unless the same node is there already: then its result."""
        full, names = ops.get(name).complete(attrs), tuple(operand.name for operand in operands)
        for node in self.readers(names[0]) if names else self.nodes:
            if (node.op, node.operands, node.attrs) == (name, names, full) and not node.overwrites:
                return self.value(node.results[0])
        return self.op(name, *operands, label=label, **attrs)

    def producer(self, value: Value) -> Node | None:
        """The node that makes a value; None for an argument."""
        self._index()
        return self._makers.get(value.name)

    def readers(self, name: str) -> list[Node]:
        """The nodes that read a value, each once, in order."""
        self._index()
        return self._readers.get(name, [])

    def _index(self) -> None:
        """Take note of the nodes that have been appended since."""
        if self.nodes is not self._indexed or len(self.nodes) < self._count:
            self._indexed, self._count, self._makers, self._readers = self.nodes, 0, {}, {}
        for node in self.nodes[self._count :]:
            for result in node.results:
                self._makers.setdefault(result, node)
            for operand in dict.fromkeys(node.operands):
                self._readers.setdefault(operand, []).append(node)
        self._count = len(self.nodes)

    def graph(self, *outputs: Value) -> Graph:
        """What has been built, with these outputs. Nodes that come later do not change it."""
        for output in outputs:
            if not isinstance(output, Value):
                raise GraphError(f"an output is {shown(output)}, no value of a graph")
        names = tuple(value.name for value in outputs)
        inputs, parameters, state = tuple(self.inputs), tuple(self.parameters), tuple(self.state)
        return Graph(inputs, parameters, tuple(self.nodes), names, dict(self.types), state)

    def __getattr__(self, name: str) -> Callable[..., Value]:
        kind = ops.by_short_name(name)
        if kind is None:
            raise AttributeError(f"there is no operator {name!r}")
        return lambda *operands, **attrs: self.op(kind.name, *operands, **attrs)

    def _declare(self, where: list[str], name: str, kind: TensorType) -> Value:
        if name in self.types:
            raise GraphError(f"%{name} is declared twice")
        where.append(name)
        self.types[name] = kind
        return Value(name, kind)


def _sizes(shape: Sequence[int]) -> Ints:
    """A shape whose sizes may be numpy's whole numbers."""
    return tuple(int(size) if isinstance(size, np.integer) else size for size in shape)
