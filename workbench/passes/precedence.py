"""What must stand before what.

    maker   -> reader    a value is made before it is read
    user    -> taker     who reads or writes storage as it was stands before the node that takes it over
    forward -> loss      what stood before the loss stays before it, and what stood behind it stays behind it:
    loss    -> the rest  wb_forward runs the first part alone, finds nothing missing and disturbs nothing

Any order that keeps these means the same.
"""

from workbench.ir import op as ops
from workbench.ir.graph import Graph
from workbench.ir.liveness import storage_roots


def predecessors(graph: Graph) -> tuple[int, ...]:
    """For each node the nodes that must stand before it: bit i for the i-th, not every indirect one among them."""
    root = storage_roots(graph)
    maker = {result: index for index, node in enumerate(graph.nodes) for result in node.results}
    users: dict[str, int] = {}  # storage -> those who read or wrote it since it was last taken over
    before = []
    for index, node in enumerate(graph.nodes):
        made = sum({1 << maker[name] for name in node.operands if name in maker})
        taken = {root[name] for name in node.overwrites}
        before.append(made)
        for storage in taken:
            before[index] |= users.pop(storage, 0)
        for name in (*node.operands, *node.results):
            users[root[name]] = users.get(root[name], 0) | 1 << index
    return _split_at_the_loss(graph, before)


def _split_at_the_loss(graph: Graph, before: list[int]) -> tuple[int, ...]:
    loss = next((index for index, node in enumerate(graph.nodes) if ops.get(node.op).loss), None)
    if loss is not None:
        before[loss] |= (1 << loss) - 1
        for index in range(loss + 1, len(before)):
            before[index] |= 1 << loss
    return tuple(before)
