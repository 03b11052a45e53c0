"""A tensor of a file or module as the graph reads it, transposed or reshaped, and the way back."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.ir.types import Ints

RESHAPED, TRANSPOSED = "reshape", "transpose"
Step = tuple[str, Ints]


@dataclass(frozen=True)
class Weight:
    """A tensor of the file as its operators see it: `array`, to which the `steps` lead from the stored one.

    A step is a reshape, with the shape before it, or a transpose, with its axes: each can be undone.
    """

    name: str
    array: np.ndarray
    steps: tuple[Step, ...] = ()

    @property
    def shape(self) -> Ints:
        return self.array.shape

    def reshaped(self, shape: Ints) -> "Weight":
        if tuple(shape) == self.shape:
            return self
        return Weight(self.name, self.array.reshape(shape), (*self.steps, (RESHAPED, self.shape)))

    def transposed(self, axes: Ints) -> "Weight":
        if tuple(axes) == tuple(range(len(axes))):
            return self
        return Weight(self.name, self.array.transpose(axes), (*self.steps, (TRANSPOSED, tuple(axes))))


def inverse(axes: Sequence[int]) -> Ints:
    """The transpose that undoes one with these axes."""
    return tuple(int(axis) for axis in np.argsort(axes))


def undone(array: np.ndarray, steps: Sequence[Step]) -> np.ndarray:
    """The stored tensor of which these steps made `array`."""
    for step, numbers in reversed(steps):
        array = array.reshape(numbers) if step == RESHAPED else array.transpose(inverse(numbers))
    return np.asarray(array, order="C")


def done(array: np.ndarray, steps: Sequence[Step], shape: Ints) -> np.ndarray:
    """What these steps, which end in `shape`, make of the stored `array`."""
    shapes = []  # that each step leads to, the last one first
    for step, numbers in reversed(steps):
        shapes.append(shape)
        shape = numbers if step == RESHAPED else tuple(shape[axis] for axis in inverse(numbers))
    for (step, numbers), to in zip(steps, reversed(shapes), strict=True):
        array = array.reshape(to) if step == RESHAPED else array.transpose(numbers)
    return np.asarray(array, order="C")
