"""The tape of a training step: which gradient operators belong to which forward operator.

order       F0 F1 F2  loss  B2 B2 B1 U1 B0 B0  U0 U2
gradients   loss: -   F2: B2 B2   F1: B1 U1   F0: B0 B0      in the order in which the tape is read: backwards
updates     U0 U2                                            what is left at the end
"""

from collections.abc import Mapping
from dataclasses import dataclass

from workbench.ir.graph import Graph


@dataclass(frozen=True)
class Tape:
    """Positions (see ir/analysis.py). `gradients`: of a forward operator, or the loss, what the backward runs for it;
    of those alone that there is something to run for. `forward`, `backward`: where these two phases end and begin."""

    forward: int
    backward: int
    gradients: Mapping[int, tuple[int, ...]]
    updates: tuple[int, ...]

    @property
    def last(self) -> Mapping[int, int]:
        """The last gradient operator of a record -> the operator that pushed it."""
        return {run[-1]: position for position, run in self.gradients.items()}


def tape_of(graph: Graph) -> Tape:
    """The tape of a step whose order is that of autodiff, or one with earlier updates: the backward stays in this
    order, so each operator is given to the latest forward operator, not behind that of the one before it, whose values
    or parameters it reads."""
    known = graph.analysis
    phases, work, root = known.phases, known.work, known.root
    backward = phases.index("loss") + 1 if "loss" in phases else len(phases)
    forward = phases.index("loss") if "loss" in phases else len(phases)
    end = len(work)
    while end > backward and phases[end - 1] == "update":
        end -= 1
    users: dict[str, list[int]] = {}
    for position in range(backward):
        for name in (*work[position].operands, *work[position].results):
            users.setdefault(root[name], []).append(position)
    gradients: dict[int, list[int]] = {}
    owner = backward - 1
    for position in range(backward, end):
        about = [at for name in work[position].operands for at in users.get(root[name], ()) if at <= owner]
        owner = max(about, default=owner)
        gradients.setdefault(owner, []).append(position)
    return Tape(forward, backward, {at: tuple(run) for at, run in gradients.items()}, tuple(range(end, len(work))))
