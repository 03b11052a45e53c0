"""The memory plan of a graph: each storage of the arena at its offset, scratch as a buffer of one position."""

from collections.abc import Mapping
from dataclasses import dataclass

from workbench.errors import InternalError
from workbench.ir.graph import Graph
from workbench.ir.liveness import Liveness, Storage, liveness, steps
from workbench.plan.allocate import allocate
from workbench.plan.problem import Buffer, Plan
from workbench.plan.validate import validate

ALIGNMENT = 4  # bytes: words, and bit masks in whole words


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


def plan_memory(graph: Graph, scratch: Mapping[str, int] | None = None) -> MemoryPlan:
    """Plan the arena of `graph`; the plan has been validated. `scratch`: bytes by a node's first result."""
    scratch = {name: -(-size // ALIGNMENT) * ALIGNMENT for name, size in (scratch or {}).items() if size}
    living = liveness(graph, scratch, ALIGNMENT)
    buffers = [Buffer(s.name, s.lower, s.upper, s.bytes) for s in living.arena if s.lower < s.upper]
    buffers += [
        Buffer(scratch_id(node.results[0]), position, position + 1, scratch[node.results[0]])
        for position, node in enumerate(steps(graph))
        if node.results[0] in scratch
    ]
    plan = allocate(buffers)
    reason = validate(buffers, plan.buffers, plan.bytes)
    if reason:
        raise InternalError(f"the planner made an invalid plan: {reason}")
    return MemoryPlan(living, plan, scratch)
