"""What PyTorch's operators share: one call of one, and numbers an axis."""

from collections.abc import Callable, Sequence
from typing import Any

from workbench.errors import ModelError
from workbench.frontends.emitter import Emitter, Operand, shape_of

Convert = Callable[..., Any]


class Call:
    """One call of an operator: where its result goes, and what of the network it may know."""

    def __init__(self, emit: Emitter, label: str, shape: Any) -> None:
        self.emit, self.label, self.shape = emit, label, shape


def several(value: int | Sequence[int], count: int) -> tuple[int, ...]:
    values = [value] if isinstance(value, int) else list(value)
    return tuple(int(each) for each in (values * count if len(values) == 1 else values))


def require_rank(x: Operand, rank: int) -> None:
    if len(shape_of(x)) != rank:
        raise ModelError(
            f"an input of shape {shape_of(x)} is not supported: {rank} axes are, the first of them the batch"
        )
