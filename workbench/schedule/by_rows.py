"""Images stored row by row of all channels (NHCW), where that lets a region write its result over what it has read.

    x  |■■■■■■■■|            the rows of x that the region has read for good make room for its result y:
    y      |■■■■|      ->    |yyyyxxxx|, and behind the region |yyyy|

Who reads or makes such an image without being a region becomes a region of one node: they alone know the layout.
"""

from collections.abc import Iterable, Set
from dataclasses import replace

from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
from workbench.ir.kernel import Refusal, Tile
from workbench.ir.types import BY_ROWS
from workbench.schedule.cascade import cascade
from workbench.schedule.region import cascade_of, region_node
from workbench.schedule.stages import can
from workbench.schedule.takeovers import over_image

Pair = tuple[str, str]  # an image, and the result that goes over it


def movable(graph: Graph, summed: bool = False) -> frozenset[str]:
    """Images of a batch of one, each alone in its storage, which all who make or read them can have row by row.

    With those that are `summed`: a sum by rows is no more one with its update, which costs as many bytes as it has.
    """
    known = graph.analysis
    images = {
        name
        for name, kind in graph.types.items()
        if kind.rank == 4 and kind.shape[0] == 1 and kind.dtype != "bit" and not kind.layout
        and known.alone(name) and name not in known.persistent and name not in known.outputs
    }  # fmt: skip
    for node in graph.nodes:
        able = images.intersection((*node.operands, *node.results)) and _images(graph, node, summed)
        images.difference_update(name for name in (*node.operands, *node.results) if name not in able)
    return frozenset(name for name in images if known.readers[name])


def _images(graph: Graph, node: Node, summed: bool) -> frozenset[str]:
    """What a node could have row by row, as a region of its own."""
    needs = can(node, Tile("rows"), graph.types)
    if isinstance(needs, Refusal) or (needs.gives == "sum" and not summed):
        return frozenset()
    plan = cascade(_body(graph, node), "rows", 1)
    return frozenset() if isinstance(plan, Refusal) else plan.images


def _body(graph: Graph, node: Node) -> Graph:
    operands = tuple(dict.fromkeys(node.operands))
    types = {name: graph.types[name].in_body for name in (*operands, *node.results)}
    return Graph(operands, (), (node,), node.results, types)


def over_rows(graph: Graph, by_rows: Iterable[str], able: Set[str] = frozenset()) -> Graph:
    """The graph with these images row by row; a region writes its result over an image that dies in it where it may.

    Of those `able` to lie so too, the ones follow that an elementwise node could then write such a result over, and the
    results that it could write over such an image.
    """
    last = graph.analysis.last_reader
    by_rows = set(by_rows)
    for index, node in reversed(list(enumerate(graph.nodes))):
        if not node.body and by_rows.intersection(node.results):
            taken = [name for name in ops.get(node.op).can_take(node.operands) if last(name) == index]
            if not by_rows.intersection(taken):
                by_rows.update([name for name in taken if name in able][:1])
    for index, node in enumerate(graph.nodes):
        dying = [name for name in ops.get(node.op).can_take(node.operands) if last(name) == index]
        if not node.body and by_rows.intersection(dying):
            by_rows.update(name for name in node.results[:1] if name in able)
    nodes = []
    for index, node in enumerate(graph.nodes):
        if by_rows.intersection((*node.operands, *node.results)):
            region = node if node.body else _alone(graph, node)
            results = tuple(at for at, name in enumerate(region.results) if name in by_rows)
            dying = [name for name in dict.fromkeys(region.operands) if name in by_rows and last(name) == index]
            over, apart = _takeovers(graph, region, [region.results[at] for at in results], dying)
            node = replace(region, attrs={**region.attrs, "by_rows": results, "apart": apart}, over=over)
        nodes.append(node)
    types = {name: kind.in_layout(BY_ROWS) if name in by_rows else kind for name, kind in graph.types.items()}
    return replace(graph, nodes=tuple(nodes), types=types)


def _takeovers(
    graph: Graph, region: Node, results: list[str], dying: list[str]
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Node.over of a region, and which results are apart: the largest first, each over an image of its own."""
    plan = cascade_of(**region.attrs)
    inner = dict(zip(region.operands, region.region_body.inputs, strict=True))
    inner |= dict(zip(region.results, region.region_body.outputs, strict=True))
    over = {}
    for result in sorted(results, key=lambda name: -graph.types[name].bytes):
        for name in [name for name in dying if graph.types[result].bytes <= graph.types[name].bytes]:
            if found := over_image(plan, inner[name], inner[result]):
                plan, over[result] = found, name
                dying = [other for other in dying if other != name]
                break
    return tuple(over.get(name, "") for name in region.results) if over else (), plan.apart


def _alone(graph: Graph, node: Node) -> Node:
    """The region of one node."""
    body = _body(graph, node)
    return region_node(body, body.inputs, node.results, label=node.label or node.op)
