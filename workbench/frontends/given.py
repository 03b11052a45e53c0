"""What a caller gives for a layer, as the layer takes it; what cannot be that is refused by the layer's name."""

import operator
from collections.abc import Iterable
from math import isfinite, prod
from numbers import Real

import numpy as np

from workbench.errors import ModelError, ShapeError, shown
from workbench.frontends.model import LARGEST_TENSOR
from workbench.ir.verify import NAME, NAME_LENGTH


def whole(where: str, what: str, value, least: int = 1) -> int:
    """A whole number, numpy's too."""
    number = _index(value)
    if number is None or number < least:
        raise ShapeError(f"{where}: {what} is a whole number of {least} or more; got {shown(value)}")
    return number


def several(where: str, what: str, value, least: int = 1, counts: tuple[int, ...] = (2,)) -> tuple[int, ...]:
    """So many whole numbers as the largest of `counts`; one number stands for all, two for rows and columns."""
    number, most = _index(value), max(counts)
    listed = isinstance(value, Iterable) and not isinstance(value, str | bytes | dict)
    each_of = [number] * most if number is not None else [_index(each) for each in value] if listed else []
    numbers = [each for each in each_of if each is not None and each >= least]
    if len(numbers) not in counts or len(numbers) < len(each_of):
        raise ShapeError(f"{where}: {what} are {most} whole numbers; got {shown(value)}",
                         f"each {least} or more; one number stands for all")  # fmt: skip
    return tuple(numbers) * (most // len(numbers))


def numbers(where: str, what: str, value) -> tuple[int, ...]:
    """One whole number of 1 or more, or any count of them."""
    listed = isinstance(value, Iterable) and not isinstance(value, str | bytes | dict)
    return tuple(whole(where, what, each) for each in (value if listed else [value]))


def factor(where: str, what: str, value) -> float:
    if not isinstance(value, Real) or not isfinite(value):
        raise ModelError(f"{where}: {what} is a number; got {shown(value)}")
    return float(value)


def label(name) -> str:
    """What a layer is called. Raises ModelError for what no text form, table or policy could tell."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ModelError(f"a layer cannot be called {shown(name)}",
                         f"a name is up to {NAME_LENGTH} letters, digits, _ . - and /")  # fmt: skip
    return name


def network_name(name) -> str:
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > NAME_LENGTH:
        raise ModelError(
            f"a network cannot be called {shown(name)}", f"a name is a line of up to {NAME_LENGTH} letters"
        )
    return name


def input_shape(shape) -> tuple[int, ...]:
    listed = isinstance(shape, Iterable) and not isinstance(shape, str | bytes | dict)
    each_of = [_index(size) for size in shape] if listed else []
    sizes = tuple(size for size in each_of if size is not None and size >= 1)
    if not 2 <= len(sizes) <= 4 or len(sizes) < len(each_of):
        raise ShapeError(f"input_shape is a batch and one to three more sizes, like (1, 3, 32, 32); got {shown(shape)}")
    return at_most("the input", sizes)


def at_most(what: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    if prod(shape) > LARGEST_TENSOR:
        raise ModelError(f"{what} of {shape} would be more than a network for a microcontroller has")
    return shape


def _index(value) -> int | None:
    """The whole number that `value` is, as a plain int; None where it is none."""
    if isinstance(value, bool | np.bool_):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None
