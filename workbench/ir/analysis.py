"""What is known of a graph, computed once and kept with it: def-use, aliases, lifetimes and precedence.

    graph.analysis.maker["7"]           the index of the node that makes %7; arguments have none
    graph.analysis.readers["7"]         the indices of the nodes that read it, one for each operand
    graph.analysis.root["7"]            the first value that lived in its storage (must-alias: views and takeovers)
    graph.analysis.storages             every storage with its size and lifetime
    graph.analysis.predecessors         who must stand before whom

Indices are places in `graph.nodes`; positions are places in `work`, the nodes that are executed. A set of nodes is
an int, bit i for the i-th node of the graph.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
from workbench.ir.storage import Aliases, Storage, aligned, storage_of

GRADIENT_INPUT = "grad_output"  # the input that stands for the gradient of an output, where there is no loss


@dataclass(frozen=True)
class Piece:
    """`bytes` of a storage, from its maker (None: there from the start) to the last of its users.

    Users are a set of nodes; the bit behind the last node stands for whoever reads the outputs.
    """

    root: str
    bytes: int
    maker: int | None
    users: int


class Analysis:
    """The analysis of one graph. Every part is made when it is first asked for."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.memo: dict[Any, Any] = {}  # what else is computed of this graph alone, by whoever computes it

    # ------------------------------------------------------------------ def-use

    @cached_property
    def maker(self) -> dict[str, int]:
        """Value -> the index of the node that makes it."""
        return {result: index for index, node in enumerate(self.graph.nodes) for result in node.results}

    @cached_property
    def readers(self) -> dict[str, tuple[int, ...]]:
        """Value -> the indices of its readers in order, twice where a node reads it as two operands."""
        readers: dict[str, list[int]] = {name: [] for name in self.graph.types}
        for index, node in enumerate(self.graph.nodes):
            for name in node.operands:
                readers.setdefault(name, []).append(index)
        return {name: tuple(found) for name, found in readers.items()}

    @cached_property
    def reader_sets(self) -> dict[str, int]:
        """Value -> the set of its readers."""
        return {name: _set(indices) for name, indices in self.readers.items()}

    def producer(self, value: str) -> Node | None:
        """The node that makes a value; None for an argument."""
        index = self.maker.get(value)
        return None if index is None else self.graph.nodes[index]

    def last_reader(self, value: str) -> int:
        """The index of the last node that reads a value; -1 where none does."""
        return self.readers[value][-1] if self.readers[value] else -1

    def only_reader(self, value: str) -> int | None:
        """The index of the one node that reads a value, as one operand; None where there are more readers or none, and
        for an output."""
        indices = self.readers[value]
        return indices[0] if len(indices) == 1 and value not in self.outputs else None

    @cached_property
    def outputs(self) -> frozenset[str]:
        return frozenset(self.graph.outputs)

    @cached_property
    def persistent(self) -> frozenset[str]:
        return frozenset(self.graph.persistent)

    @cached_property
    def inputs(self) -> frozenset[str]:
        return frozenset(self.graph.inputs)

    # ------------------------------------------------------------------ aliases

    @cached_property
    def root(self) -> dict[str, str]:
        """Value -> the first value that lived in the same storage."""
        aliases = Aliases(self.graph.arguments)
        for node in self.graph.nodes:
            aliases.add(node)
        return aliases.root

    @cached_property
    def members(self) -> dict[str, tuple[str, ...]]:
        """Root -> the values of its storage, in order of birth."""
        members: dict[str, list[str]] = {}
        for value, first in self.root.items():
            members.setdefault(first, []).append(value)
        return {first: tuple(values) for first, values in members.items()}

    @cached_property
    def storage_readers(self) -> dict[str, tuple[int, ...]]:
        """Root -> the indices of the nodes that read a value of its storage, in order."""
        return {
            first: tuple(sorted({index for value in values for index in self.readers[value]}))
            for first, values in self.members.items()
        }

    @cached_property
    def written(self) -> frozenset[str]:
        """Roots of the storages that some node takes over."""
        return frozenset(self.root[name] for node in self.graph.nodes for name in node.overwrites)

    def alone(self, value: str) -> bool:
        """Whether a value is the only one that ever lives in its storage."""
        return len(self.members[self.root[value]]) == 1

    def is_static(self, root: str) -> bool:
        """Parameters, state, scalars the host writes, and scalar outputs live outside the arena."""
        if root in self.persistent:
            return True
        return self.graph.types[root].rank == 0 and (root in self.inputs or root in self.outputs)

    # ------------------------------------------------------------------ lifetimes

    @cached_property
    def work(self) -> tuple[Node, ...]:
        """The nodes that are executed, in order: a position is an index into them. Views cost nothing and have none."""
        return tuple(node for node in self.graph.nodes if not ops.get(node.op).view)

    @cached_property
    def work_indices(self) -> tuple[int, ...]:
        """The index in the graph of each node of `work`."""
        return tuple(index for index, node in enumerate(self.graph.nodes) if not ops.get(node.op).view)

    @cached_property
    def scratch(self) -> dict[str, int]:
        """Bytes of scratch that a node's kernel asks for, by the node's first result; only of those that ask."""
        sizes = {}
        for node in self.work:
            size = scratch_of(self.graph, node)
            if size:
                sizes[node.results[0]] = size
        return sizes

    @cached_property
    def storages(self) -> tuple[Storage, ...]:
        """`lifetimes`, sizes in whole words."""
        return self.lifetimes()

    def lifetimes(self, alignment: int = 4) -> tuple[Storage, ...]:
        """Every storage with its lifetime, static ones too, in order of birth, sizes rounded up to `alignment` bytes.

        Inputs are alive from position 0, outputs to the end. What comes as a stream has no storage.
        """
        graph, root = self.graph, self.root
        lower = dict.fromkeys(graph.arguments, 0)
        upper = dict.fromkeys(graph.arguments, 0)
        last: dict[str, int] = {}
        for position, node in enumerate(self.work):
            for result in node.results:
                lower.setdefault(root[result], position)
                upper[root[result]] = position + 1
                last[result] = position
            for operand in node.operands:
                upper[root[operand]] = position + 1
                last[operand] = position
        for output in graph.outputs:
            last[output] = upper[root[output]] = len(self.work)
        storages = []
        for first, values in self.members.items():
            sizes = {value: aligned(graph.types[value].bytes, alignment) for value in values}
            if any(sizes.values()):
                storages.append(storage_of(sizes, last, lower[first], upper[first]))
        return tuple(storages)

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """The storages of the arena in any order of the nodes: what shrinks is a piece for each size it has."""
        graph, root, behind = self.graph, self.root, 1 << len(self.graph.nodes)
        users: dict[str, dict[int, int]] = {}  # storage -> bytes of values in it -> who uses such
        maker: dict[str, int] = {}

        def use(name: str, who: int) -> None:
            by_size, size = users.setdefault(root[name], {}), aligned(graph.types[name].bytes)
            by_size[size] = by_size.get(size, 0) | who

        for index, node in zip(self.work_indices, self.work, strict=True):
            for name in (*node.operands, *node.results):
                use(name, 1 << index)
            for name in node.results:
                maker.setdefault(root[name], index)
        for name in graph.outputs:
            use(name, behind)
        arguments = frozenset(graph.arguments)
        pieces = []
        for first, by_size in users.items():
            if self.is_static(first):
                continue
            using, sizes = 0, sorted(by_size, reverse=True)
            for most, below in pairwise((*sizes, 0)):  # the upper part goes when the largest value does
                using |= by_size[most]
                pieces.append(Piece(first, most - below, None if first in arguments else maker.get(first), using))
        return tuple(pieces)

    @cached_property
    def phases(self) -> tuple[str, ...]:
        """forward, loss, backward or update for each node of `work`.

        update: its operator says so (`Op.phase`). loss: it is one. forward: it comes before the loss, or (in a graph
        without one) does not depend on the gradient that is fed in. backward: everything else.
        """
        after_loss = False
        backward = {name for name in self.graph.inputs if name.startswith(GRADIENT_INPUT)}
        phases = []
        for node in self.work:
            op = ops.get(node.op)
            if op.phase:
                phases.append(op.phase)
            elif op.loss:
                phases.append("loss")
                after_loss = True
            elif after_loss or backward.intersection(self.root[name] for name in node.operands):
                phases.append("backward")
                backward.update(node.results)
            else:
                phases.append("forward")
        return tuple(phases)

    # ------------------------------------------------------------------ precedence

    @cached_property
    def predecessors(self) -> tuple[int, ...]:
        """For each node the set of those that must stand before it; not every indirect one is among them.

            maker   -> reader    a value is made before it is read
            user    -> taker     who reads or writes storage as it was stands before the node that takes it over
            forward -> loss      what stood before the loss stays before it, and what stood behind it stays behind it:
            loss    -> the rest  wb_forward runs the first part alone, finds nothing missing and disturbs nothing

        Any order that keeps these means the same.
        """
        root, maker = self.root, self.maker
        users: dict[str, int] = {}  # storage -> those who read or wrote it since it was last taken over
        before: list[int] = []
        for index, node in enumerate(self.graph.nodes):
            before.append(_set(maker[name] for name in node.operands if name in maker))
            for storage in {root[name] for name in node.overwrites}:
                before[index] |= users.pop(storage, 0)
            for name in (*node.operands, *node.results):
                users[root[name]] = users.get(root[name], 0) | 1 << index
        loss = next((index for index, node in enumerate(self.graph.nodes) if ops.get(node.op).loss), None)
        if loss is not None:
            before[loss] |= (1 << loss) - 1
            for index in range(loss + 1, len(before)):
                before[index] |= 1 << loss
        return tuple(before)

    @cached_property
    def ancestors(self) -> tuple[int, ...]:
        """For each node the set of all that must stand before it, indirect ones too."""
        closed: list[int] = []
        for needed in self.predecessors:
            total, left = needed, needed
            while left:
                index = left.bit_length() - 1
                total |= closed[index]
                left &= ~(closed[index] | 1 << index)
            closed.append(total)
        return tuple(closed)


def scratch_of(graph: Graph, node: Node) -> int:
    """Bytes of scratch that a node's kernel asks for."""
    kernel = ops.get(node.op).kernel
    return kernel.scratch(*(graph.types[name] for name in node.operands), **node.attrs) if kernel else 0


def _set(indices: Iterable[int]) -> int:
    members = 0
    for index in indices:
        members |= 1 << index
    return members


def bits(members: int) -> Iterator[int]:
    """The members of a set, lowest first."""
    while members:
        low = members & -members
        yield low.bit_length() - 1
        members ^= low
