"""Run each weight update as soon as it is safe, so that its gradient's bytes are free again.

    vanilla     dh dw2 db2 dw1 db1 w2 b2 w1 b1
    reordered   dh dw2 w2 db2 b2 dw1 w1 db1 b1

An update may move up past anything except (a) the nodes that make its operands and (b) the last read of the old
weight: `dh = dy · w2` must see w2 before the step.
"""

from workbench.ir.graph import Graph, Node

Place = tuple[int, ...]  # sorts as the nodes stand: (5,) is node 5, (5, -1) was put behind it, (5, -2) between the two


def early_update(graph: Graph) -> Graph:
    """The same nodes, each update of a parameter at its earliest safe place; everything else in its order."""
    places: dict[int, Place] = {index: (index,) for index, node in enumerate(graph.nodes) if not _persists(node, graph)}
    behind: dict[Place, int] = {}  # how many updates have been put directly behind a place
    for index, update in enumerate(graph.nodes):
        if index not in places:
            waits_for = [places[other] for other in _hindrances(graph, index, update) if other in places]
            last = max(waits_for, default=(-1,))
            behind[last] = behind.get(last, 0) + 1
            places[index] = (*last, -behind[last])
    return graph.with_order(graph.nodes[index] for index in sorted(places, key=lambda index: places[index]))


def _persists(node: Node, graph: Graph) -> bool:
    """Whether it writes into a parameter or into state beside one."""
    known = graph.analysis
    return any(known.root[name] in known.persistent for name in node.overwrites)


def _hindrances(graph: Graph, index: int, update: Node) -> set[int]:
    """The nodes that make operands of an update, and those that read what it overwrites as it was before."""
    known = graph.analysis
    before = {known.maker[name] for name in update.operands if name in known.maker}
    for storage in {known.root[name] for name in update.overwrites}:
        old = [name for name in known.members[storage] if known.maker.get(name, -1) < index]
        before.update(reader for name in old for reader in known.readers[name])
    return before - {index}
