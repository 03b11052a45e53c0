"""The memory of a step that trains the conventional way: what its heap does, operator by operator, and where all lies.

An operator allocates its results, a record of the tape where gradients go through it, and scratch; behind it scratch is
freed, and each tensor that nobody reads any more. So within a position nothing is allocated behind what is freed, and
whatever lives at it, headers included, has its bytes alone: the heap is a plan like any other.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from workbench.baseline import BASELINES
from workbench.errors import InternalError, ModelError
from workbench.ir.graph import Graph
from workbench.ir.liveness import Liveness, liveness
from workbench.ir.storage import Storage
from workbench.plan.heap import HEADER, Heap
from workbench.plan.memory import ALIGNMENT, MemoryPlan, plan_memory, scratch_id
from workbench.plan.problem import Buffer, Placed, plan_of
from workbench.plan.tape import tape_of
from workbench.plan.validate import validate

RECORD = 8  # bytes of a record of the tape: the one before it, and the operator
METHOD = "first fit"
ENDLESS = 1 << 40


def plan_step(graph: Graph, scratch: Mapping[str, int], schedule: str) -> MemoryPlan:
    """The memory of a step under this schedule: its heap's where it has one, else planned (plan/memory.py). Raises
    ModelError for a region, which only straight-line code runs."""
    if schedule in BASELINES and any(node.body for node in graph.nodes):
        raise ModelError(f"schedule {schedule} runs no operators by tiles", "leave out --passes=regions")
    has_heap = schedule in BASELINES and BASELINES[schedule].heap
    return plan_heap(graph, scratch) if has_heap else plan_memory(graph, scratch)


def record_id(position: int) -> str:
    """The id of the tape's record of the operator at a position."""
    return f"record.{position}"


def plan_heap(graph: Graph, scratch: Mapping[str, int]) -> MemoryPlan:
    """The places that a first-fit heap gives; the plan holds headers and the tape's records beside storages and
    scratch."""
    scratch = {name: -(-size // ALIGNMENT) * ALIGNMENT for name, size in scratch.items() if size}
    living = liveness(graph, scratch, ALIGNMENT)
    living = Liveness(tuple(storage.whole() for storage in living.arena), living.static, living.live)
    needed = _Step(graph, living, scratch, ENDLESS).run().heap.extent
    step = _Step(graph, living, scratch, needed).run()
    plan = replace(plan_of(step.placed, living.peak, METHOD), bytes=needed)
    reason = validate(step.placed, plan.buffers, plan.bytes) or _other_lives(living, plan.buffers)
    if reason:
        raise InternalError(f"the heap's model made an invalid plan: {reason}")
    return MemoryPlan(living, plan, scratch)


def fragmentation(memory: MemoryPlan) -> dict[str, int] | None:
    """Bytes of a heap that hold no tensor, headers among them: `at_peak`, of the whole heap, where tensors and scratch
    take most; `largest`, below the highest block alive, at any position. None: there is no heap."""
    own = [buffer for buffer in memory.plan.buffers if is_own(buffer)]
    if not own:
        return None
    live = memory.liveness.live
    tops = [
        max(
            (b.end for b in memory.plan.buffers if b.lower <= at < b.upper and not b.id.startswith("header.")),
            default=0,
        )
        for at in range(len(live))
    ]
    holes = [top - bytes_live for top, bytes_live in zip(tops, live, strict=True)]
    return {"at_peak": memory.plan.bytes - memory.liveness.peak, "largest": max(holes)}


def _other_lives(living: Liveness, placed: tuple[Placed, ...]) -> str | None:
    """The reason to refuse a heap whose tensors do not live as long as their storages."""
    lives = {buffer.id: (buffer.lower, buffer.upper) for buffer in placed}
    for storage in living.arena:
        if storage.lower < storage.upper and lives.get(storage.name) != (storage.lower, storage.upper):
            return f"{storage.name} lives in {lives.get(storage.name)}, not in {(storage.lower, storage.upper)}"
    return None


class _Step:
    """One step on the heap. `placed`: all that was ever there, with its lifetime."""

    def __init__(self, graph: Graph, living: Liveness, scratch: Mapping[str, int], capacity: int):
        self.graph, self.scratch = graph, scratch
        self.storages: Mapping[str, Storage] = {s.name: s for s in living.arena if s.lower < s.upper}
        self.heap = Heap(capacity)
        self.placed: list[Placed] = []
        self._alive: dict[str, tuple[int, int, int]] = {}  # id -> place, bytes, since when
        self._headers: dict[int, int] = {}  # where -> since when

    def run(self) -> "_Step":
        known, tape = self.graph.analysis, tape_of(self.graph)
        root, last = known.root, tape.last
        reads = Counter(root[name] for node in known.work for name in node.operands)
        for name in self.graph.inputs:
            if name in self.storages:
                self._allocate(name, self.storages[name].bytes, 0)
        for position, node in enumerate(known.work):
            made = [name for name in node.results if name in self.storages]
            for name in made:
                self._allocate(name, self.storages[name].bytes, position)
            if position in tape.gradients:
                self._allocate(record_id(position), RECORD, position)
            if node.results[0] in self.scratch:
                self._allocate(scratch_id(node.results[0]), self.scratch[node.results[0]], position)
                self._free(scratch_id(node.results[0]), position)
            for name in node.operands:
                reads[root[name]] -= 1
                self._free_unread(root[name], reads, position)
            for name in made:
                self._free_unread(name, reads, position)
            if position in last:
                self._free(record_id(last[position]), position)
            self._note_headers(position)
        end = len(known.work)
        for name in tuple(self._alive):
            self._free(name, end - 1)
        for begin, since in self._headers.items():
            self._place(f"header.{begin}.{since}", since, end, HEADER, begin)
        return self

    def _allocate(self, name: str, size: int, position: int) -> None:
        self._alive[name] = (self.heap.allocate(size), size, position)
        for begin in self.heap.size:
            self._headers.setdefault(begin, position)

    def _free_unread(self, name: str, reads: Mapping[str, int], position: int) -> None:
        if name in self._alive and not reads[name]:
            self._free(name, position)

    def _free(self, name: str, position: int) -> None:
        place, size, since = self._alive.pop(name)
        self._place(name, since, position + 1, size, place)
        self.heap.free(place)

    def _note_headers(self, position: int) -> None:
        """Those of blocks that became part of another one are gone."""
        for begin in [begin for begin in self._headers if begin not in self.heap.size]:
            since = self._headers.pop(begin)
            self._place(f"header.{begin}.{since}", since, position + 1, HEADER, begin)

    def _place(self, name: str, lower: int, upper: int, size: int, offset: int) -> None:
        self.placed.append(Placed(name, lower, upper, size, offset))


def is_own(buffer: Buffer) -> bool:
    """Whether a buffer of the plan is the heap's or the tape's own: no value's, and no scratch."""
    return buffer.id.startswith(("header.", "record."))
