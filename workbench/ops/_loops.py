"""Nested loops over an array's axes, as few as possible: the parameters of kernels that move data."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from workbench.errors import ShapeError
from workbench.ir.types import Ints

DEPTH = 6  # of the kernels


@dataclass(frozen=True)
class Loops:
    """wb_loops: how often each runs, outermost first, and its step in one array, in elements."""

    n: tuple[int, ...]
    step: tuple[int, ...]


def row_major(shape: Ints) -> tuple[int, ...]:
    """The stride of each axis, in elements."""
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


def loops(what: str, sizes: Sequence[int], steps: Sequence[int], depth: int = DEPTH) -> Loops:
    """`depth` loops over axes of these sizes, idle ones in front. Raises ShapeError where that is not enough.

    Axes of one element are left out; neighbours that the array steps through alike are one loop.
    """
    found: list[tuple[int, int]] = []
    for size, step in zip(sizes, steps, strict=True):
        if size == 1:
            continue
        if found and found[-1][1] == size * step:
            size *= found.pop()[0]
        found.append((size, step))
    if len(found) > depth:
        raise ShapeError(f"{what}: moves more than {depth} axes apart from each other")
    idle = depth - len(found)
    return Loops((*[1] * idle, *(n for n, _ in found)), (*[0] * idle, *(step for _, step in found)))
