"""Which storage is alive when: values joined by takeover or view share one.

position      0      1      2      3
conv1      |======|======|                  lower 0, upper 2: made by node 0, last read by node 1
scratch 1         |======|                  a node's scratch lives at its position alone

A storage is as large as the largest value in it that is still to be read: where a smaller result takes over an image,
its end is free again.

                   ______
                  | image|____________      parts, from its begin on: [0, 8) to the end, [8, 12) while the image lives
                  |      |   result   |
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node


@dataclass(frozen=True)
class Storage:
    """One piece of memory: the values that live in it in order of birth, bytes, half-open lifetime in positions.

    `ends`: bytes and the position from which on they are no longer needed; ever fewer bytes, the last at `upper`.
    """

    values: tuple[str, ...]
    bytes: int
    lower: int
    upper: int
    ends: tuple[tuple[int, int], ...]

    @property
    def parts(self) -> tuple[tuple[int, int, int], ...]:
        """Begin, end (in bytes) and the position at which it dies, of each part; the one that lives longest first."""
        ends = self.ends[::-1]
        begins = (0, *(size for size, _ in ends))
        return tuple((begin, size, upper) for begin, (size, upper) in zip(begins, ends, strict=False))

    def bytes_at(self, position: int) -> int:
        """Bytes it holds at a position of its life."""
        return next((size for size, upper in self.ends if position < upper), 0)

    def whole(self) -> "Storage":
        """The same, but all its bytes are kept to the end."""
        return replace(self, ends=((self.bytes, self.upper),))

    @property
    def name(self) -> str:
        return self.values[0]


@dataclass(frozen=True)
class Liveness:
    """`arena`: storages planned by lifetime. `static`: parameters, scalars and scalar outputs, alive always.

    `live[p]` are the arena bytes alive at position p, scratch included; `peak` their maximum, at `worst`.
    """

    arena: tuple[Storage, ...]
    static: tuple[Storage, ...]
    live: tuple[int, ...]

    @property
    def peak(self) -> int:
        return max(self.live, default=0)

    @property
    def worst(self) -> int:
        return self.live.index(self.peak) if self.live else 0


def storage_roots(graph: Graph) -> dict[str, str]:
    """Value name -> the first value that lived in the same storage."""
    root = {name: name for name in graph.arguments}
    for node in graph.nodes:
        view = ops.get(node.op).view
        for index, result in enumerate(node.results):
            source = node.over[index] if index < len(node.over) else ""
            source = source or (node.operands[0] if view and index == 0 else "")
            root[result] = root[source] if source else result
    return root


def steps(graph: Graph) -> tuple[Node, ...]:
    """The nodes that do work, in order: a position is an index into them. Views cost nothing and have none."""
    return tuple(node for node in graph.nodes if not ops.get(node.op).view)


def is_static(graph: Graph, root: str) -> bool:
    """Parameters, state, scalars the host writes, and scalar outputs live outside the arena."""
    if root in graph.persistent:
        return True
    return graph.types[root].rank == 0 and (root in graph.inputs or root in graph.outputs)


def liveness(graph: Graph, scratch: Mapping[str, int] | None = None, alignment: int = 4) -> Liveness:
    """Storages of `graph`. `scratch`: bytes a node needs besides, by the name of its first result.

    Sizes are rounded up to `alignment` bytes. Inputs are alive from position 0, outputs to the end.
    """
    scratch = scratch or {}
    root = storage_roots(graph)
    members: dict[str, list[str]] = {}
    for value, first in root.items():
        members.setdefault(first, []).append(value)
    lower = dict.fromkeys(graph.arguments, 0)
    upper = dict.fromkeys(graph.arguments, 0)
    work = steps(graph)
    for position, node in enumerate(work):
        for result in node.results:
            lower.setdefault(root[result], position)
            upper[root[result]] = position + 1
        for operand in node.operands:
            upper[root[operand]] = position + 1
    last = {name: position for position, node in enumerate(work) for name in (*node.operands, *node.results)}
    for output in graph.outputs:
        last[output] = upper[root[output]] = len(work)

    arena, static = [], []
    for first, values in members.items():
        sizes = {value: -(-graph.types[value].bytes // alignment) * alignment for value in values}
        if not any(sizes.values()):
            continue  # it comes as a stream
        where = static if is_static(graph, first) else arena
        end = max(upper[first], lower[first])
        where.append(Storage(tuple(values), max(sizes.values()), lower[first], end, _ends(sizes, last, end)))
    live = [-(-scratch.get(node.results[0], 0) // alignment) * alignment for node in work]
    for storage in arena:
        for position in range(storage.lower, storage.upper):
            live[position] += storage.bytes_at(position)
    return Liveness(tuple(arena), tuple(static), tuple(live))


def _ends(sizes: dict[str, int], last: dict[str, int], upper: int) -> tuple[tuple[int, int], ...]:
    """Of each size that the values of a storage make it have, largest first, when it is needed no more."""
    ends: list[tuple[int, int]] = []
    for value in sorted(sizes, key=lambda value: (-sizes[value], -last.get(value, 0))):
        end = min(upper, last.get(value, 0) + 1)
        if not ends or (end > ends[-1][1] and sizes[value] < ends[-1][0]):
            ends.append((sizes[value], end))
    return (*ends[:-1], (ends[-1][0], upper))


def phases(graph: Graph) -> tuple[str, ...]:
    """forward, loss, backward or update for each node that does work (see `steps`).

    update: its operator says so (`Op.phase`). loss: it is one. forward: it comes before the loss, or (in a graph
    without one) does not depend on the gradient that is fed in. backward: everything else.
    """
    root = storage_roots(graph)
    after_loss = False
    backward = {name for name in graph.inputs if name.startswith(GRADIENT_INPUT)}
    result = []
    for node in steps(graph):
        op = ops.get(node.op)
        if op.phase:
            result.append(op.phase)
        elif op.loss:
            result.append("loss")
            after_loss = True
        elif after_loss or backward.intersection(root[name] for name in node.operands):
            result.append("backward")
            backward.update(node.results)
        else:
            result.append("forward")
    return tuple(result)


GRADIENT_INPUT = "grad_output"  # the input that stands for the gradient of an output, where there is no loss


def scratch_bytes(graph: Graph) -> dict[str, int]:
    """Bytes of scratch that each node's kernel asks for, by its first result; only those that ask."""
    sizes = {}
    for node in steps(graph):
        kernel = ops.get(node.op).kernel
        size = kernel.scratch(*(graph.types[name] for name in node.operands), **node.attrs) if kernel else 0
        if size:
            sizes[node.results[0]] = size
    return sizes


def peak_bytes(graph: Graph) -> int:
    """The most arena bytes live at once, kernel scratch included."""
    return liveness(graph, scratch_bytes(graph)).peak
