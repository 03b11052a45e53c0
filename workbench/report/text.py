"""What a run says to a person on a terminal: the summary, the heaviest operators, the largest buffers."""

from collections.abc import Sequence

import pandas as pd

from workbench import boards, options, units
from workbench.objective import INPUT
from workbench.options import LOOPS
from workbench.record import Run
from workbench.report import losses, seeds, tables
from workbench.report.cells import NOTHING, arrow, grid, known, size
from workbench.report.engines import native_words, trained_seconds
from workbench.report.epochs import epochs_text
from workbench.report.side_by_side import comparison_text  # noqa: F401  asked for here too

COLUMN = 76  # where the seconds of a stage stand


def run_text(run: Run) -> str:
    """The summary of a run, one line a stage: header, compile, build, train, step, SRAM, and what went wrong."""
    return _summary(run, [_train_line("train", run), *_native_line([run])])


def seeds_text(runs: Sequence[Run]) -> str:
    """The summary of runs that differ in their seed alone: that of the first, a line a seed, and mean and spread."""
    trained = [_train_line(f"seed {run.meta.get('seed')}", run) for run in runs]
    text, found = _summary(runs[0], [*trained, *_native_line(runs)], _instructions(runs)), seeds.finding(runs)
    return text + (_stage("seeds", found) + "\n" if found else "")


def _native_line(runs: Sequence[Run]) -> list[str]:
    """The line of what the native twin did in these runs."""
    told = native_words([run.meta for run in runs])
    return [_stage("native", told)] if told else []


def _instructions(runs) -> str:
    """How far instruction counts differ between runs: some branches depend on the data."""
    counts = [run.meta["instructions_per_step"] for run in runs if run.meta.get("instructions_per_step") is not None]
    ends = [units.count(count) for count in sorted({*counts})]
    return f" ({ends[0]} – {ends[-1]} instructions)" if len(ends) > 1 else ""


def _summary(run: Run, trained: list[str], of_step: str = "") -> str:
    meta, memory = run.meta, run.meta["memory"]
    seconds = meta.get("seconds") or {}
    lines = [
        _header(run),
        _stage("compile", _compiled(meta, memory), seconds.get("compile")),
        _stage("build", _built(meta, memory), seconds.get("build")),
        *([_stage("pretrain", _pretrained(meta["pretrained"]))] if meta.get("pretrained") else []),
        *trained,
        _stage("step", _step(meta) + of_step),
        _stage("SRAM", _sram(run)),
    ]
    if not memory["fits"]:
        missing = memory["sram_planned"] - memory["sram_limit"]
        lines.append(
            _stage("limit", f"{units.size(memory['sram_limit'])}: does not fit, {size(missing)} too much as planned")
        )
    if len(run.violations):
        lines.append(_stage("trace", _violations(run.violations)))
    return "\n".join(lines) + "\n"


def report_text(run: Run, top: int = 10, origins: str = "") -> str:
    """The summary and notes, the epochs, the `top` heaviest operators and largest buffers, and accesses that were not
    promised.

    `origins` are lines of the summary that only the caller knows.
    """
    parts = [f"{run_text(run)}{origins}{notes_text(run.meta)}", *filter(None, [epochs_text(run)])]
    parts += [ops_text(run, top), buffers_text(run, top)]
    return "\n".join(parts + ([violations_text(run, top)] if len(run.violations) else []))


def ops_text(run: Run, top: int = 10) -> str:
    """The `top` heaviest operators by instructions of one step (all if `top` is 0)."""
    counted = ("instructions", "cycles", "bytes_read", "bytes_written")
    ops = run.ops.assign(**{column: pd.to_numeric(run.ops[column], errors="coerce") for column in counted})
    total = ops.instructions.sum()
    if ops.instructions.isna().all():
        return f"{len(ops)} operators; instructions were not counted (trace level {run.meta['trace']})\n"
    chosen = ops.sort_values(["instructions", "position"], ascending=[False, True])[: top or None]
    traced = bool(ops[["bytes_read", "bytes_written"]].notna().any(axis=None))
    heads = ["position", "operator", "phase", "instructions", "share", "cycles modelled"]
    heads += ["read", "written"] * traced
    rows = []
    for op in chosen.fillna({"instructions": 0}).itertuples():
        share = units.percent(op.instructions / total if total else 0)
        work = [
            units.count(op.instructions),
            share,
            units.count(known(op.cycles)),
        ] + [size(op.bytes_read), size(op.bytes_written)] * traced
        rows.append([str(int(op.position)), tables.called(op.symbol, op.node), op.phase, *work])
    share = units.percent(chosen.instructions.sum() / total if total else 0)
    foot = (
        f"{len(chosen)} of {len(ops)} operators: {share} of the {units.count(total)} instructions counted in one step"
    )
    foot += f"; cycles modelled ({run.meta.get('timing_model')})"
    hint = "" if traced else "a run with `--trace memory` also tells the bytes each operator reads and writes\n"
    return grid(heads, rows, {1, 2}) + f"\n{foot}\n{hint}"


