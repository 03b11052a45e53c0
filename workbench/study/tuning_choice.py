"""Which of the measured schedules: the quickest kernels whose step needs no more SRAM than it may.

    all kernels at their quickest ── where most bytes live, the kernel with most scratch: its next one with less ──► …

Each step of this descent is a trade of time for SRAM. The first that needs no more than the bound is taken.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from workbench.ir.graph import Graph
from workbench.ir.liveness import liveness
from workbench.kernels.literals import literals_of
from workbench.schedule.tuned import Tuned, scheduled, with_schedules
from workbench.study.tuning import Trial

Measured = Mapping[str, Sequence[Trial]]  # by literals, the rule's first


@dataclass(frozen=True)
class Point:
    """Kernels' schedules, by literals; what the kernels take together, by the metric; the most bytes live at once."""

    schedules: Mapping[str, str]
    cost: int
    peak: int


def front(trials: Sequence[Trial], metric: str) -> list[Trial]:
    """The trials that no other beats in both: the quickest first, each with less scratch than the one before."""
    best: list[Trial] = []
    for trial in sorted(trials, key=lambda each: (getattr(each, metric), each.scratch, each.schedule != "")):
        if not best or trial.scratch < best[-1].scratch:
            best.append(trial)
    return best


def by_rule(graph: Graph, told: Measured, metric: str) -> Point:
    return _point(graph, [trials[0] for trials in told.values()], metric)[0]


def descent(graph: Graph, told: Measured, metric: str) -> Iterator[Point]:
    """From the quickest schedules down, until what holds the peak can have no less scratch."""
    fronts, at = {literals: front(trials, metric) for literals, trials in told.items()}, dict.fromkeys(told, 0)
    while True:
        now = {literals: fronts[literals][index] for literals, index in at.items()}
        point, worst = _point(graph, list(now.values()), metric)
        yield point
        less = [literals for literals in worst if literals in at and at[literals] + 1 < len(fronts[literals])]
        if not less:
            return
        at[max(less, key=lambda literals: now[literals].scratch)] += 1


def least_within(points: Sequence[Point], bound: int | None) -> Point:
    """The quickest that needs no more than the bound; None, or where there is none: that needs least."""
    fitting = [point for point in points if bound is not None and point.peak <= bound]
    return min(fitting, key=lambda each: each.cost) if fitting else min(points, key=lambda each: (each.peak, each.cost))


def trades(points: Sequence[Point]) -> list[Point]:
    """The points that no other beats in both, from the quickest on."""
    best: list[Point] = []
    for point in sorted(points, key=lambda each: (each.cost, each.peak)):
        if not best or point.peak < best[-1].peak:
            best.append(point)
    return best


def _point(graph: Graph, trials: Sequence[Trial], metric: str) -> tuple[Point, list[str]]:
    """These schedules together; and the kernels that run where most bytes live."""
    schedules = {trial.literals: trial.schedule for trial in trials}
    chosen = with_schedules(graph, Tuned("trial", "", "", schedules))
    living = liveness(chosen, chosen.analysis.scratch)
    node = chosen.analysis.work[living.worst]
    kernels = [literals_of(*each) for each in scheduled(node, chosen.types)]
    return Point(schedules, sum(getattr(trial, metric) for trial in trials), living.peak), kernels
