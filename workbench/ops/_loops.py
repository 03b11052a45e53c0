"""Nested loops over an array's axes, as few as possible: the immediates of kernels that move data."""

from collections.abc import Sequence
from math import prod

from workbench.errors import ShapeError
from workbench.ir.types import Ints


def row_major(shape: Ints) -> tuple[int, ...]:
    """The stride of each axis, in elements."""
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


def joined(sizes: Sequence[int], *strides: Sequence[int]) -> list[tuple[int, ...]]:
    """(size, stride, …) of each loop, outermost first, with the strides of one array or of several.

    Axes of one element are left out; neighbours that all arrays step through alike are one loop.
    """
    loops: list[tuple[int, ...]] = []
    for size, *steps in zip(sizes, *strides, strict=True):
        if size == 1:
            continue
        if loops and all(outer == size * step for outer, step in zip(loops[-1][1:], steps, strict=True)):
            size *= loops.pop()[0]
        loops.append((size, *steps))
    return loops


def numbers(what: str, loops: list[tuple[int, ...]], depth: int, arrays: int = 1) -> list[int]:
    """The loops as immediates of a kernel with `depth` loops. Raises ShapeError where there are more."""
    if len(loops) > depth:
        raise ShapeError(f"{what}: moves more than {depth} axes apart from each other")
    idle = [(1, *[0] * arrays)] * (depth - len(loops))
    return [number for loop in (*idle, *loops) for number in loop]
