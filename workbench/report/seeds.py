"""Several seeds of one training: runs that differ in nothing else, their mean and their spread.

full  seed 0  81.4 % ─┐
full  seed 1  74.9 %  ├─►  full  74.1 ± 7.7 %     spread: the sample standard deviation (over n − 1)
full  seed 2  66.0 % ─┘

Schedules give the same bits, so what a policy learned holds for its runs under every schedule. If the loss of one seed
ended as no number there is no mean: a mean over the other seeds would make that training look better than it is.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean, stdev
from typing import TypeVar

from workbench import units
from workbench.options import JSON_KINDS
from workbench.record import Run
from workbench.report import losses
from workbench.report.cells import arrow

R = TypeVar("R", bound=Run)

OVER = "over_seeds"  # in the meta of a run that stands for several: the metas of all of them
BEFORE, AFTER = "before", "after"
# What one training is: runs that share all of this differ in their seed, or their schedule, alone.
SAME = (
    "model", "policy", "board", "steps_asked", "loss_function", "data", "weights_from", "pretrained",
    *(name for name in JSON_KINDS if name not in ("seed", "input")),
)  # fmt: skip


def over(metas: Sequence[dict]) -> dict:
    """`count` of runs, and `mean` and `spread` of their held-out figures {"before", "after"}.

    A figure is None where no run has it, one of its ends where a run has no number there. One run has no spread.
    """
    figures = ("accuracy", "held_out_loss")
    return {
        "count": len(metas),
        "mean": {name: _both(metas, name, fmean) for name in figures},
        "spread": {name: _both(metas, name, _deviation) for name in figures},
    }


def learned(run: Run, runs: Sequence[Run]) -> list[dict]:
    """The metas of this run's training, one a seed, whatever the schedule."""
    return list({other.meta.get("seed"): other.meta for other in reversed(runs) if _same(other, run)}.values())[::-1]


def as_object(policy: str, schedule: str, own: Sequence[Run], runs: Sequence[Run], missing: Sequence[dict]) -> dict:
    """As `--json` tells the seeds of a cell: `seeds`, the metas of its `own` runs; `over` all seeds that trained its
    policy among `runs`, under whichever schedule; `missing`, the seeds that left no run, and why.
    """
    told = over(learned(own[0], runs) if own else [])
    metas = [run.meta for run in own]
    return {"policy": policy, "schedule": schedule, "seeds": metas, **told, "missing": list(missing)}


def joined(runs: Sequence[Run]) -> list[Run]:
    """Runs that differ in their seed alone as one: the first of them, with the means as its own held-out figures.

    A run that is the only one of its kind, runs without any difference, and joined runs stay as they are.
    """
    if any(OVER in run.meta for run in runs):
        return list(runs)
    rows: dict[str, list[Run]] = {}
    for run in runs:
        rows.setdefault(_alike(run), []).append(run)
    found = []
    for alike in rows.values():
        repeated = len({run.meta.get("seed") for run in alike}) < len(alike)
        found += alike if repeated else [standing(alike[0], runs)]
    return found


def standing(run: R, runs: Sequence[Run]) -> R:
    """The run, its held-out figures replaced by the means of all its seeds among `runs`, if there are several."""
    metas = learned(run, runs)
    return run if len(metas) == 1 else replace(run, meta=run.meta | over(metas)["mean"] | {OVER: metas})


def count(run: Run) -> int:
    """How many seeds a run of `joined` stands for."""
    return len(run.meta.get(OVER, (run.meta,)))


def spread(run: Run, figure: str) -> float | None:
    """The spread of `figure` after the training; None for a single seed."""
    found = over(run.meta[OVER])["spread"][figure] if OVER in run.meta else None
    return found and found[AFTER]


def held_out(run: Run) -> list[float]:
    """The held-out accuracy (without classes, the loss) after the training of each seed, where it is a number.

    Empty for a single seed.
    """
    after = [losses.held_out(meta)[1] for meta in run.meta.get(OVER, ())]
    return [value for value in after if value is not None]


