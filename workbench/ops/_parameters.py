"""Parameters that kernels of several operators take, each with a struct of the same fields in C."""

from dataclasses import dataclass
from typing import Any

from workbench.ir.types import Ints, TensorType


@dataclass(frozen=True)
class Count:
    """wb_count: elements, one after the other."""

    count: int


def counted(x: TensorType, *_: TensorType, **__: Any) -> Count:
    """`Kernel.parameters` of what works element by element on tensors of one shape."""
    return Count(x.elements)


@dataclass(frozen=True)
class Shape:
    """wb_shape: the sizes of each image of a tensor (see TensorType.as_images)."""

    channels: int
    rows: int
    columns: int


def shaped(x: TensorType, *_: TensorType, **__: Any) -> Shape:
    """`Kernel.parameters` of what works on tiles, element by element, of images shaped as its first operand's."""
    return Shape(*x.as_images[1:])


@dataclass(frozen=True)
class Window:
    """wb_window: taps, strides, padding in front and dilation of a convolution; of rows and of columns."""

    kh: int
    kw: int
    sh: int
    sw: int
    pt: int
    pl: int
    dh: int
    dw: int


def window_of(*, kernel_size: Ints, strides: Ints, padding: Ints, dilation: Ints = (1, 1), **_: Any) -> Window:
    """From the attributes of a convolution, its transpose or its gradient."""
    return Window(*kernel_size, *strides, *padding[:2], *dilation)
