"""sum_of_squares, clip_factor and scale: gradients held to a global norm, as torch.nn.utils.clip_grad_norm_ does it.

    norm = scale · √(Σ over all gradients of Σ x²)          scale: 1 / N where they are sums over N batches
    y = x · min(1, limit / (norm + 1e-6))                   x a gradient, or the rate it is applied at

The gradient of stored integers is taken as that of the real numbers they stand for: divided by what one of them is
worth, `unit` · s, s a scale a filter (axis 0).
"""

from dataclasses import dataclass

import numpy as np

from workbench.errors import ShapeError
from workbench.ir.kernel import Kernel
from workbench.ir.op import REQUIRED, Op, Sample, register
from workbench.ir.ranges import Range, exactly, single
from workbench.ir.types import TensorType
from workbench.ops._in_order import in_order
from workbench.ops._parameters import Count, counted

TINY = 1e-6


@dataclass(frozen=True)
class SumOfSquares:
    """wb_sum_of_squares: filters and the elements of each."""

    rows: int
    count: int
    unit: float


@dataclass(frozen=True)
class ClipFactor:
    """wb_clip_factor: `count` sums of squares."""

    count: int
    limit: float
    scale: float


def infer_squares(x: TensorType, s: TensorType | None = None, *, unit: float) -> TensorType:
    if x.rank < 1 or (s and (s.rank != 1 or s.shape[0] < x.shape[0])):
        raise ShapeError(f"sum_of_squares: s has a scale a filter of x; got {x} and {s}")
    return TensorType(())


def evaluate_squares(x: np.ndarray, s: np.ndarray | None = None, *, unit: float) -> np.ndarray:
    own = in_order((x * x).reshape(len(x), -1))
    if s is not None:
        own = own / (x.dtype.type(unit) * s[: len(x)]) ** 2
    return in_order(own)


def squares_within(x: Range, s: Range | None = None, *, unit: float) -> Range:
    """The sum grows with the magnitude of each element and falls with its scale, so its range is that of their ends."""
    fine, coarse = (None, None) if s is None else np.sort(np.abs(single(s)), axis=0)
    if x.exact and (s is None or s.exact):
        return exactly(evaluate_squares(single(x).low, coarse, unit=unit))
    low, high = single(x)
    if not np.all((low > -np.inf) | (high < np.inf)):  # infinities that may have cancelled to no number
        return Range(np.asarray(-np.inf), np.asarray(np.inf))
    smaller, larger = np.sort(np.abs([low, high]), axis=0)
    least = np.where(np.sign(low) == np.sign(high), smaller, 0)
    ends = ((least, coarse), (larger, fine))
    return Range(*(np.asarray(evaluate_squares(end, scales, unit=unit)) for end, scales in ends))


def samples_squares(rng: np.random.Generator) -> list[Sample]:
    plain = [Sample((rng.normal(size=shape),)) for shape in ((3, 2, 3, 3), (10,), (5, 7), (1, 1))]
    scaled = [
        Sample((rng.normal(size=shape), rng.uniform(0.05, 0.2, scales)), {"unit": unit})
        for shape, scales, unit in (((4, 3, 3, 3), 4, 1.0), ((4, 1, 3, 3), 6, 1.0), ((9,), 9, 0.02))
    ]
    return [*plain, *scaled]


def infer_factor(*squares: TensorType, limit: float, scale: float) -> TensorType:
    if not squares or any(each.rank for each in squares):
        raise ShapeError(f"clip_factor: takes sums of squares, scalars; got {', '.join(map(str, squares)) or 'none'}")
    return TensorType(())


def evaluate_factor(*squares: np.ndarray, limit: float, scale: float) -> np.ndarray:
    total = in_order(np.stack(squares))
    f = total.dtype.type
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = f(limit) / (np.sqrt(total) * f(scale) + f(TINY))
    return f(1) if factor > 1 else factor


def samples_factor(rng: np.random.Generator) -> list[Sample]:
    cases = (((4.0,), 1.0, 1.0), ((4.0, 9.0, 3.0), 1.0, 1.0), ((0.01, 0.02), 1.0, 1.0), ((400.0, 1.0), 2.5, 0.25),
             ((0.0,), 1.0, 1.0))  # fmt: skip
    return [
        Sample(tuple(np.asarray(each) for each in squares), {"limit": limit, "scale": scale})
        for squares, limit, scale in cases
    ]


def infer_scale(x: TensorType, factor: TensorType) -> TensorType:
    if factor.rank:
        raise ShapeError(f"scale: its factor is a scalar; got {factor}")
    return TensorType(x.shape, x.dtype)


def samples_scale(rng: np.random.Generator) -> list[Sample]:
    return [Sample((rng.normal(size=shape), np.asarray(0.3))) for shape in ((3, 2, 3, 3), (10,), (1, 1), ())]


register(Op(
    name="sum_of_squares", infer=infer_squares, evaluate=evaluate_squares, within=squares_within,
    samples=samples_squares, phase="update", attrs={"unit": 1.0},
    kernel=Kernel(
        "clip_f32.h", "sum_of_squares_f32", operands=2, record=SumOfSquares,
        parameters=lambda x, s=None, *, unit: SumOfSquares(x.shape[0], x.elements // x.shape[0], unit),
    ),
))  # fmt: skip
register(Op(
    name="clip_factor", infer=infer_factor, evaluate=evaluate_factor, samples=samples_factor, phase="update",
    variadic=True, attrs={"limit": REQUIRED, "scale": 1.0},
    kernel=Kernel(
        "clip_f32.h", "clip_factor_f32", record=ClipFactor,
        parameters=lambda *squares, limit, scale: ClipFactor(len(squares), limit, scale),
    ),
))  # fmt: skip
register(Op(
    name="scale", infer=infer_scale, evaluate=lambda x, factor: x * factor, samples=samples_scale,
    phase="update", kernel=Kernel("clip_f32.h", "scale_f32", record=Count, parameters=counted, in_place=(0,)),
))  # fmt: skip
