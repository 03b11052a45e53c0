"""What keeps a file from being a network: all of it at once, each obstacle with its place.

net.tflite has 4 obstacles
  MUL (#3 "se/mul", #7 "se_1/mul") is not supported
  LSTM (#9 "rnn/cell") is a recurrent layer, which is not supported
  the file has 2 outputs; a network has one
"""

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from workbench.errors import ModelError

MOST_LINES = 8  # of an error; `inspect` tells all
MOST_PLACES = 3  # named in a line


@dataclass(frozen=True)
class Obstacle:
    """`reason` goes on where its place was named: ' has 2 outputs', ': its activation, TANH, is not supported'.

    Its place is an operator of the file, its number and `node`, the name of what it makes; or the file as a whole
    ('' and None). `operands` and `results`: dtypes and axes, in the file's order.
    """

    reason: str
    hint: str | None = None
    operator: str = ""
    number: int | None = None
    node: str = ""
    operands: tuple[str, ...] = ()
    results: tuple[str, ...] = ()

    def as_json(self) -> dict:
        told = asdict(self)
        return {**told, "reason": self.reason.lstrip(": "), "help": told.pop("hint")}


class Unsupported(ModelError):  # noqa: N818  what the file is
    """A file with obstacles; `before` is the network of the layers before the first (None: there are none)."""

    def __init__(self, path: Path, file: str, obstacles: Sequence[Obstacle], before=None):
        self.obstacles, self.before = tuple(obstacles), before
        if len(obstacles) == 1:
            super().__init__(f"{file}{_alone(obstacles[0])}", obstacles[0].hint)
            return
        lines = grouped(obstacles)
        more = [f"and {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else []
        told = "\n  ".join([f"{file} has {len(obstacles)} obstacles", *lines[:MOST_LINES], *more])
        super().__init__(told, f"`workbench inspect {shlex.quote(str(path))}` tells all of them, with types")


def grouped(obstacles: Sequence[Obstacle]) -> list[str]:
    """A line for all that differ only in their place."""
    groups: dict[tuple[str, str], list[Obstacle]] = {}
    for obstacle in obstacles:
        groups.setdefault((obstacle.operator, obstacle.reason), []).append(obstacle)
    return [_line(*what, group) for what, group in groups.items()]


def _line(operator: str, reason: str, group: Sequence[Obstacle]) -> str:
    if not operator:
        return reason.removeprefix(": ") if reason.startswith(":") else f"the file{reason}"
    places = [f'#{each.number} "{each.node}"' if each.node else f"#{each.number}" for each in group[:MOST_PLACES]]
    places += [f"{len(group) - MOST_PLACES} more"] * (len(group) > MOST_PLACES)
    return f"{operator} ({', '.join(places)}){reason}"


def _alone(obstacle: Obstacle) -> str:
    node = f', "{obstacle.node}"' if obstacle.node else ""
    place = f": operator {obstacle.number} ({obstacle.operator}{node})" if obstacle.operator else ""
    return f"{place}{obstacle.reason}"
