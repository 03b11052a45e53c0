"""How far one whole call of the firmware ends from the interpreter's: its logits, and its changes of what persists.

The interpreter begins where the firmware began. Changes are compared, not weights: of a weight of 0.3 that moves by
1e-6 all but the last digits are right whatever the step does.
"""

from collections.abc import Mapping

import numpy as np

from workbench.autodiff import loss_nodes, parameter_roles
from workbench.ir import op as ops
from workbench.ir.deltas import joined
from workbench.ir.graph import Graph, Node
from workbench.ir.interpret import interpret
from workbench.ir.ranges import SMALLEST
from workbench.ir.types import NUMPY

Arrays = Mapping[str, np.ndarray]
NOTHING = 1e-30  # the kernels' exp gives 0 below 1e-38, and a sure network's gradients with it
SLIPS = 1e-3  # the part of a tensor's elements that may round the other way, by one unit in the last place


def nodes_of(graph: Graph, entry: str) -> tuple[Node, ...]:
    """The nodes that an entry of the firmware runs, and the views of what they make."""
    phase = dict(zip((node.results for node in graph.analysis.work), graph.analysis.phases, strict=True))
    wanted = {"wb_forward": ("forward",), "wb_accumulate": ("forward", "loss", "backward")}.get(entry)
    known, chosen = set(graph.arguments), []
    for node in graph.nodes:
        view = ops.get(node.op).view
        if wanted is None or (phase[node.results] in wanted if not view else known.issuperset(node.operands)):
            known.update(node.results)
            chosen.append(node)
    return tuple(chosen)


def distances(graph: Graph, entry: str, before: Arrays, after: Arrays, fed: Arrays, logits: np.ndarray) -> dict:
    """Each result of the call -> its distance from the interpreter's, in terms of the latter's norm.

    `before` and `after`: what persists; `fed`: inputs and scalars. `logits` are those that the emulated loss was given:
    the interpreter's loss is given the same, since a sure network's gradients depend on their last digits.
    """
    (loss,) = loss_nodes(graph)
    name, own = loss.operands[0], {}

    def observe(node: Node, results: tuple[np.ndarray, ...]) -> None:
        if name in node.results:
            result = results[node.results.index(name)]
            own[name] = result.copy()
            result[...] = logits

    nodes = nodes_of(graph, entry)
    written = {result for node in nodes for result in node.results}
    part = graph.with_nodes(nodes, tuple(output for output in graph.outputs if output in written))
    feeds = dict(before) | dict(fed)
    wanted = interpret(part, {each: feeds[each] for each in part.arguments}, observe=observe)
    if entry == "wb_forward":
        return {"logits": _apart({"": (logits, own[name])})}
    groups: dict[str, dict] = {}
    roles = parameter_roles(graph)
    before, after, wanted = (joined(graph, values) for values in (before, after, wanted))
    for each in before:
        change, wanted_change = (_change(before[each], end[each]) for end in (after, wanted))
        group = f"the change of {roles[each]}s".replace("biass", "biases") if each in roles else "the change of state"
        unit = _unit(before[each]) if each in roles else 0
        groups.setdefault(f"{group} ({NUMPY[graph.types[each].dtype].__name__})", {})[each] = (
            _without_slips(change, wanted_change, unit), wanted_change
        )  # fmt: skip
    return {group: _apart(pairs) for group, pairs in groups.items()}


def _change(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return after.astype(np.float64) - before.astype(np.float64)


def _unit(values: np.ndarray) -> np.ndarray | int:
    """One unit in the last place."""
    return np.spacing(np.abs(values)).astype(np.float64) if values.dtype == np.float32 else 1


def _without_slips(change: np.ndarray, wanted: np.ndarray, unit) -> np.ndarray:
    """`change`, with the few elements as wanted that were rounded the other way, and the largest float32's too."""
    with np.errstate(invalid="ignore"):
        slips = (change != wanted) & (np.abs(change - wanted) <= unit)
    return np.where(slips, wanted, change) if slips.sum() <= 1 + SLIPS * change.size else change


def _apart(pairs: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> float:
    """‖got − wanted‖ / ‖wanted‖ of all pairs together, where both are finite; infinite where only one is.

    What is nearer than NOTHING is not apart.
    """
    got, wanted = (np.concatenate([np.ravel(pair[i]).astype(np.float64) for pair in pairs.values()]) for i in (0, 1))
    finite = np.isfinite(wanted)
    if not np.array_equal(np.isfinite(got), finite):
        return float("inf")
    apart, norm = np.linalg.norm((got - wanted)[finite]), np.linalg.norm(wanted[finite])
    return float(apart) / max(float(norm), SMALLEST) if apart > NOTHING else 0.0
