"""The passes in their order, the three schedules as lists of them, and what each pass did or why it declined.

The graph is verified after each pass. What only pays (`Pass.must_pay`) is undone where it needs more memory.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from workbench.baseline import BASELINES
from workbench.errors import GraphError, InternalError, WorkbenchError, there_are
from workbench.ir.graph import Graph
from workbench.ir.liveness import peak_bytes
from workbench.ir.verify import verify
from workbench.passes import Declined
from workbench.passes.bit_masks import save_bit_masks
from workbench.passes.dead_code import eliminate_dead_code
from workbench.passes.early_update import early_update
from workbench.passes.fold_constants import fold_constants
from workbench.passes.fold_scales import fold_scales
from workbench.passes.fuse_activation import fuse_activation
from workbench.passes.fuse_add import fuse_add
from workbench.passes.fuse_update import fuse_update
from workbench.passes.in_place import work_in_place
from workbench.passes.input_rows import input_rows
from workbench.passes.later import Foreseen, Later
from workbench.passes.order_search import order_search
from workbench.passes.pack_weights import pack_weights
from workbench.passes.recompute import recompute
from workbench.passes.regions import regions
from workbench.passes.simplify import simplify
from workbench.units import size

Weights = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Pass:
    """`run(graph) -> graph` may raise Declined. `schedules`: those that have it unless told otherwise.

    One `of_values` is called with the parameters' values as well, and gives new ones beside the graph; one that
    `looks_ahead` with what the later passes will do (later.py), as far as they are `foreseen`: they change what memory
    values take. One of the `forward` graph runs before that is differentiated. `keeps_nodes`: it changes nothing but
    whose storage results take over; `reorders`: but the order.
    """

    name: str
    run: Callable[..., Any]
    about: str
    schedules: tuple[str, ...]
    must_pay: bool = False
    of_values: bool = False
    forward: bool = False
    looks_ahead: bool = False
    foreseen: bool = False
    keeps_nodes: bool = False
    reorders: bool = False


SHARED, REORDERED, OPTIMIZED = ("vanilla", "reordered", "optimized"), ("reordered", "optimized"), ("optimized",)
PASSES = {
    made.name: made
    for made in (
        Pass(
            "fold-scales",
            fold_scales,
            "frozen scales and shifts inside the layer before them",
            SHARED,
            of_values=True,
            forward=True,
        ),
        Pass(
            "fold-constants", fold_constants, "compute what depends on frozen parameters alone", SHARED, of_values=True
        ),
        Pass("simplify", simplify, "a simpler operator where it does the same: a view for a transpose", SHARED),
        Pass("bit-masks", save_bit_masks, "save one bit an element where the backward needs no more", SHARED),
        Pass("fuse-activation", fuse_activation, "bias and activation inside their convolution or dense layer", SHARED),
        Pass("fuse-add", fuse_add, "let a gradient's sum begin at the one it would be added to", SHARED),
        Pass("dead-code", eliminate_dead_code, "drop what nobody reads", SHARED),
        Pass(
            "pack-weights", pack_weights, "frozen weights as their kernel reads them quickest", SHARED, of_values=True
        ),
        Pass("input-rows", input_rows, "take the image row by row: --input rows", ()),
        Pass("recompute", recompute, "compute again what would take more memory to save", (), looks_ahead=True),
        Pass("early-update", early_update, "update each weight as soon as it is safe", REORDERED, foreseen=True),
        Pass("regions", regions, "run chains of operators row by row", OPTIMIZED, looks_ahead=True, foreseen=True),
        Pass("fuse-update", fuse_update, "apply each gradient as it is computed", OPTIMIZED, True, foreseen=True),
        Pass(
            "in-place",
            work_in_place,
            "write a result over the operand that dies in it",
            OPTIMIZED,
            True,
            foreseen=True,
            keeps_nodes=True,
        ),
        Pass(
            "order-search",
            order_search,
            "run in the order that keeps the fewest bytes alive",
            OPTIMIZED,
            True,
            foreseen=True,
            reorders=True,
        ),
    )
}
SCHEDULES = {
    schedule: tuple(name for name, made in PASSES.items() if schedule in made.schedules) for schedule in SHARED
}
SCHEDULES |= {
    name: SCHEDULES["vanilla" if baseline.late_updates else "reordered"] for name, baseline in BASELINES.items()
}


@dataclass(frozen=True)
class Applied:
    """What one pass did: nodes and peak live arena bytes before and after, seconds, and why it declined, if it did."""

    name: str
    nodes: tuple[int, int]
    peak_bytes: tuple[int, int]
    seconds: float
    declined: str = ""


def chosen_passes(schedule: str, changes: str = "") -> tuple[str, ...]:
    """The passes of a schedule in order; `changes` like "in-place,-early-update" add the one and leave out the other.

    Raises WorkbenchError for a name nothing is called by.
    """
    if not isinstance(schedule, str) or schedule not in SCHEDULES:
        raise WorkbenchError(f"no schedule is called {schedule!r}", there_are(schedule, SCHEDULES))
    if not isinstance(changes, str):
        raise WorkbenchError(f"passes are a text like 'in-place,-early-update'; got {changes!r}")
    chosen = set(SCHEDULES[schedule])
    for word in filter(None, (word.strip() for word in changes.split(","))):
        name = word.removeprefix("-")
        if name not in PASSES:
            raise WorkbenchError(f"no pass is called {name!r}", there_are(name, PASSES))
        (chosen.discard if word.startswith("-") else chosen.add)(name)
    return tuple(name for name in PASSES if name in chosen)


def pass_changes(schedule: str, names: Sequence[str]) -> tuple[str, ...]:
    """What the passes called `names` differ by from the schedule's own: ("-in-place", "+regions")."""
    own = SCHEDULES[schedule]
    return tuple(f"{'-' if name in own else '+'}{name}" for name in PASSES if (name in own) != (name in names))