def buffers_text(run: Run, top: int = 20) -> str:
    """The `top` largest arena buffers: planned lifetime and offset, what the trace saw of them (all if `top` is 0)."""
    table = tables.rectangles(run).sort_values(["bytes", "id"], ascending=[False, True])
    chosen = table[: top or None]
    worst, traced = tables.worst_position(run), table.used0.notna().any()
    heads = ["buffer", "role", "size", "arena offset", "planned life", "alive at worst"] + (
        ["in use", "touched"] if traced else []
    )
    rows = []
    for b in chosen.itertuples():
        row = [
            b.name,
            b.role,
            size(b.bytes),
            str(b.offset),
            f"[{b.x0}, {b.x1})",
            "yes" if b.x0 <= worst.position < b.x1 else "",
        ]
        if traced:
            row += ["never" if pd.isna(b.used0) else f"[{b.used0:.0f}, {b.used1:.0f})", size(known(b.touched))]
        rows.append(row)
    memory = run.meta["memory"]
    arena, bound = size(memory["arena_planned"]), size(memory["arena_lower_bound"])
    foot = f"{len(chosen)} of {len(table)} arena buffers; arena {arena} planned, at most {bound} live at once"
    if worst.bytes:
        count = tables.position_count(run)
        foot += f"\nworst position {worst.position} of {count}, {worst.operator}: {size(worst.bytes)} live"
    return grid(heads, rows, {0, 1, 4, 5, 6}) + f"\n{foot}\n"


def _header(run) -> str:
    meta = run.meta
    words = [meta["model"]]
    if meta.get("macs") is not None:
        words.append(f"{units.quantity(meta['macs'])} MACs")
    if meta.get("parameters") is not None:
        updated = meta.get("parameters_updated")
        words.append(
            f"{units.quantity(meta['parameters'])} parameters"
            + ("" if updated is None else f", {units.quantity(updated)} updated")
        )
    words += [tables.words(run, ["policy", "schedule", "passes"]), *_updated_by(meta), _board(meta)]
    return " · ".join(words)


def _updated_by(meta) -> list[str]:
    """How the optimizer differs from plain SGD with one sample a step and a constant rate."""
    batch, accumulate = meta.get("batch") or 1, meta.get("accumulate") or 1
    words = [f"batch {batch}" + f" × {accumulate} accumulated" * (accumulate > 1)] * (batch * accumulate > 1)
    return [*words, *options.told(meta)]


def _board(meta) -> str:
    limit = f"{units.size(meta['memory']['sram_limit'])} SRAM"
    board = boards.of_run(meta)
    return f"{board.title}, {limit}" if board else f"{meta['board']}, {meta['core']}, {limit}"


def _train_line(name: str, run: Run) -> str:
    return _stage(name, _trained(run.meta), trained_seconds(run.meta))


def _stage(name, text, seconds=None) -> str:
    line = f"{name:<10}{text}"
    return line if seconds is None else f"{line:<{COLUMN - 1}}  {units.seconds(seconds)}"


def _compiled(meta, memory) -> str:
    arena, bound = memory["arena_planned"], memory["arena_lower_bound"]
    live = "all of it live at once: optimal" if arena == bound else f"at most {size(bound)} live at once"
    by_rows = ", the image by rows" if meta.get("input") == "rows" else ""
    return f"{meta['nodes']} nodes, arena {size(arena)} ({live}){by_rows}"


def _built(meta, memory) -> str:
    words = f"flash {size((meta.get('flash') or {}).get('total'))}, static {size(memory['static'])}"
    kernels = meta.get("kernels") or {}
    if kernels.get("name") in LOOPS:
        return f"{words}, {LOOPS[kernels['name']]}"
    if not kernels.get("tuned"):
        unused = kernels.get("digest") and kernels.get("name") != "shipped"
        return f"{words}, no kernel is in {kernels['name']}" if unused else words
    which = {"rule": "for less SRAM", "shipped": "as shipped"}.get(
        str(kernels.get("name")), f"by {kernels.get('name')}"
    )
    return f"{words}, {kernels['tuned']} of {kernels.get('of')} kernels tuned {which}"


