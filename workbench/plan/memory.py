"""The memory plan of a graph: each storage of the arena at its offset, scratch as a buffer of one position.

A storage that shrinks (ir/liveness.py) becomes a stack of buffers, placed before all others, or stays whole where that
gives a smaller plan.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from workbench.errors import InternalError
from workbench.ir.graph import Graph
from workbench.ir.liveness import Liveness, liveness
from workbench.ir.storage import Storage
from workbench.plan.allocate import COMPILE_NODES, allocate
from workbench.plan.problem import Buffer, Placed, Plan
from workbench.plan.validate import validate

ALIGNMENT = 4  # bytes: words, and bit masks in whole words
FIRST_NODES = 2000  # of the search for a plan, with each choice of what stays whole, before it goes on
MANY = 155  # buffers, beyond which a node of the search costs so much that far fewer are tried


@dataclass(frozen=True)
class MemoryPlan:
    """Storages by lifetime, the arena's plan by storage name, and scratch: first result of a node -> bytes."""

    liveness: Liveness
    plan: Plan
    scratch: Mapping[str, int]

    def offset(self, storage: Storage) -> int:
        return self._offsets[storage.name]

    def scratch_offset(self, node_result: str) -> int:
        return self._offsets[scratch_id(node_result)]

    @property
    def _offsets(self) -> dict[str, int]:
        return self.plan.offsets()


def scratch_id(node_result: str) -> str:
    return f"scratch.{node_result}"


def part_id(storage: str, index: int) -> str:
    """The id of a storage's part: the first, which lives to the storage's end, has the storage's own name."""
    return f"tail{index}.{storage}" if index else storage


def plan_memory(graph: Graph, scratch: Mapping[str, int] | None = None) -> MemoryPlan:
    """Plan the arena of `graph`; the plan has been validated. `scratch`: bytes by a node's first result."""
    scratch = {name: -(-size // ALIGNMENT) * ALIGNMENT for name, size in (scratch or {}).items() if size}
    living = liveness(graph, scratch, ALIGNMENT)
    scratch_buffers = [
        Buffer(scratch_id(node.results[0]), position, position + 1, scratch[node.results[0]])
        for position, node in enumerate(graph.analysis.work)
        if node.results[0] in scratch
    ]
    limit = COMPILE_NODES * min(1, MANY / max(len(living.arena) + len(scratch_buffers), 1)) ** 6
    planned: list[MemoryPlan] = []
    choices = [tuple(s.whole() if s.name in names else s for s in living.arena) for names in _whole(living)]
    for nodes in (min(FIRST_NODES, limit), limit):
        for arena in choices:
            planned.append(_planned(replace(living, arena=arena), scratch_buffers, scratch, nodes))
            if planned[-1].plan.bytes <= living.peak:
                return planned[-1]
        choices = [memory.liveness.arena for memory in sorted(planned, key=lambda memory: memory.plan.bytes)[:2]]
    return min(planned, key=lambda memory: memory.plan.bytes)


def _planned(
    living: Liveness, scratch_buffers: list[Buffer], scratch: Mapping[str, int], nodes: float
) -> MemoryPlan:  # fmt: skip
    fixed = _stacked(living)
    buffers = [
        Buffer(s.name, s.lower, s.upper, s.bytes) for s in living.arena if s.lower < s.upper and len(s.parts) == 1
    ] + scratch_buffers
    plan = allocate(buffers, nodes, fixed=fixed)
    reason = validate([*buffers, *fixed], plan.buffers, plan.bytes) or _torn(living, plan)
    if reason:
        raise InternalError(f"the planner made an invalid plan: {reason}")
    return MemoryPlan(living, plan, scratch)


def _stacked(living: Liveness) -> list[Placed]:
    """Storages that shrink, their parts side by side: each at the bottom, or on those of them alive with it."""
    placed: list[Placed] = []
    for storage in sorted(living.arena, key=lambda s: (s.lower, -s.bytes)):
        if len(storage.parts) > 1:
            life = Buffer(storage.name, storage.lower, storage.upper, storage.bytes)
            floor = max((other.end for other in placed if other.meets(life)), default=0)
            for index, (begin, end, upper) in enumerate(storage.parts):
                placed.append(Placed(part_id(storage.name, index), storage.lower, upper, end - begin, floor + begin))
    return placed


def _whole(living: Liveness) -> list[set[str]]:
    """Which of the storages that shrink to take as if they did not: none, those that would not lie at the bottom (the
    planner makes poorer use of the room under them), or all, so that each may lie anywhere."""
    low = {placed.id for placed in _stacked(living) if placed.offset == 0}
    shrinking = {storage.name for storage in living.arena if len(storage.parts) > 1}
    choices: list[set[str]] = []
    for names in (set[str](), shrinking - low, shrinking):
        choices += [] if names in choices else [names]
    return choices


def _torn(living: Liveness, plan: Plan) -> str | None:
    """The reason to refuse a plan where a storage's parts do not lie side by side."""
    offsets = plan.offsets()
    for storage in living.arena:
        for index, (begin, _, _) in enumerate(storage.parts if storage.lower < storage.upper else ()):
            if offsets[part_id(storage.name, index)] != offsets[storage.name] + begin:
                return f"the parts of {storage.name} lie apart"
    return None
