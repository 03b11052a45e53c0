"""Runs beside each other as text: one table of all measures, one of what the SRAM consists of by role."""

from collections.abc import Sequence

from workbench import units
from workbench.record import Run
from workbench.report import roles, seeds, tables
from workbench.report.ablation import ablation_among, ablation_text
from workbench.report.cells import NOTHING, bare_kb, grid, known
from workbench.report.conventional import conventional_text

MEASURES = ["planned", "measured", "change", "by order", "arena", "touched", "static", "stack",
            "flash", "instr.", "cycles", "a step", "seeds", "loss", "held-out"]  # fmt: skip
TEXTS = {*tables.KEYS, "loss", "held-out", "fits"}  # to the left, numbers to the right


def comparison_text(runs: Sequence[Run]) -> str:
    """Aligned tables, a row a run, or all seeds of one; what all runs have in common stands above them, not in them.
    The runs of an ablation give its tables."""
    if steps := ablation_among(runs):
        return ablation_text(steps)
    runs = seeds.joined(runs)
    table = tables.comparison(runs)
    apart = tables.apart(runs) or ["schedule"]
    heads = apart + MEASURES
    heads += ["limit"] * (table.sram_limit.nunique() > 1) + ["fits"] * (not table.fits.all())
    cells = [_comparison_row(row, runs, index) for index, row in table.iterrows()]
    heads = [head for head in heads if any(row[head] != NOTHING for row in cells)]  # a column nobody fills says nothing
    if _all_touched(table):
        heads.remove("touched")
    if len({seeds.count(run) for run in runs}) == 1:
        heads.remove("seeds")
    body = grid(heads, [[row[head] for head in heads] for row in cells], _left(heads))
    parts = [_common(table, apart), body, "\n".join(_comparison_notes(table, heads, runs)) + "\n"]
    by_role = _roles_text(runs, apart)
    return "\n".join(filter(None, [*parts, by_role, conventional_text(runs)]))


def _common(table, apart) -> str:
    shared = [
        key
        for key in tables.KEYS
        if table[key].nunique(dropna=False) == 1 and key not in apart and (key != "accumulate" or table[key][0] != 1)
    ]
    parts = [f"{key} {table[key][0]}" if key in ("batch", "accumulate") else str(table[key][0]) for key in shared]
    if table.sram_limit.nunique() == 1:
        parts.append(f"SRAM limit {units.size(int(table.sram_limit[0]))}")
    return " · ".join(filter(None, parts)) + "\n"


def _left(heads) -> set[int]:
    return {at for at, head in enumerate(heads) if head in TEXTS}


def _roles_text(runs, apart) -> str:
    """What planned and measured SRAM consist of, a row each, or one row where both print alike (=: to the byte)."""
    parts = [{measure: roles.parts_of(run, measure) for measure in roles.MEASURES} for run in runs]
    columns = roles.in_order(role for both in parts for one in both.values() for role in one)
    rows = []
    for run, both in zip(runs, parts, strict=True):
        shown = {measure: [bare_kb(one.get(role)) for role in columns] for measure, one in both.items() if one}
        if len(shown) == 2 and shown["planned"] == shown["measured"]:
            sign = "=" if both["planned"] == both["measured"] else "≈"
            shown = {f"planned {sign} measured": shown["measured"]}
        for number, (measure, cells) in enumerate(shown.items()):
            names = ["" if number else str(tables.key(run, key)) or NOTHING for key in apart]
            total = sum(both["measured" if "measured" in measure else "planned"].values())
            rows.append([*names, measure, *cells, bare_kb(total)])
    if not rows:
        return ""
    heads = [*apart, "SRAM by role", *columns, "sum"]
    body = grid(heads, rows, _left(heads) | {len(apart)})
    notes = ["KB where most arena bytes are live at once"]
    notes += ["dead: arena bytes that no live buffer uses there"] * ("dead" in columns)
    notes += ["scalar: learning rates, loss and the runtime's own variables"] * ("scalar" in columns)
    return "\n".join([body, *notes]) + "\n"


