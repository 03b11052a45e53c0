"""Which of the measured schedules: for each kernel the quickest whose scratch has room where it runs.

How much room there is (schedule/places.py) follows from the most bytes that may live at a time. Each such bound gives
a choice; all together they are the trade of time for SRAM.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from workbench.ir.graph import Graph
from workbench.ir.liveness import liveness
from workbench.schedule.places import Place, places, rooms
from workbench.study.tuning_store import Trial

Measured = Mapping[str, Sequence[Trial]]  # by literals, the rule's first


@dataclass(frozen=True)
class Point:
    """Kernels' schedules, by literals; what the kernels take together, by the metric; the most bytes live at once."""

    trials: Mapping[str, Trial]
    cost: int
    peak: int

    @property
    def schedules(self) -> dict[str, str]:
        return {literals: trial.schedule for literals, trial in self.trials.items()}


class Choice:
    """The choices that there are for a step, of what was measured of its kernels."""

    def __init__(self, graph: Graph, told: Measured, metric: str):
        self.told, self.metric = told, metric
        self.places = list(places(graph))
        self.live = liveness(graph, graph.analysis.scratch).live
        self.fronts = {literals: front(trials, metric) for literals, trials in told.items()}

    def by_rule(self) -> Point:
        return self._point({literals: trials[0] for literals, trials in self.told.items()})

    def within(self, bound: int) -> Point:
        """The quickest kernels with which at most `bound` bytes live; or those with least scratch."""
        room = rooms(self.places, self.live, bound)
        return self._point({
            literals: next((trial for trial in trials if trial.scratch <= room[literals]), trials[-1])
            for literals, trials in self.fronts.items()
        })  # fmt: skip

    def trades(self) -> list[Point]:
        """The choices that no other beats in both time and bytes, from the quickest on."""
        points, bound = [self.within(sum(self.live))], -1
        while points[-1].peak != bound:
            bound = points[-1].peak
            points.append(self.within(bound - 4))
        best: list[Point] = []
        for point in sorted([*points, self.by_rule()], key=lambda each: (each.cost, each.peak)):
            if not best or point.peak < best[-1].peak:
                best.append(point)
        return best

    def _point(self, trials: Mapping[str, Trial]) -> Point:
        live = list(self.live)
        for position, here in groupby(self.places, key=lambda place: place.position):
            shared = [(place.shared, max(place.others, self._scratch(place, trials))) for place in here]
            live[position] += max(needed for _, needed in shared) - shared[0][0]
        return Point(trials, sum(getattr(trial, self.metric) for trial in trials.values()), max(live))

    def _scratch(self, place: Place, trials: Mapping[str, Trial]) -> int:
        trial = trials.get(place.literals)
        return place.scratch(place.schedule) if trial is None else trial.scratch


def front(trials: Sequence[Trial], metric: str) -> list[Trial]:
    """The trials that no other beats in both: the quickest first, each with less scratch than the one before."""
    best: list[Trial] = []
    for trial in sorted(trials, key=lambda each: (getattr(each, metric), each.scratch, each.schedule != "")):
        if not best or trial.scratch < best[-1].scratch:
            best.append(trial)
    return best
