"""The memory plan of a graph: each storage of the arena at its offset, scratch as a buffer of one position.

A storage that shrinks (ir/storage.py) is a stack: a buffer for each of its parts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

from workbench.errors import InternalError
from workbench.ir.graph import Graph
from workbench.ir.liveness import Liveness, liveness
from workbench.ir.storage import Storage
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
    stacks = [
        tuple(Buffer(part_id(s.name, index), s.lower, upper, end - begin)
              for index, (begin, end, upper) in enumerate(s.parts))
        for s in living.arena if s.lower < s.upper
    ]  # fmt: skip
    buffers = [buffer for stack in stacks if len(stack) == 1 for buffer in stack] + scratch_buffers
    stacks = [stack for stack in stacks if len(stack) > 1]
    plan = allocate(buffers, stacks=stacks)
    reason = validate([*buffers, *chain.from_iterable(stacks)], plan.buffers, plan.bytes) or _torn(living, plan)
    if reason:
        raise InternalError(f"the planner made an invalid plan: {reason}")
    return MemoryPlan(living, plan, scratch)


def _torn(living: Liveness, plan: Plan) -> str | None:
    """The reason to refuse a plan where a storage's parts do not lie side by side."""
    offsets = plan.offsets()
    for storage in living.arena:
        for index, (begin, _, _) in enumerate(storage.parts if storage.lower < storage.upper else ()):
            if offsets[part_id(storage.name, index)] != offsets[storage.name] + begin:
                return f"the parts of {storage.name} lie apart"
    return None
