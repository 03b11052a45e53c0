"""A gradient and its update as one node: which can be, and where it may stand.

    before    dx = … w …;  dw = gradient(dy, x);  w = nn.sgd(w, dw, lr)
    after     dx = … w …;  w = gradient_sgd(w, dy, x, lr)

The new node stands where it first may: behind the makers of its operands and the last reader of the old weight, and
before dy or x are written over.
"""

from dataclasses import dataclass

from workbench.ir.graph import Graph, Node
from workbench.ir.timeline import Change, Timeline
from workbench.ops.fused_update import fused_name


@dataclass(frozen=True)
class Fusion:
    """The nodes that become one, and the slot in front of which that stands."""

    gradient: Node
    update: Node
    node: Node
    gap: int

    def apply(self, timeline: Timeline) -> Change:
        return timeline.replace((self.gradient, self.update), self.node, self.gap)


def fusion_of(timeline: Timeline, update: Node) -> Fusion | None:
    """How `update` and the gradient that it reads become one node; None where they cannot."""
    gradient = gradient_of(timeline, update)
    if gradient is None:
        return None
    node = Node(
        fused_name(gradient.op, update.op),
        (update.operands[0], *gradient.operands, *update.operands[2:]),
        update.results, {**gradient.attrs, **update.attrs}, update.over, update.label,
    )  # fmt: skip
    gap, end = _window(timeline, gradient, update, node)
    return Fusion(gradient, update, node, gap) if gap <= end else None


def gradient_of(timeline: Timeline, update: Node, readers: int = 1) -> Node | None:
    """The node that makes what `update` applies, if the two can be one; its result has so many `readers`."""
    value = update.operands[1] if len(update.operands) > 1 else ""
    slot = timeline.maker(value)
    gradient = None if slot is None else timeline.node(slot)
    if gradient is None or not fused_name(gradient.op, update.op) or gradient.overwrites:
        return None
    types = timeline.graph.types
    if len(timeline.readers(value)) != readers or value in timeline.graph.outputs:
        return None
    apart = types[value].shape != types[update.operands[0]].updated.shape
    if apart and not update.attrs.get("wide"):  # whose halves lie behind an element for each of the gradient's
        return None  # a part that nothing marks: the firmware has the weight whole, the kernel writes in a row
    return gradient


def _window(timeline: Timeline, gradient: Node, update: Node, node: Node) -> tuple[int, int]:
    """The first and the last slot in front of which `node` may stand; none where the first is behind the last."""
    begin, end = timeline.slot(gradient), timeline.slot(update)
    makers = [slot for name in node.operands if (slot := timeline.maker(name)) is not None]
    written = {timeline.root[name] for name in node.overwrites}
    readers = [slot for root in written for slot in timeline.storage_readers(root)]
    waits_for = {slot for slot in (*makers, *readers) if slot < end and slot != begin}
    read = {timeline.root[name] for name in gradient.operands}
    takers = {slot for root in read for slot in timeline.takers(root) if begin < slot < end}
    return max(waits_for, default=-1) + 1, min(takers - waits_for, default=end)


def fused_everywhere(body: Graph) -> Graph:
    """The same meaning to the bit, each gradient and its update one node wherever they can be: a region's body."""
    if not any(_may_fuse(body, node) for node in body.nodes):
        return body
    timeline, fused = Timeline(body), True
    while fused:
        fused = False
        for update in timeline.nodes():
            if fusion := fusion_of(timeline, update):
                fusion.apply(timeline)
                fused = True
    return body.with_nodes(timeline.nodes())


def _may_fuse(body: Graph, update: Node) -> bool:
    gradient = body.analysis.producer(update.operands[1]) if len(update.operands) > 1 else None
    return gradient is not None and bool(fused_name(gradient.op, update.op))