def _comparison_row(row, runs, index) -> dict[str, str]:
    return {
        **{key: str(row[key]) or NOTHING for key in tables.KEYS},
        "planned": bare_kb(row.sram_planned),
        "measured": bare_kb(row.sram_peak),
        "change": _change(runs, index),
        "by order": _change(runs, index, ("policy",)) if _orders_beside_policies(runs) else NOTHING,
        "arena": bare_kb(row.arena_planned),
        "touched": bare_kb(row.arena_touched),
        "static": bare_kb(row.static),
        "stack": bare_kb(row.stack_peak),
        "flash": bare_kb(row.flash),
        "instr.": units.quantity(known(row.instructions)),
        "cycles": units.quantity(known(row.cycles)),
        "a step": units.milliseconds(known(row.ms)),
        "seeds": str(seeds.count(runs[index])),
        "loss": seeds.loss_words(runs[index]) or NOTHING,
        "held-out": seeds.held_out_words(runs[index]),
        "limit": bare_kb(row.sram_limit),
        "fits": "yes" if row.fits else "no",
    }


def _change(runs, index, also=()) -> str:
    first = tables.reference(runs, index, also)
    if first is None:
        return NOTHING
    saved = tables.saving(first, runs[index])
    return units.change(saved.before, saved.after)


def _orders_beside_policies(runs) -> bool:
    """Whether some run is compared with one of another policy, though one of its own policy is among them."""
    own = [tables.reference(runs, index, ("policy",)) for index in range(len(runs))]
    return any(one is not None and one is not tables.reference(runs, at) for at, one in enumerate(own))


def _change_note(runs) -> str:
    """Which row the column `change` compares with: its name if it is the same for all, else the rule."""
    references = [tables.reference(runs, index) for index in range(len(runs))]
    against = [run for run in runs if any(run is one for one in references)]
    if not against:
        return ""
    name = tables.words(against[0], tables.apart(runs)) or "the first row"
    if len(against) > 1:
        differ = [key for key in tables.ALIKE if key in tables.apart(runs)]
        name = f"the first row of the same {', '.join(differ)}"
    order = "; by order: against the same policy's first row" if _orders_beside_policies(runs) else ""
    return f"change: SRAM against {name}{order}"


def _all_touched(table) -> bool:
    return bool((table.arena_touched == table.arena_planned).all())


def _misfits(runs) -> list[str]:
    """The runs that do not fit, a line for each board and limit, and the board they ran on instead."""
    apart = tables.apart(runs) or ["model", "policy", "schedule"]
    names_at: dict[tuple, list[str]] = {}
    for run in runs:
        meta, memory = run.meta, run.meta["memory"]
        if not memory["fits"]:
            how = "run" if meta["trace"] == "off" else "measured"
            where = meta["board"], memory["sram_limit"], how, f"virtual-{meta['core'].removeprefix('cortex-')}"
            names_at.setdefault(where, []).append(tables.words(run, apart))
    return [
        f"{', '.join(names)} {'does' if len(names) == 1 else 'do'} not fit {board} with {units.size(limit)}: "
        f"{how} on {twin}"
        for (board, limit, how, twin), names in names_at.items()
    ]


def _comparison_notes(table, heads, runs) -> list[str]:
    notes = [*_misfits(runs), "sizes in KB; planned = static + arena + stack reserve"]
    if "measured" in heads:
        notes[-1] += "; measured = static + arena touched + stack used"
    notes += [_change_note(runs)] * ("change" in heads)
    if _all_touched(table):
        notes.append("every arena was touched up to the byte that was planned")
    if table.sram_peak.isna().all():
        notes.append("memory was not traced: all but the stack is planned")
    elif table.sram_peak.isna().any() and "change" in heads:
        notes.append("not every run traced memory: changes against those compare plans")
    models = sorted(
        {str(r.meta.get("timing_model")) for r in runs if r.meta.get("modelled_cycles_per_step") is not None}
    )
    if models:
        notes.append(f"instructions counted in one step, its time from cycles modelled ({'; '.join(models)})")
    return [*notes, *_seeds_note(runs)]


def _seeds_note(runs) -> list[str]:
    counts = {seeds.count(run) for run in runs}
    if counts == {1}:
        return []
    over = f"{counts.pop()} seeds" if len(counts) == 1 else "so many seeds"
    return [f"loss, held-out: mean ± standard deviation over {over}; all else is of the first"]
