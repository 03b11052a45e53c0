"""Write a result over the operand that dies in it, where the kernel works element by element.

    d = conv2d_transpose(…)          |== d ==|                one storage instead of two
    e = apply_mask(d, m)                 |== e ==|      ->    |== d, e ==|

An operand can be taken over if (a) its kernel says so (Kernel.in_place), (b) its storage dies in this node: nobody
reads it, or a view of it, later on, (c) it is neither an argument's nor an output's, which outlive the step, (d) the
node does not read the same storage through an operand that has to be whole until the end, (e) no other of its results
is written there, and (f) the result fills it.
"""

from dataclasses import replace
from itertools import zip_longest

from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
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
    """The node; each result with storage of its own takes over the first operand that it may take over."""
    op, over = ops.get(node.op), list(node.over or [""] * len(node.results))
    able = op.can_take(node.operands)  # these may be one storage
    for index, result in enumerate(node.results):
        taken = {root[name] for name in over if name}
        for name in () if over[index] else dict.fromkeys(node.operands):
            others = {root[other] for other in node.operands if other != name and other not in able} | taken
            fits = graph.types[result].bytes == graph.types[name].bytes and root[name] not in others
            if name in dying and fits and op.may_take(node, graph.types, index, name):
                over[index] = name
                break
    return replace(node, over=tuple(over)) if any(over) else node
