"""What an int8 tensor stands for: (q - zero_point) · scale."""

from dataclasses import dataclass

import numpy as np

from workbench.ir.types import TensorType

LOWEST, HIGHEST = LIMITS = -128, 127


@dataclass(frozen=True)
class Quantization:
    """The scale and zero point of one tensor."""

    scale: float
    zero_point: int

    @classmethod
    def of(cls, kind: TensorType) -> "Quantization":
        """That of an int8 type."""
        return cls(kind.scale, kind.zero_point)

    @classmethod
    def of_range(cls, low: float, high: float) -> "Quantization":
        """The one whose int8 covers [low, high] and zero, which it holds exactly."""
        low, high = min(low, 0.0), max(high, 0.0)
        scale = (high - low) / 255 or 1.0
        return cls(float(np.float32(scale)), int(np.clip(round(LOWEST - low / scale), *LIMITS)))

    def of_scale(self, scale: float) -> "Quantization":
        """The one of this scale, which is no smaller, that covers the same range."""
        if scale == self.scale:
            return self
        low = (LOWEST - self.zero_point) * self.scale
        return Quantization(scale, int(np.clip(round(LOWEST - low / scale), *LIMITS)))

    def stored(self, real: float) -> int:
        """The integer that stands for a real number, or for the nearest one in range."""
        return int(np.clip(round(real / self.scale) + self.zero_point, *LIMITS))

    def all_stored(self, values: np.ndarray) -> np.ndarray:
        """The same of each element, as int8."""
        stored: np.ndarray = np.clip(np.rint(values / self.scale) + self.zero_point, *LIMITS).astype(np.int8)
        return stored

    def clip(self, activation: str) -> tuple[int, int]:
        """The clip that does in int8 what `activation` does: "", relu or relu6."""
        low = self.stored(0.0) if activation else LOWEST
        return low, self.stored(6.0) if activation == "relu6" else HIGHEST