def run_passes(graph: Graph, names: Sequence[str]) -> tuple[Graph, tuple[Applied, ...]]:
    """Run the passes called `names` over a training step, and tell what each one did."""
    graph, _, record = run_passes_with(graph, None, names)
    return graph, record


@overload
def run_passes_with(
    graph: Graph, weights: Weights, names: Sequence[str]
) -> tuple[Graph, Weights, tuple[Applied, ...]]: ...


@overload
def run_passes_with(graph: Graph, weights: None, names: Sequence[str]) -> tuple[Graph, None, tuple[Applied, ...]]: ...


def run_passes_with(
    graph: Graph, weights: Weights | None, names: Sequence[str]
) -> tuple[Graph, Weights | None, tuple[Applied, ...]]:
    """`run_passes` with the parameters' values: gives those of the new graph's parameters too."""
    record = []
    for number, name in enumerate(names, 1):
        before, start = graph, time.perf_counter()
        graph, weights, declined = _run(PASSES[name], before, weights, later(names[number:]))
        peaks = peak_bytes(before), peak_bytes(graph)
        if declined == "" and PASSES[name].must_pay and peaks[1] > peaks[0]:
            declined = f"it would need {size(peaks[1])} instead of {size(peaks[0])}"
            graph, peaks = before, (peaks[0], peaks[0])
        seconds = time.perf_counter() - start
        record.append(Applied(name, (len(before.nodes), len(graph.nodes)), peaks, seconds, declined))
    return graph, weights, tuple(record)


def run_forward_passes(
    graph: Graph, weights: Weights, names: Sequence[str]
) -> tuple[Graph, Weights, tuple[Applied, ...]]:
    """Run those of the passes called `names` that come before differentiation, over a forward graph."""
    return run_passes_with(graph, weights, [name for name in names if PASSES[name].forward])


def run_schedule(graph: Graph, schedule: str) -> tuple[Graph, tuple[Applied, ...]]:
    """`run_passes` with those of `schedule` (vanilla, reordered or optimized)."""
    return run_passes(graph, chosen_passes(schedule))


def later(names: Sequence[str]) -> Later:
    """What the passes called `names` will make of a graph, for the pass before them."""
    foreseen: tuple[Foreseen, ...] = ()
    for name in reversed(names):
        if PASSES[name].foreseen:
            foreseen = (_bound(PASSES[name], Later(foreseen)), *foreseen)
    return Later(foreseen)


def _bound(each: Pass, ahead: Later) -> Foreseen:
    """The pass, with what comes behind it known to it."""
    if not each.looks_ahead:
        return Foreseen((each.run,), each.run, each.keeps_nodes, each.reorders)
    key = (each.run, *(run for other in ahead.passes for run in other.key[:1]))
    return Foreseen(key, lambda graph: each.run(graph, ahead), each.keeps_nodes)


def _run(each: Pass, before: Graph, weights: Weights | None, ahead: Later) -> tuple[Graph, Weights | None, str]:
    try:
        if each.of_values:
            if weights is None:
                return before, weights, "the parameters' values are not known"
            after, weights = each.run(before, weights)
        else:
            after, declined = _bound(each, ahead).outcome(before)
            if declined:
                return before, weights, declined
        verify(after)
    except Declined as reason:
        return before, weights, str(reason)
    except GraphError as error:
        raise InternalError(f"pass {each.name} broke the graph: {error.message}") from error
    return after, weights, "nothing to do" if after == before else ""
