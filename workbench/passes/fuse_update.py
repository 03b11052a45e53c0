"""Apply a gradient element by element as it is computed, where nothing but its update reads it.

    before    dx = … w …;  dw = gradient(dy, x);  w = nn.sgd(w, dw, lr)          dw lies in memory
    after     dx = … w …;  w = gradient_sgd(w, dy, x, lr)                        dy and x stay until the old w was read

The new node stands where it first may: behind the makers of its operands and the last reader of the old weight, and
before dy or x are written over. Where dy and x have to stay longer for it and that costs more than dw, the two nodes
are left alone.

Clipping (see ops/clip) reads each gradient twice: for the norm of all, and then to apply it. Where that lowers the peak
it is computed twice instead, and never kept:

    before    dw = gradient(dy, x);  q = sum_of_squares(dw) … r = clip(lr, q, …)  w = nn.sgd(w, dw, r)
    after     q = gradient_squares(dy, x) … r = clip(lr, q, …)  w = gradient_sgd(w, dy, x, r)
"""

from itertools import chain

from workbench.ir.graph import Graph, Node
from workbench.ir.liveness import peak_bytes, storage_roots
from workbench.ops.fused_squares import squared_name
from workbench.ops.fused_update import fused_name
from workbench.passes import Declined


def fuse_update(graph: Graph, must_pay: bool = True) -> Graph:
    """The same meaning to the bit, with one node in place of a gradient and its update: where that pays, or wherever it
    can be unless it `must_pay`."""
    peak, fits, before = peak_bytes(graph), 0, None
    while before is not graph:  # what has been fused may have made room for what did not pay before
        before = graph
        for update in before.nodes:
            fused = _fused(graph, update)
            if fused is None:
                continue
            fits += 1
            if not must_pay:
                graph = fused
            elif (needed := peak_bytes(fused)) <= peak:
                graph, peak = fused, needed
        for update in before.nodes if must_pay else ():
            fused = _computed_twice(graph, update)
            if fused is not None and (needed := peak_bytes(fused)) < peak:
                graph, peak, fits = fused, needed, fits + 1
    if not fits and must_pay:
        raise Declined("each gradient has other readers, another shape than its weight, or no place for it")
    return graph


def _fused(graph: Graph, update: Node) -> Graph | None:
    """The graph with `update` and the gradient it reads as one node; None where that is not possible."""
    gradient = _gradient_of(graph, update)
    if gradient is None:
        return None
    node = Node(
        fused_name(gradient.op, update.op),
        (update.operands[0], *gradient.operands, *update.operands[2:]),
        update.results, {**gradient.attrs, **update.attrs}, update.over, update.label,
    )  # fmt: skip
    first, last = _window(graph, gradient, update, node)
    if first > last:
        return None
    others = graph.nodes[:first] + (node,) + graph.nodes[first:]
    return graph.with_nodes(other for other in others if other is not gradient and other is not update)


def _computed_twice(graph: Graph, update: Node) -> Graph | None:
    """The graph with `update` and the gradient it reads as one node, and as another the sum of that one's squares."""
    gradient = _gradient_of(graph, update, readers=2)
    if gradient is None or not squared_name(gradient.op):
        return None
    squares = next(node for node in graph.nodes if update.operands[1] in node.operands and node is not update)
    name = squared_name(gradient.op, squares.op)
    if not name:
        return None
    node = Node(
        name, (*gradient.operands, *squares.operands[1:]), squares.results,
        {**gradient.attrs, **squares.attrs}, (), squares.label,
    )  # fmt: skip
    apart = [(node, each) if each is gradient else (each,) for each in graph.nodes if each is not squares]
    return _fused(graph.with_nodes(chain.from_iterable(apart)), update)


def _gradient_of(graph: Graph, update: Node, readers: int = 1) -> Node | None:
    """The node that makes what `update` applies, if the two can be one; its result has so many `readers`."""
    value = update.operands[1] if len(update.operands) > 1 else ""
    gradient = graph.producer().get(value)
    if gradient is None or not fused_name(gradient.op, update.op) or gradient.overwrites:
        return None
    if sum(node.operands.count(value) for node in graph.nodes) != readers or value in graph.outputs:
        return None
    if graph.types[value].shape != graph.types[update.operands[0]].updated.shape:
        return None  # a part that nothing marks: the firmware has the weight whole, the kernel writes in a row
    return gradient


def _window(graph: Graph, gradient: Node, update: Node, node: Node) -> tuple[int, int]:
    """The first and the last place where `node` may be inserted; none where the first is behind the last."""
    root = storage_roots(graph)
    written = {root[name] for name in node.overwrites}
    read = {root[name] for name in gradient.operands}
    first, last, seen = 0, len(graph.nodes), False
    for place, other in enumerate(graph.nodes):
        if other is update:
            return first, min(last, place)
        if other is gradient:
            seen = True
        elif set(other.results).intersection(node.operands) or written.intersection(map(root.get, other.operands)):
            first = place + 1
        elif seen and read.intersection(map(root.get, other.overwrites)):
            last = min(last, place)
    raise AssertionError("the update is a node of the graph")