def held_out_words(run: Run) -> str:
    """'10.6 % → 74.1 ± 7.7 %'."""
    before, after, form = losses.held_out(run.meta)
    if OVER not in run.meta or after is None:
        return arrow(before, after, form)
    return f"{form(before)} → {after_words(run)}"


def after_words(run: Run) -> str:
    """'74.1 ± 7.7 %'."""
    _, after, form = losses.held_out(run.meta)
    return units.give_or_take(after, spread(run, "accuracy" if run.meta.get("accuracy") else "held_out_loss"), form)


def loss_words(run: Run) -> str:
    """'2.31 → 0.11 ± 0.02': the training loss's ends, their means over the seeds; of one seed its course."""
    if OVER not in run.meta:
        return losses.loss_words(*losses.of_meta(run.meta))
    courses = [losses.of_meta(meta)[0] for meta in run.meta[OVER]]
    if not any(course.steps for course in courses):
        return ""
    first = [course.first for course in courses if course.first is not None]
    last = [course.last for course in courses if course.last is not None]
    if len(last) < len(courses):
        return f"no number in {len(courses) - len(last)} of {len(courses)}"
    begin = fmean(first) if len(first) == len(courses) else None
    return arrow(begin, fmean(last), units.loss) + f" ± {units.loss(stdev(last))}"


def finding(runs: Sequence[Run]) -> str:
    """'held-out accuracy 74.1 ± 7.7 % over 3 seeds (66.0 – 81.4), 10.6 % before'; '' where nothing was held out."""
    told, ends = over([run.meta for run in runs]), [losses.held_out(run.meta) for run in runs]
    after, form = [end[1] for end in ends], ends[0][2]
    name = "accuracy" if runs[0].meta.get("accuracy") else "held_out_loss"
    what, seeds = f"held-out {name.removeprefix('held_out_')}", f"{len(runs)} seed{'s' * (len(runs) > 1)}"
    known = [form(value).removesuffix(" %") for value in sorted(value for value in after if value is not None)]
    if not known:
        return f"{what} is no number after any of {seeds}" if told["mean"][name] else ""
    reach = f" ({' – '.join(dict.fromkeys((known[0], known[-1])))})" * (len(known) > 1)
    if len(known) < len(runs):
        lost = ", ".join(str(run.meta.get("seed")) for run, value in zip(runs, after, strict=True) if value is None)
        others = " – ".join(dict.fromkeys((known[0], known[-1])))
        return f"{what} is no number after seed {lost}: no mean over {seeds}; the others {others}"
    mean, apart = told["mean"][name], (told["spread"][name] or {}).get(AFTER)
    before = f", {form(mean[BEFORE])} before" * (mean[BEFORE] is not None)
    return f"{what} {units.give_or_take(mean[AFTER], apart, form)} over {seeds}{reach}{before}"


def _alike(run: Run) -> str:
    told = _training(run) | {key: run.meta.get(key) for key in ("schedule", "passes_changed")}
    return json.dumps(told, sort_keys=True, default=str)


def _same(run: Run, other: Run) -> bool:
    return _training(run) == _training(other)


def _training(run: Run) -> dict:
    """What identifies a training but its seed; a searched rate counts as `searched`, since it may differ by seed."""
    told = {key: run.meta.get(key) for key in SAME}
    return told | dict.fromkeys(("lr", "lr_bias"), "searched") if run.meta.get("lr_sweep") else told


def _both(metas, name: str, of) -> dict | None:
    """`of` the numbers at each end."""
    if not any(meta.get(name) for meta in metas):
        return None
    ends = {end: [(meta.get(name) or {}).get(end) for meta in metas] for end in (BEFORE, AFTER)}
    return {end: None if None in values else of(values) for end, values in ends.items()}


def _deviation(values: Sequence[float]) -> float | None:
    return stdev(values) if len(values) > 1 else None