def _trained(meta) -> str:
    words = [f"{meta['steps']} step" + ("" if meta["steps"] == 1 else "s")]
    if meta.get("interrupted"):
        words = [f"{meta['steps']} of {meta.get('steps_asked')} steps, then interrupted"]
    elif meta.get("steps_asked") and meta["steps"] < meta["steps_asked"]:
        words = [f"{meta['steps']} of {meta['steps_asked']} steps, then stopped early"]
    course = losses.of_meta(meta)
    if told := losses.loss_words(*course):
        of_input = " of its input" * (meta.get("target") == INPUT)
        words.append(f"{meta.get('loss_function') or 'loss'}{of_input} {told}{losses.loss_aside(*course)}")
    before, after, in_words = losses.held_out(meta)
    if (before, after) != (None, None):
        words.append(f"held-out {arrow(before, after, in_words)}")
    return "  ".join(words)


def notes_text(meta: dict) -> str:
    """The notes on a run, one to a line."""
    return "".join(f"{'note':<10}{note}\n" for note in meta.get("notes") or [])


def _pretrained(told) -> str:
    """How the network was trained on the host before."""
    words = [f"{told.get('data')}: {told.get('samples')} samples × {told.get('epochs')} epochs on the host"]
    if told.get("accuracy") is not None:
        words.append(f"held-out {units.percent(told['accuracy'])}")
    elif told.get("held_out_loss") is not None:
        words.append(f"held-out {told.get('loss_function')} {units.loss(told['held_out_loss'])}")
    return "  ".join(words)


def _step(meta) -> str:
    instructions, cycles = meta.get("instructions_per_step"), meta.get("modelled_cycles_per_step")
    if instructions is None:
        return f"not counted (trace level {meta['trace']})"
    words = [f"{units.quantity(instructions)} instructions"]
    if cycles is not None:
        words.append(f"{units.quantity(cycles)} cycles modelled ({meta.get('timing_model')})")
    if meta.get("milliseconds_per_step") is not None:
        words.append(units.milliseconds(meta["milliseconds_per_step"]) + _clock(meta))
    return " · ".join(words)


def _clock(meta) -> str:
    board = boards.of_run(meta)
    return f" at {units.frequency(board.clock_hz)}" if board else ""


def _sram(run) -> str:
    total, how = tables.sram(run)
    table = tables.memory_summary(run)
    part = {name: size(known(table.loc[name, how])) for name in ("arena", "static", "stack")}
    text = f"{size(total)} {how}: arena {part['arena']} · static {part['static']} · stack {part['stack']}"
    if how == "measured":
        return text
    used = known(table.loc["stack", "measured"])
    return f"{text} reserved" + ("" if used is None else f", {size(used)} of it used as measured")


def _violations(table) -> str:
    counts = pd.to_numeric(table["count"], errors="coerce").fillna(1).groupby(table.kind.astype(str)).sum().sort_index()
    kinds = ", ".join(f"{units.count(count)} {kind}" for kind, count in counts.items())
    return f"{units.count(counts.sum())} accesses the plan did not promise: {kinds}"


def violations_text(run: Run, top: int = 20) -> str:
    """The first `top` accesses the plan did not promise: what, where, by which operator (all if `top` is 0)."""
    table = run.violations.assign(position=pd.to_numeric(run.violations.position, errors="coerce"))
    chosen = table.sort_values(["position", "kind"], kind="stable")[: top or None]
    operators = {symbol: tables.called(symbol, node) for symbol, node in zip(run.ops.symbol, run.ops.node, strict=True)}
    names = dict(zip(pd.to_numeric(run.buffers.id), run.buffers.name, strict=True))
    rows = []
    for row in chosen.itertuples():
        address = pd.to_numeric(row.address, errors="coerce")
        buffer = names.get(known(pd.to_numeric(row.buffer, errors="coerce")), NOTHING)
        where = NOTHING if pd.isna(address) else units.address(int(address))
        rows.append(
            [
                row.kind,
                operators.get(row.op, str(row.op)),
                buffer,
                where,
                units.count(known(pd.to_numeric(row.count, errors="coerce"))),
            ]
        )
    heads = ["not promised", "operator", "buffer", "first address", "accesses"]
    return grid(heads, rows, {0, 1, 2}) + f"\n{len(chosen)} of {len(table)} kinds of access the plan did not promise\n"
