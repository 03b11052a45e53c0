"""Tuned schedules: which schedule (ops/_schedule.py) the kernel of these literals runs best with on a core.

    core = "cortex-m7"
    [[kernel]]
    literals = "conv2d_s8 groups=1 channels=16 … kh=1 kw=1 …"       and " by rows" or " by channels" inside a region
    schedule = "pixels=32"                                          or several, the quickest first

`workbench tune` writes such files; those in `shipped/` come with the package. A kernel is looked up by its literals, so
a layer of any network finds what was measured for the same layer of another. What no file knows runs by rule.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from workbench import files
from workbench.errors import ScheduleError, shown
from workbench.ir.graph import Graph
from workbench.ir.liveness import liveness
from workbench.ops._schedule import read, require_schedule
from workbench.options import LOOPS
from workbench.schedule.places import Place, places, rooms, with_chosen

RULE, SHIPPED = "rule", "shipped"
FOLDER = Path(__file__).parent / "shipped"
MOST = 1 << 22  # bytes of a file
WORDS = (RULE, *LOOPS)  # what may stand in the place of a file
HINT = "`workbench tune MODEL --board B` makes such a file; without one there is --kernels rule, naive, or naive-shapes"


@dataclass(frozen=True)
class Tuned:
    """Schedules by literals, the quickest first, for one core. `name`: of the file, without its suffix; `digest`: of
    its bytes. `by_default`: nobody asked for these; so of several the first is taken with which the step needs no more
    SRAM than it does by rule, and what would not fit a board may take kernels with less scratch. `loops`: naive ones in
    the place of kernels (see kernels/naive), to hold these against; there is nothing to choose then."""

    name: str = RULE
    core: str = ""
    digest: str = ""
    schedules: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    by_default: bool = False
    loops: str = ""


BY_RULE = Tuned()
Kernels = str | Path | Tuned | None  # as they are asked for


def tuned_for(core: str, asked: Kernels = None) -> Tuned:
    """The schedules for a core: those that ship with the package (None), "rule" for none, "naive" or "naive-shapes" for
    naive loops, or those of a file.

    Raises ScheduleError for a file that is missing, damaged, or for another core.
    """
    if isinstance(asked, Tuned):
        return asked
    if asked in WORDS:
        return Tuned(str(asked), loops=str(asked) if asked in LOOPS else "")
    if not isinstance(asked, str | Path | None):
        raise ScheduleError(f"kernels are a file, or one of {', '.join(WORDS)}; got {shown(asked)}", HINT)
    path = FOLDER / f"{core}.toml" if asked is None else Path(asked)
    if asked is None and not path.exists():
        return replace(BY_RULE, by_default=True)
    tuned = load(path)
    if tuned.core != core:
        raise ScheduleError(f"{path}: its kernels are tuned for {tuned.core}, not for {core}", HINT)
    return replace(tuned, name=SHIPPED, by_default=True) if asked is None else tuned


def load(path: Path) -> Tuned:
    """The schedules of a file. Raises ScheduleError where it is missing or holds anything else."""
    try:
        content = files.read(path, MOST)
        told = tomllib.loads(content.decode())
        kernels, core = told["kernel"], told["core"]
        schedules = {each["literals"]: _several(each["schedule"]) for each in kernels}
        if not all(isinstance(text, str) for text in (core, *schedules)):
            raise TypeError
    except OSError as error:
        raise ScheduleError(f"{path} cannot be read: {error.strerror}", HINT) from None
    except ScheduleError as error:
        raise ScheduleError(f"{path}: {error.message}", HINT) from None
    except (ValueError, KeyError, TypeError) as error:
        why = f": {error}" if isinstance(error, tomllib.TOMLDecodeError) else ""
        raise ScheduleError(f"{path} is no file of tuned kernels{why}", HINT) from None
    if len(schedules) < len(kernels):
        raise ScheduleError(f"{path}: the same literals stand there more than once", "leave one of them")
    name = path.name if path.stem in (*WORDS, SHIPPED) else path.stem
    return Tuned(name, core, sha256(content).hexdigest(), schedules)


def _several(schedule: Any) -> tuple[str, ...]:
    several = (schedule,) if isinstance(schedule, str) else tuple(schedule)
    for each in several:
        read(each)
    return several


def with_schedules(graph: Graph, tuned: Tuned) -> Graph:
    """The graph whose nodes, those inside regions too, have the schedules that are known for their literals.

    Raises ScheduleError for a schedule that a node cannot have.
    """
    known = [place for place in places(graph) if tuned.schedules.get(place.literals)] if tuned.schedules else []
    if not known:
        return graph
    living = liveness(graph, graph.analysis.scratch)
    room = rooms(known, living.live, living.peak)
    chosen: dict[str, str] = {}
    for place in known:
        several = [each for each in tuned.schedules[place.literals] if _has(place, each)]
        try:
            for schedule in several:
                require_schedule(place.node.op, schedule, place.choices)
        except ScheduleError as error:
            raise ScheduleError(
                f"{tuned.name}, for {place.node.label or place.node.op}: {error.message}", HINT
            ) from None
        fitting = [each for each in several if not tuned.by_default or place.scratch(each) <= room[place.literals]]
        chosen[place.literals] = fitting[0] if fitting else ""
    return with_chosen(graph, chosen)


def _has(place: Place, schedule: str) -> bool:
    """Whether a kernel that is to take what it reads as it lies (0) can: not if its weights are packed."""
    return all(number or number in place.choices.get(name, (0,)) for name, number in read(schedule).items())


def kernels_record(tuned: Tuned, graph: Graph) -> dict[str, Any]:
    """What run.json keeps: the file's name and digest, and how many kernels do not run by rule, of how many could."""
    chosen = [bool(place.schedule) for place in places(graph)]
    return {"name": tuned.name, "digest": tuned.digest or None, "tuned": sum(chosen), "of": len(chosen)}


def file_of(core: str, heading: str, kernels: Iterable[Mapping[str, Any]]) -> str:
    """The text of a file of tuned kernels. `kernels`: `literals`, `schedule`, and what was measured of them: numbers,
    texts, lists and tables of these; `heading`: a comment."""
    lines = [*(f"# {line}" for line in heading.splitlines()), f"core = {_toml(core)}", ""]
    for kernel in kernels:
        lines += ["[[kernel]]", *(f"{name} = {_toml(value)}" for name, value in kernel.items()), ""]
    return "\n".join(lines)


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{name} = {_toml(each)}' for name, each in value.items())} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return str(value) if isinstance(value, int) else json.dumps(str(value))
