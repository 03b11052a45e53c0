"""Write a result over the operand that dies in it, where the kernel works element by element.

    d = conv2d_transpose(…)          |== d ==|                one storage instead of two
    e = apply_mask(d, m)                 |== e ==|      ->    |== d, e ==|

An operand can be taken over if (a) its kernel says so (Kernel.in_place), (b) its storage dies in this node: nobody
reads it, or a view of it, later on, (c) it is neither an argument's nor an output's, which outlive the step, (d) the
node does not read the same storage through an operand that has to be whole until the end, and (e) the result fills it.
"""

from dataclasses import replace
from itertools import zip_longest

from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
from workbench.ir.slices import begun
from workbench.ir.storage import Aliases
from workbench.passes import Declined


def work_in_place(graph: Graph) -> Graph:
    """The same nodes in the same order, results written over operands. Declines where there is none to take over."""
    end = len(graph.nodes)
    aliases = Aliases(graph.arguments)  # of the graph as it becomes, up to this node
    root = aliases.root
    dies = dict.fromkeys(graph.arguments, end)  # storage -> index of the last node that reads it, as far as known
    nodes = []
    for index, node in enumerate(graph.nodes):
        dying = {name for name in node.operands if dies[root[name]] == index}
        node = _in_place(node, dying, root, graph)
        nodes.append(node)
        aliases.add(node)
        for result, over in zip_longest(node.results, node.over, fillvalue=""):
            last = end if result in graph.analysis.outputs else max(graph.analysis.last_reader(result), index)
            overwritten = over and root[result] in graph.analysis.inputs  # what the host wrote is gone
            dies[root[result]] = last if overwritten else max(dies.get(root[result], index), last)
    if nodes == list(graph.nodes):
        raise Declined("no operand dies where its kernel could write over it")
    return replace(graph, nodes=tuple(nodes))


def _in_place(node: Node, dying: set[str], root: dict[str, str], graph: Graph) -> Node:
    """The node; its first result takes over the first operand that it may take over."""
    if node.body:
        return _sums_in_place(node, dying, root)
    able = ops.get(node.op).can_take(node.operands)
    if node.over[:1] not in {(), ("",)}:
        return node
    for name in able:
        others = {root[other] for other in node.operands if other not in able}
        fills = graph.types[node.results[0]].bytes == graph.types[name].bytes
        if name in dying and root[name] not in others and fills:
            return replace(node, over=(name, *(node.over[1:] or [""] * (len(node.results) - 1))))
    return node


def _sums_in_place(region: Node, dying: set[str], root: dict[str, str]) -> Node:
    """The region; a sum over channels takes over the operand that it is accumulated onto."""
    if not region.attrs["channels"]:
        return region
    given = dict(zip(region.region_body.inputs, region.operands, strict=True))
    begins = {made: given[name] for made, name in begun(region.region_body).items()}
    read = [root[name] for name in region.operands]
    over = list(region.over or [""] * len(region.results))
    for index, made in enumerate(region.region_body.outputs):
        name = begins.get(made, "")
        if name in dying and read.count(root[name]) == 1:
            over[index] = over[index] or name
    return replace(region, over=tuple(over) if any(over) else ())
