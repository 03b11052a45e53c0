"""Does a run, or a profile, keep to its budget: its figures beside a baseline's, each with its limit and a verdict.

    figure                 baseline      now  change           limit  verdict
    SRAM measured, bytes     13,724   13,980  +256 (+1.9 %)   14,000  ok
    flash, bytes             18,842   19,100  +258 (+1.4 %)   18,842  over

A limit is absolute or a growth over the baseline. Without any, no figure that both have may grow.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from workbench import units
from workbench.errors import RecordError, WorkbenchError, shown
from workbench.record import Profile, Run
from workbench.report import tables

Subject = Run | Profile
Measures = tuple[tuple[str, str], ...]

# figure -> its key in the metadata and its words; of several the first that both have
OF_RUN: Mapping[str, Measures] = {
    "sram": (("memory.sram_peak", "SRAM measured"), ("memory.sram_planned", "SRAM planned")),
    "flash": (("flash.total", "flash"),),
    "stack": (("memory.stack_peak", "stack measured"), ("memory.stack_reserve", "stack reserved")),
    "instructions": (("instructions_per_step", "instructions a step"),),
    "cycles": (("modelled_cycles_per_step", "cycles modelled a step"),),
}
OF_PROFILE: Mapping[str, Measures] = {
    "sram": (("memory.sram_static", "SRAM static"),),
    "flash": (("memory.flash", "flash"),),
    "stack": (("memory.stack_peak", "stack measured"),),
    "instructions": (("instructions", "instructions"),),
    "cycles": (("modelled_cycles", "cycles modelled"),),
}
FIGURES = tuple(OF_RUN)
BYTES = ("sram", "flash", "stack")
TOLD_OF_RUN = (*tables.KEYS, "seed", "core")  # where they differ
TOLD_OF_PROFILE = ("firmware", "board", "core")
MUST_BE_ALIKE = ("ended", "exit_code", "part")  # of profiles: else their figures say nothing beside each other

OVER, OK, FREE, APART = "over", "ok", "no limit", "not comparable"
LIMIT = re.compile(r"(\+?)([0-9]{1,15}(?:\.[0-9]{1,9})?) ?(?:(%)|([km]?)(i?b)?)", re.I)


@dataclass(frozen=True)
class Limit:
    """The most that a figure may be: `amount`, or with `growth` so much more than the baseline, or so many percent."""

    amount: Fraction
    growth: bool = False
    percent: bool = False

    def at(self, baseline: float | None) -> int | None:
        """In the figure's own unit; None for a growth over something that is not known."""
        if not self.growth:
            return math.floor(self.amount)
        if baseline is None:
            return None
        return math.floor(baseline + (Fraction(baseline) * self.amount / 100 if self.percent else self.amount))


NO_GROWTH = Limit(Fraction(0), growth=True)


@dataclass(frozen=True)
class Row:
    """A figure of one run or profile; bytes, or counts. `asked`: whether somebody named a limit for it."""

    subject: str
    figure: str
    measure: str
    words: str
    baseline: float | None
    now: float
    limit: int | None
    asked: bool
    comparable: bool = True

    @property
    def verdict(self) -> str:
        """OVER, OK, FREE or APART."""
        if self.limit is None:
            return FREE if self.comparable else APART
        return OVER if self.now > self.limit else OK

    @property
    def fails(self) -> bool:
        """Whether it breaks the budget: it is over its limit, or has one that it cannot be held against."""
        return self.verdict == OVER or (self.verdict == APART and self.asked)

    @property
    def change(self) -> float | None:
        return None if self.baseline is None or not self.comparable else self.now - self.baseline


@dataclass(frozen=True)
class Budget:
    """The verdict: a row a figure, what to know of the comparison, and what makes it none: another end or part."""

    rows: list[Row]
    notes: list[str]
    apart: list[str] = field(default_factory=list)

    @property
    def kept(self) -> bool:
        return not self.apart and not any(row.fails for row in self.rows)


