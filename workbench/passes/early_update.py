"""Run each weight update as soon as it is safe, so that its gradient's bytes are free again.

    vanilla     dh dw2 db2 dw1 db1 w2 b2 w1 b1
    reordered   dh dw2 w2 db2 b2 dw1 w1 db1 b1

An update may move up past anything except (a) the nodes that make its operands and (b) the last read of the old
weight: `dh = dy · w2` must see w2 before the step.
"""

from workbench.ir.graph import Graph, Node
from workbench.ir.liveness import storage_roots


def early_update(graph: Graph) -> Graph:
    """The same nodes, each update of a parameter at its earliest safe place; everything else in its order."""
    root = storage_roots(graph)
    age = {name: place for place, node in enumerate(graph.nodes) for name in node.results}
    updates = [node for node in graph.nodes if _persists(node, root, graph)]
    order = [node for node in graph.nodes if not _persists(node, root, graph)]
    for update in updates:
        order.insert(_earliest_safe_place(update, order, root, age), update)
    return graph.with_order(order)


def _persists(node: Node, root: dict[str, str], graph: Graph) -> bool:
    """Whether it writes into a parameter or into state beside one."""
    return any(root[name] in graph.persistent for name in node.overwrites)


def _earliest_safe_place(update: Node, order: list[Node], root: dict[str, str], age: dict[str, int]) -> int:
    overwritten, new = {root[name] for name in update.overwrites}, age[update.results[0]]
    place = 0
    for position, node in enumerate(order):
        makes_operand = set(node.results).intersection(update.operands)
        reads_old = any(root[name] in overwritten and age.get(name, -1) < new for name in node.operands)
        if makes_operand or reads_old:
            place = position + 1
    return place
