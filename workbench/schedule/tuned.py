"""Tuned schedules: which schedule (ops/_schedule.py) the kernel of these literals runs best with on a core.

    core = "cortex-m7"
    [[kernel]]
    literals = "conv2d_s8 groups=1 channels=16 … window.kh=1 …"      with " by rows" or " by channels" inside a region
    schedule = "pixels=32"

`workbench tune` writes such files; those in `shipped/` come with the package. A kernel is looked up by its literals, so
a layer of any network finds what was measured for the same layer of another. What no file knows runs by rule.
"""

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from workbench import files
from workbench.errors import ScheduleError, ShapeError
from workbench.ir.graph import Graph, Node
from workbench.ir.types import TensorType
from workbench.kernels.literals import choices_of, literals_of
from workbench.ops._schedule import SCHEDULE, read, require_schedule

RULE, SHIPPED = "rule", "shipped"
FOLDER = Path(__file__).parent / "shipped"
MOST = 1 << 22  # bytes of a file
HINT = "`workbench tune MODEL --board B` makes such a file; --kernels rule does without"


@dataclass(frozen=True)
class Tuned:
    """Schedules by literals, for one core. `name`: of the file, without its suffix; `digest`: of its bytes."""

    name: str = RULE
    core: str = ""
    digest: str = ""
    schedules: Mapping[str, str] = field(default_factory=dict)


BY_RULE = Tuned()
Scheduled = tuple[Node, Mapping[str, TensorType], str]
Kernels = str | Path | Tuned | None  # as they are asked for


def tuned_for(core: str, asked: Kernels = None) -> Tuned:
    """The schedules for a core: those that ship with the package (None), "rule" for none, or those of a file.

    Raises ScheduleError for a file that is missing, damaged, or for another core.
    """
    if isinstance(asked, Tuned):
        return asked
    if asked == RULE:
        return BY_RULE
    path = FOLDER / f"{core}.toml" if asked is None else Path(asked)
    if asked is None and not path.exists():
        return BY_RULE
    tuned = load(path)
    if tuned.core != core:
        raise ScheduleError(f"{path}: its kernels are tuned for {tuned.core}, not for {core}", HINT)
    return replace(tuned, name=SHIPPED) if asked is None else tuned


def load(path: Path) -> Tuned:
    """The schedules of a file. Raises ScheduleError where it is missing or holds anything else."""
    try:
        content = files.read(path, MOST)
        told = tomllib.loads(content.decode())
        kernels, core = told["kernel"], told["core"]
        schedules = {each["literals"]: each["schedule"] for each in kernels}
        if not all(isinstance(text, str) for text in (core, *schedules)):
            raise TypeError
        for schedule in schedules.values():
            read(schedule)
    except OSError as error:
        raise ScheduleError(f"{path} cannot be read: {error.strerror}", HINT) from None
    except ShapeError as error:
        raise ScheduleError(f"{path}: {error.message}", HINT) from None
    except (ValueError, KeyError, TypeError) as error:
        why = f": {error}" if isinstance(error, tomllib.TOMLDecodeError) else ""
        raise ScheduleError(f"{path} is no file of tuned kernels{why}", HINT) from None
    if len(schedules) < len(kernels):
        raise ScheduleError(f"{path}: the same literals stand there more than once", "leave one of them")
    return Tuned(path.stem, core, sha256(content).hexdigest(), schedules)


def with_schedules(graph: Graph, tuned: Tuned) -> Graph:
    """The graph whose nodes, those inside regions too, have the schedules that are known for their literals.

    Raises ScheduleError for a schedule that a node cannot have.
    """
    return graph.with_nodes(_scheduled(node, graph.types, tuned) for node in graph.nodes) if tuned.schedules else graph


def _scheduled(node: Node, types: Mapping[str, TensorType], tuned: Tuned, axis: str = "") -> Node:
    if node.body:
        inner = node.attrs["axis"]
        body = node.body.with_nodes(_scheduled(each, node.body.types, tuned, inner) for each in node.body.nodes)
        return replace(node, attrs={**node.attrs, "body": body})
    schedule = tuned.schedules.get(literals_of(node, types, axis))
    if schedule is None:
        return node
    try:
        require_schedule(node.op, schedule, choices_of(node, types))
    except ShapeError as error:
        raise ScheduleError(f"{tuned.name}: {error.message}", HINT) from None
    return replace(node, attrs={**node.attrs, **dict.fromkeys(SCHEDULE, schedule)})


def kernels_record(tuned: Tuned, graph: Graph) -> dict[str, Any]:
    """What run.json keeps: the file's name and digest, and how many kernels it has schedules for, of how many."""
    chosen = [bool(node.attrs["schedule"]) for node, *_ in scheduled_nodes(graph)]
    return {"name": tuned.name, "digest": tuned.digest or None, "tuned": sum(chosen), "of": len(chosen)}


def scheduled_nodes(graph: Graph) -> Iterator[Scheduled]:
    """The nodes for which there is something to choose, with their types and the axis of the region they are in."""
    return (found for node in graph.nodes for found in scheduled(node, graph.types))


def scheduled(node: Node, types: Mapping[str, TensorType], axis: str = "") -> Iterator[Scheduled]:
    """The node, or what is inside of it, as `scheduled_nodes`."""
    for each in node.body.nodes if node.body else ():
        yield from scheduled(each, node.region_body.types, node.attrs["axis"])
    if not node.body and choices_of(node, types):
        yield node, types, axis


def file_of(core: str, heading: str, kernels: Iterable[Mapping[str, Any]]) -> str:
    """The text of a file of tuned kernels. `kernels`: `literals`, `schedule`, and what was measured of them, each a
    number, a text, or a table of these; `heading`: a comment."""
    lines = [*(f"# {line}" for line in heading.splitlines()), f"core = {_toml(core)}", ""]
    for kernel in kernels:
        lines += ["[[kernel]]", *(f"{name} = {_toml(value)}" for name, value in kernel.items()), ""]
    return "\n".join(lines)


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{name} = {_toml(each)}' for name, each in value.items())} }}"
    return str(value) if isinstance(value, int) else json.dumps(str(value))