def parse_limit(text: str, figure: str) -> Limit:
    """'96K', '1.5M', '120000'; of growth '+2%', '+0', '+1K'. K is 1024 bytes, of instructions and cycles 1000.

    Raises WorkbenchError for anything else.
    """
    match = LIMIT.fullmatch(text.strip())
    in_bytes, how = figure in BYTES, f"such as --max-{figure} {'96K' if figure in BYTES else '1.5M'}, or +2% or +0"
    if match and match[3] and not match[1]:
        raise WorkbenchError(f"--max-{figure} {text}: percent of what?", f"+{text} is that much over the baseline")
    if not match or (match[5] and not in_bytes):
        raise WorkbenchError(f"--max-{figure}: {shown(text)} is not a limit", how)
    scale = (units.KB if in_bytes else 1000) ** {"": 0, "k": 1, "m": 2}[(match[4] or "").lower()]
    return Limit(Fraction(match[2]) * scale, bool(match[1]), bool(match[3]))


def budget(nows: Sequence[Subject], baselines: Sequence[Subject], limits: Mapping[str, Limit]) -> Budget:
    """Hold runs, or profiles, against `baselines` (none: against absolute limits alone) and the limits by figure.

    One is held against one, whatever they are; several find each other by model, policy, schedule and seed.
    Raises RecordError where one lacks its counterpart, or a figure that has a limit; WorkbenchError where there is
    nothing to hold them against.
    """
    if not baselines:
        _require_absolute(limits)
    rows: list[Row] = []
    notes: list[str] = []
    apart: list[str] = []
    for name, now, baseline in _pairs(nows, baselines):
        rows += [row for figure in FIGURES if (row := _row(name, figure, now, baseline, limits))]
        if baseline is not None:
            named = f"{name}: " if len(nows) > 1 else ""
            notes += [f"{named}{note}" for note in (*_differences(now, baseline), *_unknown(now, baseline))]
            names = () if isinstance(now, Run) else MUST_BE_ALIKE
            apart += [f"{named}{note}" for note in _unlike(names, now, baseline)]
    return Budget(rows, notes, apart)


def title(subject: Subject) -> str:
    """'lenet full optimized', 'firmware.elf'."""
    return subject.title if isinstance(subject, Run) else subject.meta["firmware"]


def _require_absolute(limits: Mapping[str, Limit]) -> None:
    if not limits:
        raise WorkbenchError("nothing to hold it against", "--baseline FOLDER, or limits such as --max-sram 96K")
    if over := [figure for figure, limit in limits.items() if limit.growth]:
        raise WorkbenchError(f"--max-{over[0]} is a growth, and there is no baseline", "--baseline FOLDER")


def _pairs(nows: Sequence[Subject], baselines: Sequence[Subject]) -> Iterator[tuple[str, Subject, Subject | None]]:
    """Each, by its name, with its baseline."""
    if baselines and {isinstance(each, Run) for each in nows} != {isinstance(each, Run) for each in baselines}:
        raise RecordError("a run is held against a profile", "name two runs, or two profiles")
    if len(nows) == 1 and len(baselines) <= 1:
        yield title(nows[0]), nows[0], baselines[0] if baselines else None
        return
    here, there = _by_name(nows, "the folder"), _by_name(baselines, "the baseline")
    for own, other, where in ((here, there, "the baseline"), (there, here, "the folder")):
        if baselines and (lacking := [name for name in own if name not in other]):
            more = f", nor {len(lacking) - 1} others" if lacking[1:] else ""
            hint = "name folders of the same cells, or a single run in each"
            raise RecordError(f"{where} has no run {lacking[0]}{more}", hint)
    yield from ((name, now, there.get(name)) for name, now in here.items())


