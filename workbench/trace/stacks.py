"""The stacks of a program: each has frames of its own, and a log of how deep it was, the coarser the longer it runs.

What is told of them is what was logged: all of a run, or the windows of it that are profiled, outside of which nothing
is logged and the depth is told as 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.trace import flow_state as s

if TYPE_CHECKING:
    import pandas as pd

ROOM = 1 << 12  # of frames at first
FIRST_LOG_SHIFT = 4  # a row of the log for 16 cycles
UNMOVED = 1 << 40  # above every address


@dataclass
class Stack:
    """The stack of a thread: its frames, where it stands, the log of its depth; its deepest, and in which context."""

    name: str
    frames: np.ndarray = field(default_factory=lambda: np.zeros((ROOM, s.FRAME), np.int64))
    depth: int = 0
    context: int = -1
    last: int = 0  # the edge that was taken last: LAST of flow_state.py
    top: int = 0
    low: int = UNMOVED
    lowest_in: int = -1
    log: np.ndarray = field(default_factory=lambda: np.full(2 * s.LOG_SIZE, -1, np.int32))
    log_shift: int = FIRST_LOG_SHIFT
    frame: int | None = None  # where its registers are stacked while it is interrupted
    deepest: int = 0
    deepest_in: int = -1

    def keep(self) -> None:
        """What was lowest until now counts."""
        if self.top - self.low > self.deepest:
            self.deepest, self.deepest_in = self.top - self.low, self.lowest_in

    def halve(self, clock: int) -> None:
        """Where the log is full, half of it tells of twice as many cycles."""
        log = self.log.reshape(2, -1, 2)
        while clock >> self.log_shift >= s.LOG_SIZE:
            deepest, after = log[0].max(axis=1), np.where(log[1, :, 1] >= 0, log[1, :, 1], log[1, :, 0])
            self.log[:] = -1
            self.log[: s.LOG_SIZE // 2], self.log[s.LOG_SIZE :][: s.LOG_SIZE // 2] = deepest, after
            self.log_shift += 1

    def put(self, clock: int, depth: int) -> None:
        """Log that it is so deep."""
        self.halve(clock)
        now = clock >> self.log_shift
        self.log[now], self.log[s.LOG_SIZE + now] = max(self.log[now], depth), depth


def named(stacks: list[Stack]) -> list[tuple[str, Stack]]:
    """Stacks with names: those that share one are numbered."""
    names: dict[str, int] = {}
    found = []
    for stack in stacks:
        number = names[stack.name] = names.get(stack.name, 0) + 1
        found.append((stack.name if number == 1 else f"{stack.name} {number}", stack))
    return found


def deepest_calls(stacks: list[Stack], contexts: np.ndarray, name: Callable[[int], str]) -> list[dict[str, Any]]:
    """Of each stack that was used its deepest, in bytes, and the calls, from the first function, that it was in."""
    told = []
    for called, stack in named(stacks):
        chain, context = [], stack.deepest_in
        while context >= 0:
            chain.append(name(int(contexts[context, s.ADDRESS])))
            context = int(contexts[context, s.PARENT])
        if stack.deepest:
            told.append({"stack": called, "bytes": stack.deepest, "calls": chain[::-1]})
    return told


def stack_table(stacks: list[Stack]) -> pd.DataFrame:
    """The depth of each stack in time: a row where it changes, in the resolution of its log."""
    import pandas as pd

    rows = []
    for name, stack in named(stacks):
        last = now = None
        deepest, ended = stack.log[: s.LOG_SIZE].tolist(), stack.log[s.LOG_SIZE :].tolist()
        for at, (most, after) in enumerate(zip(deepest, ended, strict=True)):
            depth = most if most >= 0 else now
            now = after if most >= 0 else now
            if depth != last:
                rows.append((name, None, at << stack.log_shift, depth))
                last = depth
    return pd.DataFrame(rows, columns=["stack", "instructions", "modelled_cycles", "depth"])
