"""Which storage is alive when, scratch included, and the most bytes alive at once.

position      0      1      2      3
conv1      |======|======|                  lower 0, upper 2: made by node 0, last read by node 1
scratch 1         |======|                  a node's scratch lives at its position alone
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from itertools import accumulate
from operator import add

from workbench.ir.graph import Graph
from workbench.ir.storage import Storage, aligned


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


def liveness(graph: Graph, scratch: Mapping[str, int] | None = None, alignment: int = 4) -> Liveness:
    """Storages of `graph`. `scratch`: bytes a node needs besides, by the name of its first result.

    Sizes are rounded up to `alignment` bytes. Inputs are alive from position 0, outputs to the end.
    """
    scratch, known = scratch or {}, graph.analysis
    storages = known.storages if alignment == 4 else known.lifetimes(alignment)
    arena = tuple(storage for storage in storages if not known.is_static(storage.name))
    static = tuple(storage for storage in storages if known.is_static(storage.name))
    own = [aligned(scratch.get(node.results[0], 0), alignment) for node in known.work]
    change = [0] * (len(own) + 1)  # of the bytes alive, from each position on
    for storage in arena:
        if storage.lower < storage.upper:
            change[storage.lower] += storage.bytes
            for begin, end, upper in storage.parts:
                change[upper] -= end - begin
    living = accumulate(change[:-1])
    return Liveness(arena, static, tuple(map(add, own, living)))


def peak_bytes(graph: Graph) -> int:
    """The most arena bytes live at once, kernel scratch included."""
    return max(live_bytes(graph), default=0)


def live_bytes(graph: Graph, without: Set[str] = frozenset()) -> tuple[int, ...]:
    """Arena bytes alive at each position, kernel scratch included; storages called `without` take none."""
    if "live" not in graph.analysis.memo:
        graph.analysis.memo["live"] = liveness(graph, graph.analysis.scratch)
    living: Liveness = graph.analysis.memo["live"]
    if not without:
        return living.live
    live = list(living.live)
    for storage in living.arena:
        if storage.name in without:
            for position in range(storage.lower, storage.upper):
                live[position] -= storage.bytes_at(position)
    return tuple(live)