def _by_name(subjects: Sequence[Subject], where: str) -> dict[str, Subject]:
    """The runs by what their counterparts are called too: model, policy, schedule and seed."""
    found: dict[str, Subject] = {}
    for each in subjects:
        name = f"{title(each)} seed {each.meta.get('seed')}"
        if name in found:
            raise RecordError(f"{where} has two runs {name}", "name a single run in each")
        found[name] = each
    return found


def _row(name: str, figure: str, now: Subject, baseline: Subject | None, limits: Mapping[str, Limit]) -> Row | None:
    """The row of a figure; None where it is not known, unless it has a limit (RecordError)."""
    limit, asked = limits.get(figure) if limits else NO_GROWTH, figure in limits
    both = [now] if baseline is None else [now, baseline]
    measure = _measure(figure, both)
    if measure is None and limit and not limit.growth:
        measure = _measure(figure, [now])
    if measure is None:
        if asked:
            raise _lacking(figure, now, baseline)
        return None
    key, words = measure
    before = None if baseline is None else _value(baseline, key)
    alike = figure != "cycles" or baseline is None or _model(now) == _model(baseline)
    at = limit.at(before) if limit and (alike or not limit.growth) else None
    return Row(name, figure, key.removeprefix("memory."), words, before, _value(now, key), at, asked, alike)


def _measures(subject: Subject) -> Mapping[str, Measures]:
    return OF_RUN if isinstance(subject, Run) else OF_PROFILE


def _measure(figure: str, subjects: Sequence[Subject]) -> tuple[str, str] | None:
    """Key and words of what all of these know; None where there is nothing."""
    known = (each for each in _measures(subjects[0])[figure]
             if all(_value(subject, each[0]) is not None for subject in subjects))  # fmt: skip
    return next(known, None)


def _lacking(figure: str, now: Subject, baseline: Subject | None) -> RecordError:
    """What to say of a figure that has a limit and is not known."""
    subject = now if baseline is None or _measure(figure, [now]) is None else baseline
    traced = isinstance(subject, Run) and figure in ("instructions", "cycles")
    whose = title(subject) if subject is now else f"the baseline, {title(subject)},"
    why = f": its trace level was {subject.meta['trace']}" if traced else ""
    hint = f"leave out --max-{figure}"
    return RecordError(f"{whose} has no {figure}{why}", f"run it again with --trace ops, or {hint}" if traced else hint)


def _value(subject: Subject, key: str):
    """What stands in the metadata at 'flash.total'; None where nothing does."""
    holder, _, name = key.rpartition(".")
    return ((subject.meta.get(holder) or {}) if holder else subject.meta).get(name)


def _model(subject: Subject) -> str | None:
    return subject.meta.get("timing_model")


def _differences(now: Subject, baseline: Subject) -> Iterator[str]:
    """In what the two differ beside their figures."""
    yield from _unlike(TOLD_OF_RUN if isinstance(now, Run) else TOLD_OF_PROFILE, now, baseline)
    if None not in (_model(now), _model(baseline)) and _model(now) != _model(baseline):
        yield f"cycles of different timing models are not compared: {_model(baseline)}, {_model(now)}"


def _unlike(names: Sequence[str], now: Subject, baseline: Subject) -> Iterator[str]:
    """Of what they tell of themselves, what differs."""
    for name in names:
        before, after = (tables.key(each, name) if isinstance(each, Run) else each.meta.get(name)
                         for each in (baseline, now))  # fmt: skip
        if before != after:
            yield f"{name.replace('_', ' ')}: {_said(before)} in the baseline, {_said(after)} now"


def _unknown(now: Subject, baseline: Subject) -> Iterator[str]:
    """Figures that only one of the two has."""
    for figure in FIGURES:
        before, after = (_measure(figure, [each]) for each in (baseline, now))
        if (before is None) != (after is None):
            yield f"{figure}: not known {'in the baseline' if before is None else 'now'}, so not compared"


def _said(value) -> str:
    return "none" if value in (None, "") else str(value)
