"""A profile, or a training step of ours, as a file that https://ui.perfetto.dev opens.

a profile    its call tree, laid out by inclusive cycles: it has no order in time; each stack's depth in time
a run        phase > layer > operator in time, by cycles; live bytes and the stack as counters; buffers as spans
"""

from collections.abc import Sequence

from workbench import units
from workbench.record import Profile, Run
from workbench.report import axis, tables
from workbench.report.cells import known
from workbench.report.exports.trace_events import TraceEvents
from workbench.report.exports.walk import CYCLES, measures, walk

IN_TIME = 2  # the process of what is ordered in time, beside the call tree


def perfetto(profile: Profile) -> str:
    """Trace events (JSON) of a profile. Where no cycles were modelled, instructions take their place."""
    meta, column = profile.meta, measures(profile)[-1]
    trace = TraceEvents(
        "modelled cycles" if column == CYCLES else "instructions", meta.get("clock_hz") if column == CYCLES else None,
        layout="the call tree is laid out by inclusive cost, not in the order of time; stack depths are in time",
        firmware=meta["firmware"], board=meta.get("board"), core=meta["core"], timing_model=meta.get("timing_model"),
        ended=meta["ended"],
    )  # fmt: skip
    trace.process(1, f"{meta['firmware']}: call tree, not in time order", "by inclusive cost")
    at = 0
    for enters, context in walk(profile):
        if enters:
            cost = {name: int(getattr(context, name)) for column in measures(profile)
                    for name in (column, f"{column}_inclusive")}  # fmt: skip
            trace.begin(at, context.name, address=units.address(context.address), calls=int(context.calls), **cost)
        else:
            at += int(getattr(context, column))  # what it spent itself comes behind what it called
            trace.end(at)
    if len(profile.stack):
        trace.process(IN_TIME, f"{meta['firmware']}: in time")
    for sample in profile.stack[profile.stack[column].notna()].itertuples(index=False):
        trace.counter(int(getattr(sample, column)), f"stack {sample.stack}", {"bytes": int(sample.depth)}, IN_TIME)
    return trace.text()


def perfetto_of_run(run: Run) -> str:
    """Trace events (JSON) of a run's first training step. Raises WorkbenchError where its cycles were not counted."""
    meta, edges = run.meta, [round(edge) for edge in axis.edges(run, "cycles").tolist()]
    several = (meta.get("accumulate") or 1) > 1
    trace = TraceEvents(
        "modelled cycles", (meta.get("linked_for") or {}).get("clock_hz"),
        layout="an operator's batches are drawn as one" if several else None, board=meta["board"], core=meta["core"],
        timing_model=meta.get("timing_model"),
    )  # fmt: skip
    trace.process(1, f"{run.title}: a training step", "phases, layers, operators")
    _operators(trace, run, edges)
    _live_bytes(trace, run, edges)
    for buffer in tables.rectangles(run).itertuples(index=False):
        size = {"bytes": int(buffer.bytes), "arena_offset": int(buffer.offset)}
        trace.span(edges[buffer.x0], edges[buffer.x1], buffer.name, int(buffer.id), "buffer", role=buffer.role, **size)
    return trace.text()


def _operators(trace: TraceEvents, run: Run, edges: Sequence[int]) -> None:
    """Slices: a stretch of operators of one phase, within it one of a layer (but where there is none), the operator."""
    open_: list[tuple[str, str]] = []  # the slices that are open above operators: (kind, name)
    at = 0
    for op in run.ops.sort_values("position").itertuples(index=False):
        at, end = edges[int(op.position)], edges[int(op.position) + 1]
        wanted = [("phase", op.phase), *[("layer", op.layer)] * bool(op.layer)]
        shared = next((index for index, pair in enumerate(zip(open_, wanted, strict=False)) if pair[0] != pair[1]),
                      min(len(open_), len(wanted)))  # fmt: skip
        for _ in open_[shared:]:
            trace.end(at)
        for kind, name in wanted[shared:]:
            trace.begin(at, name, kind=kind)
        open_ = wanted
        counted = {name: getattr(op, name) for name in ("instructions", "cycles", "bytes_read", "bytes_written")}
        traced = {name: int(value) for name, value in counted.items() if known(value) is not None}
        trace.begin(at, tables.called(op.symbol, op.node), kind="operator", position=int(op.position), **traced)
        trace.end(end)
        at = end
    for _ in open_:
        trace.end(at)


def _live_bytes(trace: TraceEvents, run: Run, edges: Sequence[int]) -> None:
    """Counters: planned live bytes of the arena, whole and by role; the stack's peak, which is all that is known."""
    live = tables.live_bytes(run)
    for position, row in zip(live.index, live.to_dict("records"), strict=True):
        trace.counter(edges[position], "arena, live", {"bytes": sum(row.values())})
        trace.counter(edges[position], "arena, live by role", row)
    trace.counter(edges[-1], "arena, live", {"bytes": 0})
    trace.counter(edges[-1], "arena, live by role", dict.fromkeys(live.columns, 0))
    peak, reserve = (run.meta["memory"].get(name) for name in ("stack_peak", "stack_reserve"))
    name, size = ("stack, reserved", reserve) if peak is None else ("stack, measured peak", peak)
    for at in (0, edges[-1]):
        trace.counter(at, name, {"bytes": size})
