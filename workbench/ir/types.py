"""TensorType: shape, dtype, layout and whether a gradient is wanted."""

from dataclasses import dataclass
from math import prod

import numpy as np

from workbench.errors import ShapeError

BITS = {"float32": 32, "int32": 32, "int8": 8, "bit": 1}
NUMPY = {"float32": np.float32, "int32": np.int32, "int8": np.int8, "bit": np.bool_}


@dataclass(frozen=True)
class TensorType:
    """A logical shape (NCHW, OIHW), a dtype (float32, int32, int8, bit), a layout and `needs_grad`.

    `layout` names the storage permutation ("" = stored in logical order). `needs_grad` means something on
    parameters only: False, True, or (axis, k) = the first k channels along that axis.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    layout: str = ""
    needs_grad: bool | tuple[int, int] = False

    def __post_init__(self):
        if self.dtype not in BITS:
            raise ShapeError(f"dtype {self.dtype!r} is not one of {', '.join(BITS)}")
        if any(not isinstance(size, int) or size < 1 for size in self.shape):
            raise ShapeError(f"a shape holds positive integers; got {self.shape}")
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
        if self.dtype == "bit":
            return (self.elements + 31) // 32 * 4
        return self.elements * BITS[self.dtype] // 8

    def __str__(self) -> str:
        return f"{self.dtype} {self.shape}"
