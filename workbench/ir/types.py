"""TensorType: shape, dtype, layout, quantization and whether a gradient is wanted."""

from dataclasses import dataclass, replace
from math import prod

import numpy as np

from workbench.errors import ShapeError

Ints = tuple[int, ...]  # sizes, axes, strides: one for each axis, or for some of them

BITS = {"float32": 32, "int32": 32, "int16": 16, "int8": 8, "bit": 1}
NUMPY: dict[str, type[np.generic]] = {
    "float32": np.float32, "int32": np.int32, "int16": np.int16, "int8": np.int8, "bit": np.bool_,
}  # fmt: skip

BY_ROWS = "NHCW"  # a row of all channels, then the next: rows before some row are one piece of memory
STREAM = "STREAM"  # the same order, but it lies in no memory: the host hands it over bit by bit
# storage order of N, C, H, W
LAYOUTS: dict[str, Ints] = {"NHWC": (0, 2, 3, 1), BY_ROWS: (0, 2, 1, 3), STREAM: (0, 2, 1, 3)}


def quantized(values: np.ndarray, kind: "TensorType") -> np.ndarray:
    """Real `values` as a tensor of type `kind` stores them; float32 ones as they are."""
    if kind.dtype == "float32":
        return values
    steps: np.ndarray = np.rint(values / (kind.scale or 1)) + kind.zero_point
    stored: np.ndarray = np.clip(steps, -128, 127).astype(NUMPY[kind.dtype])
    return stored


@dataclass(frozen=True)
class TensorType:
    """A logical shape (NCHW, OIHW), a dtype (float32, int32, int16, int8, bit), a layout and `needs_grad`.

    `layout` names the storage permutation, one of LAYOUTS ("" = stored in logical order). `needs_grad` means something
    on parameters only: False, True, or (axis, k) = the first k channels along that axis. An int8 tensor may tell what
    real numbers it stands for, (q - zero_point) · scale; scale 0: it does not.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    layout: str = ""
    needs_grad: bool | tuple[int, int] = False
    scale: float = 0.0
    zero_point: int = 0

    def __post_init__(self) -> None:
        if self.dtype not in BITS:
            raise ShapeError(f"dtype {self.dtype!r} is not one of {', '.join(BITS)}")
        if any(not isinstance(size, int) or size < 1 for size in self.shape):
            raise ShapeError(f"a shape holds positive integers; got {self.shape}")
        if self.layout and (self.layout not in LAYOUTS or len(LAYOUTS[self.layout]) != self.rank):
            raise ShapeError(f"no layout of {self.rank} axes is called {self.layout!r}; there are {', '.join(LAYOUTS)}")
        if self.scale and (self.dtype != "int8" or self.scale < 0 or not -128 <= self.zero_point <= 127):
            raise ShapeError(f"int8 is quantized by a positive scale and a zero point in [-128, 127]; got "
                             f"{self.dtype}, scale {self.scale}, zero point {self.zero_point}")  # fmt: skip
        if isinstance(self.needs_grad, tuple):
            axis, count = self.needs_grad
            if not (0 <= axis < self.rank and 0 < count <= self.shape[axis]):
                raise ShapeError(f"grad_slice {list(self.needs_grad)} does not lie in {self.shape}")

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def elements(self) -> int:
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """Bytes of storage; bits are packed and padded to whole 32-bit words."""
        if self.layout == STREAM:
            return 0
        if self.dtype == "bit":
            return (self.elements + 31) // 32 * 4
        return self.elements * BITS[self.dtype] // 8

    @property
    def as_images(self) -> Ints:
        """(images, channels, rows, columns) as which kernels see it: (N, C) as images of one pixel; what is not in
        logical order, as one long row."""
        if self.rank < 2 or self.layout:
            return 1, 1, 1, self.elements
        rows = self.shape[2] if self.rank > 3 else 1
        return *self.shape[:2], rows, prod(self.shape[2:]) // rows

    @property
    def updated(self) -> "TensorType":
        """The part of a parameter that gets a gradient, as a type of its own: all of it, or the first k channels."""
        if not isinstance(self.needs_grad, tuple):
            return TensorType(self.shape, self.dtype)
        axis, count = self.needs_grad
        return TensorType((*self.shape[:axis], count, *self.shape[axis + 1 :]), self.dtype)

    @property
    def storage_axes(self) -> tuple[int, ...]:
        """The logical axes in the order they are stored, outermost first."""
        return LAYOUTS[self.layout] if self.layout else tuple(range(self.rank))

    def stored(self, values: np.ndarray) -> np.ndarray:
        """`values` of this shape as they lie in memory, flat."""
        return values.reshape(self.shape).transpose(self.storage_axes).reshape(-1)

    def logical(self, stored: np.ndarray) -> np.ndarray:
        """What `stored` undoes: flat memory back to this shape."""
        axes = self.storage_axes
        return stored.reshape([self.shape[axis] for axis in axes]).transpose(np.argsort(axes))

    def in_layout(self, layout: str) -> "TensorType":
        return replace(self, layout=layout)

    @property
    def in_body(self) -> "TensorType":
        """As the body of a region knows it: there what lies row by row lies channel by channel."""
        return self.in_layout("") if self.layout == BY_ROWS else self

    def __str__(self) -> str:
        return f"{self.dtype} {self.shape}{f' {self.layout}' if self.layout else ''}"
