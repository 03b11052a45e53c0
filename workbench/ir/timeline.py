"""The bytes alive while each node of a graph runs, kept up to date as nodes are replaced: nothing is made anew.

    slot        0     1     2     3         every node has a slot; a node that leaves makes its slot empty, and one that
    node        a     -     b     c         comes takes an empty slot, or a new one between two
    during      8     6    14     4         bytes alive while the slot's node runs, its scratch included
    across   8     6     6     4            bytes alive from the slot before on into this one

A change costs what it touches: the storages that the nodes use which go and come. Neither an empty slot nor that of a
view holds more than the slot of a node beside it, so the peak over all slots is the peak over the nodes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from workbench.ir import op as ops
from workbench.ir.analysis import scratch_of
from workbench.ir.graph import Graph, Node
from workbench.ir.storage import aligned, storage_of


@dataclass(frozen=True)
class Change:
    """Nodes that went, each with its number, and the node that came for them."""

    gone: tuple[tuple[Node, int], ...]
    new: Node


class Timeline:
    """A graph of which nodes are replaced one after the other.

    The new nodes make no value that was not there, and each of their values shares storage with those it shared it with
    before; a value may go.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph, self.root = graph, graph.analysis.root
        self._members = graph.analysis.members
        self._arguments, self._outputs = frozenset(graph.arguments), graph.analysis.outputs
        self._nodes: list[Node | None] = list(graph.nodes)  # by slot
        self._slot = np.arange(len(graph.nodes))  # by the number of a node; those that are gone keep theirs
        self._number: dict[str, int] = {}  # by the node's first result
        self._is_work: list[bool] = []  # by number
        self._maker: dict[str, int] = {}  # value -> number
        self._readers: dict[str, list[int]] = {}  # value -> numbers, one for each operand
        self._takers: dict[str, set[int]] = {}  # storage -> numbers of the nodes that take it over
        self._during = np.zeros(len(graph.nodes), np.int64)
        self._across = np.zeros(len(graph.nodes), np.int64)
        for slot, node in enumerate(graph.nodes):
            self._is_work.append(not ops.get(node.op).view)
            self._enter(node, slot)
            self._during[slot] = aligned(graph.analysis.scratch.get(node.results[0], 0))
        self._count(self._members, 1)

    @property
    def peak(self) -> int:
        return int(self._during.max(initial=0))

    def live(self) -> tuple[int, ...]:
        """Bytes alive while each node that is executed runs (liveness.live_bytes)."""
        work = [slot for slot, node in enumerate(self._nodes) if node and not ops.get(node.op).view]
        return tuple(self._during[work].tolist())

    def nodes(self) -> tuple[Node, ...]:
        return tuple(node for node in self._nodes if node is not None)

    def slot(self, node: Node) -> int:
        return int(self._slot[self._number[node.results[0]]])

    def node(self, slot: int) -> Node:
        node = self._nodes[slot]
        assert node is not None, f"slot {slot} is empty"
        return node

    def maker(self, value: str) -> int | None:
        """The slot of the node that makes a value; None for an argument, and for a value that is gone."""
        number = self._maker.get(value)
        return None if number is None else int(self._slot[number])

    def readers(self, value: str) -> list[int]:
        """The slots of the nodes that read a value, one for each operand."""
        return [int(self._slot[number]) for number in self._readers.get(value, ())]

    def storage_readers(self, root: str) -> list[int]:
        """The slots of the nodes that read a value of a storage."""
        return [slot for value in self._members[root] for slot in self.readers(value)]

    def takers(self, root: str) -> list[int]:
        """The slots of the nodes that take a storage over."""
        return [int(self._slot[number]) for number in self._takers.get(root, ())]

    def replace(self, old: Sequence[Node], new: Node, gap: int) -> Change:
        """Put `new` in place of the nodes `old`, directly in front of the slot `gap`."""
        slot = self._empty_slot(gap)
        touched = self._touched(*old, new)
        self._count(touched, -1)
        gone = tuple((node, self._leave(node)) for node in old)
        number = len(self._is_work)
        self._is_work.append(not ops.get(new.op).view)
        self._slot = np.append(self._slot, slot)
        self._enter(new, number)
        self._during[slot] += self._scratch(new)
        self._count(touched, 1)
        return Change(gone, new)

    def undo(self, change: Change) -> None:
        """Take back the last change that has not been taken back."""
        touched = self._touched(change.new, *(node for node, _ in change.gone))
        self._count(touched, -1)
        self._leave(change.new)
        for node, number in change.gone:
            self._enter(node, number)
            self._during[self._slot[number]] += self._scratch(node)
        self._count(touched, 1)

    def _empty_slot(self, gap: int) -> int:
        """An empty slot with nothing but empty ones between it and the slot `gap`, made if there is none."""
        if gap > 0 and self._nodes[gap - 1] is None:
            return gap - 1
        if self._nodes[gap] is not None:
            self._nodes.insert(gap, None)
            self._slot[self._slot >= gap] += 1
            self._during = np.insert(self._during, gap, self._across[gap])
            self._across = np.insert(self._across, gap, self._across[gap])
        return gap

    def _touched(self, *nodes: Node) -> set[str]:
        return {self.root[name] for node in nodes for name in (*node.operands, *node.results)}

    def _scratch(self, node: Node) -> int:
        return aligned(scratch_of(self.graph, node))

    def _enter(self, node: Node, number: int) -> None:
        self._nodes[self._slot[number]] = node
        self._number[node.results[0]] = number
        for name in node.results:
            self._maker[name] = number
        for name in node.operands:
            self._readers.setdefault(name, []).append(number)
        for name in node.overwrites:
            self._takers.setdefault(self.root[name], set()).add(number)

    def _leave(self, node: Node) -> int:
        number = self._number.pop(node.results[0])
        slot = self._slot[number]
        self._nodes[slot] = None
        self._during[slot] -= self._scratch(node)
        for name in node.results:
            del self._maker[name]
        for name in node.operands:
            self._readers[name].remove(number)
        for name in node.overwrites:
            self._takers[self.root[name]].discard(number)
        return number

    def _count(self, roots: Iterable[str], sign: int) -> None:
        """Add the bytes of these storages to the slots that they are alive in, or take them away."""
        for root in roots:
            if (root in self._arguments or root in self._maker) and not self.graph.analysis.is_static(root):
                for lower, upper, size in self._lifetimes(root):
                    self._during[max(lower, 0) : upper] += sign * size
                    self._across[lower + 1 : upper] += sign * size

    def _lifetimes(self, root: str) -> list[tuple[int, int, int]]:
        """Lifetime in slots and bytes of each part of a storage (Storage.parts). Arguments live from slot -1 on."""
        values = [name for name in self._members[root] if name in self._arguments or name in self._maker]
        sizes = {name: aligned(self.graph.types[name].bytes) for name in values}
        last: dict[str, int] = {}
        for name in values:
            used = [*self._readers.get(name, ()), *([self._maker[name]] if name in self._maker else [])]
            slots = [int(self._slot[number]) for number in used if self._is_work[number]]
            if name in self._outputs:
                last[name] = len(self._nodes)
            elif slots:
                last[name] = max(slots)
        lower = -1 if root in self._arguments else int(self._slot[self._maker[root]])
        upper = min(max(last.values(), default=-1) + 1, len(self._nodes))
        if len(last) < len(sizes):  # Analysis.lifetimes counts what is never used as if it were at the first position
            first = next((slot for slot, node in enumerate(self._nodes) if node and not ops.get(node.op).view), 0)
            last = dict.fromkeys(sizes, first) | last
        storage = storage_of(sizes, last, lower, max(upper, 0))
        return [(lower, end, above - below) for below, above, end in storage.parts]
