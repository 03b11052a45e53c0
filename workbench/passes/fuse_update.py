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

from workbench.ir.graph import Graph, Node
from workbench.ir.timeline import Timeline
from workbench.ops.fused_squares import squared_name
from workbench.passes import Declined
from workbench.schedule.fusing import fusion_of, gradient_of


def fuse_update(graph: Graph) -> Graph:
    """The same meaning to the bit, with one node in place of a gradient and its update where that pays."""
    timeline = Timeline(graph)
    peak, fits, accepted, changed = timeline.peak, 0, 0, True
    while changed:  # what has been fused may have made room for what did not pay before
        changed = False
        nodes = timeline.nodes()
        for update in nodes:
            fusion = fusion_of(timeline, update)
            if fusion is None:
                continue
            fits += 1
            change = fusion.apply(timeline)
            if timeline.peak <= peak:
                peak, accepted, changed = timeline.peak, accepted + 1, True
            else:
                timeline.undo(change)
        for update in nodes:
            if _computed_twice(timeline, update, peak):
                peak, fits, accepted, changed = timeline.peak, fits + 1, accepted + 1, True
    if not fits:
        raise Declined("each gradient has other readers, another shape than its weight, or no place for it")
    return graph.with_nodes(timeline.nodes()) if accepted else graph


def _computed_twice(timeline: Timeline, update: Node, peak: int) -> bool:
    """Make `update` and the gradient it reads one node, and another the sum of that gradient's squares, if this needs
    less than `peak`: tells whether."""
    gradient = gradient_of(timeline, update, readers=2)
    if gradient is None or not squared_name(gradient.op):
        return False
    others = [timeline.node(slot) for slot in timeline.readers(update.operands[1])]
    squares = next((node for node in others if node is not update), None)
    if squares is None or not squared_name(gradient.op, squares.op):
        return False
    node = Node(
        squared_name(gradient.op, squares.op), (*gradient.operands, *squares.operands[1:]), squares.results,
        {**gradient.attrs, **squares.attrs}, (), squares.label,
    )  # fmt: skip
    apart = timeline.replace((squares,), node, timeline.slot(gradient))
    fusion = fusion_of(timeline, update)
    if fusion is not None:
        change = fusion.apply(timeline)
        if timeline.peak < peak:
            return True
        timeline.undo(change)
    timeline.undo(apart)
    return False
