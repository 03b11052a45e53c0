"""Search the orders of a graph for the one with the fewest bytes alive at once.

A state is a set of nodes that have run; how they were ordered no longer matters. What is live after a set is known from
the set alone, so many orders meet in one state:

    {} --a--> {a} --b--> {a,b} --…     b-a and a-b meet: keep the one with the lower peak
       --b--> {b} --a--^

States are taken by least peak so far (Dijkstra's search with max in place of +): the first complete one is least.
Most nodes need no search. From a state, a node or a chain of nodes that may run and leaves no more alive than before is
run at once where that stays within the peak that is unavoidable by now: later it could only free the same or more
bytes, and until then they would lie about. (Bytes alive, as a function of the set, are submodular.)
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from workbench.ir.analysis import Piece, bits


@dataclass(frozen=True)
class Problem:
    """Nodes by index, sets of them as bits: `before[n]` must have run when n does, and so must all `ancestors[n]`, the
    indirect ones too; `scratch[n]` bytes it needs then.
    """

    before: tuple[int, ...]
    ancestors: tuple[int, ...]
    scratch: tuple[int, ...]
    pieces: tuple[Piece, ...]
    behind: list[list[int]] = field(init=False, repr=False, compare=False)  # of each node, those that wait for it
    made: list[int] = field(init=False, repr=False, compare=False)  # bytes
    used: list[list[Piece]] = field(init=False, repr=False, compare=False)
    near: list[int] = field(init=False, repr=False, compare=False)  # of each node, those that its effect depends on
    effects: list[dict[int, tuple[int, int]]] = field(init=False, repr=False, compare=False)  # by which of them ran

    def __post_init__(self) -> None:
        behind: list[list[int]] = [[] for _ in self.before]
        for node, needed in enumerate(self.before):
            for other in bits(needed):
                behind[other].append(node)
        made = [0] * len(self.before)
        used: list[list[Piece]] = [[] for _ in self.before]
        for piece in self.pieces:
            if piece.maker is not None:
                made[piece.maker] += piece.bytes
            for node in bits(piece.users & self.all):
                used[node].append(piece)
        near = [0] * len(self.before)
        for node, others in enumerate(behind):
            for needed in (*(self.before[other] for other in others), *(piece.users for piece in used[node])):
                near[node] |= needed & self.all
        effects: list[dict[int, tuple[int, int]]] = [{} for _ in self.before]
        values: dict[str, Any] = {"behind": behind, "made": made, "used": used, "near": near, "effects": effects}
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def all(self) -> int:
        return (1 << len(self.before)) - 1

    def first(self) -> "State":
        ready = sum(1 << node for node, needed in enumerate(self.before) if not needed)
        live = sum(piece.bytes for piece in self.pieces if piece.maker is None)
        return State(0, ready, live, 0, None)

    def step(self, state: "State", node: int) -> "State":
        """The state after `node` has run as well."""
        freed, ready = self.effect(node, state.done)
        at_once = state.live + self.made[node]
        done = state.done | 1 << node
        peak = max(state.peak, at_once + self.scratch[node])
        return State(done, state.ready & ~(1 << node) | ready, at_once - freed, peak, (state, node))

    def effect(self, node: int, done: int) -> tuple[int, int]:
        """The bytes that `node` frees after `done`, and the nodes that it makes ready."""
        known, key = self.effects[node], done & self.near[node]
        if key in known:
            return known[key]
        done |= 1 << node
        freed = sum(piece.bytes for piece in self.used[node] if not piece.users & ~done)
        ready = sum(1 << other for other in self.behind[node] if not self.before[other] & ~done)
        known[key] = freed, ready
        return freed, ready


@dataclass(frozen=True)
class State:
    """Nodes that have run and that may run next, bytes alive now and at most until now, and the step that led here."""

    done: int
    ready: int
    live: int
    peak: int
    last: tuple["State", int] | None

    def order(self) -> list[int]:
        nodes, state = [], self
        while state.last:
            state, node = state.last
            nodes.append(node)
        return nodes[::-1]


def peak_of(problem: Problem, order: Iterable[int]) -> int:
    state = problem.first()
    for node in order:
        state = problem.step(state, node)
    return state.peak


def lower_bound(problem: Problem) -> int:
    """No order needs less: at each node, what is alive there in all orders."""
    descendants = _descendants(problem)
    best = 0
    for node in range(len(problem.before)):
        early, late = problem.ancestors[node] | 1 << node, descendants[node] | 1 << node | 1 << len(problem.before)
        alive = problem.scratch[node]
        for piece in problem.pieces:
            if piece.users & late and (piece.maker is None or early >> piece.maker & 1):
                alive += piece.bytes
        best = max(best, alive)
    return best


def search(problem: Problem, floor: int, ceiling: int, limit: int) -> tuple[State | None, int]:
    """The complete state of least peak, if there is one below `ceiling`, and a proven lower bound of the peak.

    `floor` is a known lower bound. After `limit` states the search gives up: None, and the bound reached so far.
    """
    order = count()  # ties: the deeper state, then the earlier one
    start = _settle(problem, problem.first(), floor)
    queue = [(max(start.peak, floor), -start.done.bit_count(), next(order), start)]
    best = {start.done: start.peak}
    while queue:
        peak, _, _, state = heapq.heappop(queue)
        if peak >= ceiling:
            break
        if state.done == problem.all:
            return state, peak
        if limit == 0:
            return None, peak
        limit -= 1
        for node in bits(state.ready):
            after = _settle(problem, problem.step(state, node), floor)
            if after.peak < best.get(after.done, ceiling):
                best[after.done] = after.peak
                heapq.heappush(queue, (max(after.peak, floor), -after.done.bit_count(), next(order), after))
    return None, ceiling


def beam(problem: Problem, floor: int, width: int) -> State:
    """A complete state of low peak: of the states with as many nodes run, the `width` best are followed."""
    start = _settle(problem, problem.first(), floor)
    levels: dict[int, dict[int, State]] = {start.done.bit_count(): {start.done: start}}
    for level in range(len(problem.before)):
        found = sorted(levels.pop(level, {}).values(), key=lambda state: (max(state.peak, floor), state.live))
        for state in found[:width]:
            for node in bits(state.ready):
                after = _settle(problem, problem.step(state, node), floor)
                here = levels.setdefault(after.done.bit_count(), {})
                if after.done not in here or after.peak < here[after.done].peak:
                    here[after.done] = after
    return levels[len(problem.before)][problem.all]


def _settle(problem: Problem, state: State, floor: int) -> State:
    """Run what needs no choice: a node that alone is ready, and a chain that stays within the peak so far and leaves no
    more alive than before."""
    while state.ready:
        after: State | None
        if state.ready & (state.ready - 1) == 0:
            after = problem.step(state, state.ready.bit_length() - 1)
        else:
            within = max(state.peak, floor)
            chains = (_chain(problem, state, node, within) for node in bits(state.ready))
            after = next((after for after in chains if after), None)
            if after is None:
                break
        state = after
    return state


def _chain(problem: Problem, start: State, node: int, within: int) -> State | None:
    """The state after `node` and the nodes that it alone makes ready, up to the first that leaves no more alive than
    before; None where there is none."""
    done, live, chain = start.done, start.live, []
    while True:
        at_once = live + problem.made[node]
        if at_once + problem.scratch[node] > within:
            return None
        freed, ready = problem.effect(node, done)
        done, live = done | 1 << node, at_once - freed
        chain.append(node)
        if live <= start.live:
            break
        if ready == 0 or ready & (ready - 1):
            return None
        node = ready.bit_length() - 1
    state = start
    for node in chain:
        state = problem.step(state, node)
    return state


def _descendants(problem: Problem) -> list[int]:
    """All that must run behind each node, indirectly too."""
    descendants = [0] * len(problem.before)
    for node in reversed(range(len(problem.before))):  # makers stand before readers in the order that came in
        for other in bits(problem.before[node]):
            descendants[other] |= descendants[node] | 1 << node
    return descendants
