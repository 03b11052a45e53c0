"""Where the nodes of a directed graph stand: in layers, each below those that it reads (Sugiyama et al. 1981)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fast_sugiyama import from_edges

NARROW = 0.12  # of a node's width: the room between edges that pass a layer


@dataclass(frozen=True)
class Layered:
    """`places`: node -> (column, layer), in widths of a node and in layers from the top. `ways`: edge -> the places it
    passes from its source to its target."""

    places: dict[int, tuple[float, float]]
    ways: dict[tuple[int, int], list[tuple[float, float]]]
    columns: float
    layers: float


def layered(count: int, edges: Iterable[tuple[int, int]]) -> Layered:
    """The layout of nodes 0, 1, … `count` - 1; a node without an edge stands in a layer below all others."""
    edges = sorted(set(edges))
    joined = sorted({node for edge in edges for node in edge})
    number = {node: at for at, node in enumerate(joined)}  # from 0 without a gap: points on the way have higher ones
    steps = [(number[source], number[target]) for source, target in edges]
    parts: Any = from_edges(steps, vertex_spacing=1, dummy_vertices=True, dummy_size=NARROW) if steps else []
    parts = parts.dot_layout(spacing=1) if steps else []
    left = min((x for found, *_ in parts for _, (x, _) in found), default=0)
    top = max((y for found, *_ in parts for _, (_, y) in found), default=0)
    places: dict[int, tuple[float, float]] = {}
    ways: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for found, _, _, passed in parts:
        at = {node: (float(x - left), float(top - y)) for node, (x, y) in found}
        places |= {joined[node]: place for node, place in at.items() if node < len(joined)}
        ways |= _ways(joined, at, passed or [])
    alone = [node for node in range(count) if node not in number]
    bottom = max((y for _, y in places.values()), default=-1.0) + 1
    places |= {node: (float(index), bottom) for index, node in enumerate(alone)}
    everywhere = [*places.values(), *(place for way in ways.values() for place in way)]
    columns, layers = (max((place[axis] for place in everywhere), default=0.0) + 1 for axis in (0, 1))
    return Layered(places, ways, columns, layers)


def _ways(joined, at, steps) -> dict[tuple[int, int], list[tuple[float, float]]]:
    """Each edge by the points it passes, which have one step in and one out."""
    behind: dict[int, list[int]] = {}
    for source, target in steps:
        behind.setdefault(source, []).append(target)
    found = {}
    for source in (node for node in behind if node < len(joined)):
        for following in behind[source]:
            way = [source, following]
            while way[-1] >= len(joined):
                way += behind[way[-1]]
            found[joined[source], joined[way[-1]]] = [at[node] for node in way]
    return found
