"""What a flow counted: the raw tables as they stand in the end, and sums that windows of a run are differences of."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Counted:
    """The raw tables, as flow_state.py describes them: int64 rows.

    accesses     bytes read and written, by region of the board
    entered      how often each exception's handler, and each thread's first function, began, by address
    idle, exceptions   cycles in which no instruction ran: those waited, and those of taking and leaving exceptions
    """

    blocks: np.ndarray
    edges: np.ndarray
    contexts: np.ndarray
    accesses: np.ndarray
    entered: dict[int, int]
    idle: int = 0
    exceptions: int = 0


@dataclass(frozen=True)
class Sums:
    """All that only grows while a program runs."""

    edges: np.ndarray
    accesses: np.ndarray
    entered: Counter[int]
    passed: dict[str, int]

    def plus(self, other: Sums, sign: int = 1) -> Sums:
        edges = self.edges.copy()
        edges[: len(other.edges)] += sign * other.edges
        entered = Counter({key: count + sign * other.entered[key] for key, count in self.entered.items()})
        passed = {key: count + sign * other.passed[key] for key, count in self.passed.items()}
        return Sums(edges, self.accesses + sign * other.accesses, entered, passed)

    def less(self, other: Sums) -> Sums:
        return self.plus(other, -1)
