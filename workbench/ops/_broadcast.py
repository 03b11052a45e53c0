"""Broadcasting of two operands of one rank: each axis is equally long in both, or 1 in the one that is repeated.

    a (N, C, H, W) · b (N, C, 1, 1)  =  for N·C: for H·W: y[i][j] = a[i][j] · b[i]     axes that are alike are one loop

The gradient of an operand is summed over the axes along which it was read again (see sum_to).
"""

from dataclasses import dataclass
from math import prod
from typing import Any

from workbench.errors import ShapeError
from workbench.ir.build import Builder, Value
from workbench.ir.kernel import Footprint, Reach, Refusal, Tile, at_once
from workbench.ir.types import Ints, TensorType
from workbench.ops._parameters import Shape

LOOPS = 4  # that kernels/broadcast.h has


@dataclass(frozen=True)
class Broadcast:
    """wb_broadcast: how often each loop runs, and the steps of a and of b in it."""

    n: Ints
    a: Ints
    b: Ints


@dataclass(frozen=True)
class Moves:
    """wb_moves: along which axes of an image an operand moves, and does not repeat its one element."""

    image: bool
    channel: bool
    row: bool
    column: bool


@dataclass(frozen=True)
class Two:
    """wb_two_f32: the operation by its name in C, the result's shape, and how both operands are read."""

    how: str
    alike: bool
    shape: Shape
    loops: Broadcast
    a: Moves
    b: Moves


def shape_of_both(what: str, a: TensorType, b: TensorType) -> tuple[int, ...]:
    """The shape of the result. Raises ShapeError where there is none."""
    alike = a.rank == b.rank and all(m == n or 1 in (m, n) for m, n in zip(a.shape, b.shape, strict=True))
    if not alike:
        raise ShapeError(f"{what}: a and b are of one rank, each axis as long in both or 1 in one; got {a} and {b}")
    shape = tuple(max(sizes) if 0 not in sizes else 0 for sizes in zip(a.shape, b.shape, strict=True))
    if len(_loops(shape, a.shape, b.shape)) > LOOPS:
        raise ShapeError(f"{what}: more than {LOOPS} loops are needed for {a} and {b}")
    return shape


def _loops(shape: Ints, *operands: Ints) -> list[tuple[int, tuple[bool, ...]]]:
    """(length, for each operand whether its index advances) of each loop, the outermost first."""
    loops: list[tuple[int, tuple[bool, ...]]] = []
    for axis, size in enumerate(shape):
        moves = tuple(operand[axis] == size for operand in operands)
        if size == 1:
            continue
        if loops and loops[-1][1] == moves:
            loops[-1] = loops[-1][0] * size, moves
        else:
            loops.append((size, moves))
    return loops


def broadcast(shape: Ints, a: Ints, b: Ints) -> Broadcast:
    """The loops that make a result of this shape, of operands of these shapes."""
    loops = _loops(shape, a, b)
    loops = [(1, (False, False))] * (LOOPS - len(loops)) + loops

    def steps(operand: int) -> Ints:
        inside = [prod(size for size, moves in loops[at + 1 :] if moves[operand]) for at in range(LOOPS)]
        return tuple(step * moves[operand] for step, (_, moves) in zip(inside, loops, strict=True))

    return Broadcast(tuple(size for size, _ in loops), steps(0), steps(1))


def loops_of_both(a: TensorType, b: TensorType) -> Broadcast:
    return broadcast(shape_of_both("broadcast", a, b), a.shape, b.shape)


def both_read(a: TensorType, b: TensorType) -> dict[str, Any]:
    """The fields of wb_two_f32, and of wb_two_s8, that say how the operands are read."""
    y = TensorType(shape_of_both("broadcast", a, b) if a.shape != b.shape else a.shape, layout=a.layout)
    moves = {name: Moves(*(m == n for m, n in zip(x.as_images, y.as_images, strict=True)))
             for name, x in (("a", a), ("b", b))}  # fmt: skip
    return {"alike": a.shape == b.shape, "shape": Shape(*y.as_images[1:]), "loops": loops_of_both(a, b), **moves}


def by_tiles(tile: Tile, a: TensorType, b: TensorType, **_: Any) -> Footprint | Refusal:
    """`Op.footprint`: by rows; an operand that is repeated along some axis is there whole."""
    if tile.axis != "rows":
        return at_once(tile)
    if a.rank != 4:
        return Refusal("works by tiles on images only")
    shape = shape_of_both("broadcast", a, b)
    return Footprint({at: Reach() for at, x in enumerate((a, b)) if x.shape == shape}, shape[2])


def of_gradients(tile: Tile, a: TensorType, b: TensorType) -> Footprint | Refusal:
    """`Op.footprint` of a sum, of two gradients among others: by channels too, where one is there by tiles or both."""
    if tile.axis == "rows" or a.rank != 4 or a.shape != b.shape:
        return by_tiles(tile, a, b)
    if not tile.of:
        return Refusal("is not the first to make channels")
    return Footprint({at: Reach() for at in tile.of}, a.shape[1])


def ties_of_both(a: TensorType, b: TensorType, **_: Any) -> tuple[dict[int, str], ...]:
    """`Op.ties`: an operand that is repeated along the channels has none; all others share them."""
    if a.rank < 2:
        return ({}, {}, {})
    channels = max(a.shape[1], b.shape[1])
    return (*({1: "channel"} if x.shape[1] == channels else {} for x in (a, b)), {1: "channel"})


def summed_to(build: Builder, dy: Value, x: Value, times: float = 1.0) -> Value:
    """The gradient of an operand that was added, given that of the sum."""
    if x.shape == dy.shape and times == 1:
        return dy
    if x.shape == (1, *dy.shape[1:2], *[1] * (dy.rank - 2)) and dy.rank > 1:
        return build.reshape(build.sum(dy, axis=(0, *range(2, dy.rank)), times=times), newshape=x.shape)
    return build.sum_to(dy, newshape=x.shape, times=times)


SHAPES = (  # of a and b, for samples
    ((2, 3, 4, 4), (2, 3, 4, 4)),
    ((2, 3, 2, 5), (2, 3, 1, 1)),
    ((2, 3, 4, 3), (1, 3, 1, 1)),
    ((1, 1, 1, 6), (2, 3, 1, 1)),
    ((2, 1, 5, 1), (2, 3, 5, 4)),
    ((2, 3, 1, 5), (1, 3, 4, 5)),
    ((3, 7), (1, 7)),
    ((1, 40), (1, 1)),
    ((3, 1), (1, 5)),
    ((1, 1), (1, 1)),
)
