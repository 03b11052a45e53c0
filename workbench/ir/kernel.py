"""Kernel: how an operator becomes C, and which tiles of its result it can compute alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from workbench.ir.types import TensorType

Axis = Literal["rows", "channels"]


@dataclass(frozen=True)
class Kernel:
    """How an operator becomes C: a call of what kernels/`header` defines.

        conv2d_f32((wb_conv2d_f32){ .activation = WB_RELU, … }, tile, operands…, results…, scratch);

    The kernel computes a tile of its result from views of its operands; the whole tensor is the tile of everything.

    function     its name; where dtypes have kernels of their own: the dtype of operand `by`, or of the first where that
                 is left out -> its name; "" where it becomes more than a call
    record       a frozen dataclass: the fields of the struct that the function takes first, by name (see
                 kernels/declared.py, which holds the two against each other)
    parameters   from (*types, **attrs) an instance of `record`: numbers, several in a tuple, records within, or C as it
                 stands: the name of an enumerator, an array
    views        operands, by index, that are passed as views (tiles.h); with one of them, or `gives_view`, a wb_tile
                 stands before the operands. All others are passed by their address
    gives_view   the first result is passed as a view, too
    whole        it can make the whole result; False: tiles alone, inside a region
    split        operands that may lie in two arrays, the updated part first: two addresses, the second 0 where they do
                 not
    operands,    how many the function takes: what a node leaves out is passed as 0; 0 here: as many as the node has.
    results      A variadic operator's operands are passed as one array of pointers. A result that always takes over
                 an operand is that operand, and is not passed again
    scratch      from (*types, **attrs) the bytes of scratch that the function needs; passed last, if there are any
    may_scratch  the function takes scratch even where none is needed, such as tiles alone (see Footprint): 0 is passed
    choices      from (*types, **attrs) what the node's attribute `schedule` may choose, name -> numbers (see
                 ops/_schedule.py): none of it changes a bit of the result
    but          fields of `record`, and of records within, that no choice depends on: constants of the quantization,
                 what the core decides, and what is chosen
    in_place     may-alias: operands whose storage the first result may take over
    """

    header: str
    function: str | Mapping[str, str]
    record: type | None = None
    parameters: Callable[..., Any] = lambda *_, **__: None
    by: int = 0
    views: tuple[int, ...] = ()
    gives_view: bool = False
    whole: bool = True
    split: tuple[int, ...] = ()
    operands: int = 0
    results: int = 0
    scratch: Callable[..., int] = lambda *_, **__: 0
    may_scratch: bool = False
    choices: Callable[..., Mapping[str, tuple[int, ...]]] = lambda *_, **__: {}
    but: tuple[str, ...] = ()
    in_place: tuple[int, ...] = ()

    @property
    def tiled(self) -> bool:
        """Whether its function takes a tile."""
        return bool(self.views) or self.gives_view

    @property
    def functions(self) -> tuple[str, ...]:
        """The names that its function may have."""
        if isinstance(self.function, str):
            return (self.function,) if self.function else ()
        return tuple(self.function.values())

    def named(self, *types: TensorType) -> str:
        """The name of the function for operands of these types."""
        if isinstance(self.function, str):
            return self.function
        return self.function[types[self.by if self.by < len(types) else 0].dtype]


@dataclass(frozen=True)
class Reach:
    """Rows (or channels) of an operand: row r of the result reads rows (r·by + low) / over up to (r·by + high) / over.

    Fractions are rounded inwards. Rows that lie beyond the image are not read.
    """

    by: int = 1
    low: int = 0
    high: int = 0
    over: int = 1

    def first(self, row: int) -> int:
        """The first row that result rows [row, …) read."""
        return -(-(row * self.by + self.low) // self.over)

    def end(self, end: int) -> int:
        """The end of the rows that result rows [0, end) read: one more than the last."""
        return ((end - 1) * self.by + self.high) // self.over + 1


@dataclass(frozen=True)
class Tile:
    """Some rows, or some channels, of a node's result. `of`: the operands, by index, that are there by tiles alone."""

    axis: Axis
    of: tuple[int, ...] = ()


@dataclass(frozen=True)
class Footprint:
    """What a node needs, and what it gives, for one tile of its result.

    reads        operand -> its rows or channels that a tile of the result needs. All other operands are there whole;
                 the kernel takes what it needs of them by the tile
    extent       how many rows or channels there are, of all tiles together
    gives        what the first result is: "tile", the tile itself; "part", the elements of a whole result that belong
                 to the tile; "sum", a whole result that every tile accumulates into, or into scratch that lasts
    begins       of a "sum": the operand that it begins at; None: it begins at zero
    code         False: its result is its operand's tile, a view: no code
    scratch      from the rows or channels of a tile the bytes of scratch that the kernel needs for it
    anew         what the kernel prepares there, such as filters made wider, each tile prepares anew; False: it is the
                 tile's own
    lasting      the scratch, in whole words, holds from one tile of an image to the next what the kernel leaves there;
                 with the first tile the kernel begins it, with the last it makes the result of it
    """

    reads: Mapping[int, Reach] = field(default_factory=dict)
    extent: int = 0
    gives: Literal["tile", "part", "sum"] = "tile"
    begins: int | None = None
    code: bool = True
    scratch: Callable[[int], int] = lambda count: 0
    anew: bool = True
    lasting: bool = False

    def prepares(self, count: int) -> int:
        """The bytes that a tile prepares, and the next one again."""
        return self.scratch(count) if self.anew else 0


@dataclass(frozen=True)
class Refusal:
    """Why a node cannot run by tiles: a sentence without a subject, "works on images only"."""

    reason: str


def at_once(tile: Tile, *_: Any, **__: Any) -> Refusal:
    """`Op.footprint` of what makes its result as a whole."""
    return Refusal(f"works on all {tile.axis} at once")


def along(**axes: Callable[..., Footprint | Refusal]) -> Callable[..., Footprint | Refusal]:
    """`Op.footprint` of what runs by tiles along these axes, each with a footprint of its own; and along no other."""

    def footprint(tile: Tile, *types: TensorType, **attrs: Any) -> Footprint | Refusal:
        of_axis = axes.get(tile.axis)
        return of_axis(tile, *types, **attrs) if of_axis else at_once(tile)

    return footprint


def each_alone(*views: int, axes: tuple[Axis, ...] = ("rows",)) -> Callable[..., Footprint | Refusal]:
    """`Op.footprint` of what computes each element of an image from those in the same place of its operands `views`. By
    channels only the first of them is there by tiles."""

    def footprint(tile: Tile, *types: TensorType, **_: Any) -> Footprint | Refusal:
        if tile.axis not in axes:
            return at_once(tile)
        if any(kind.rank != 4 for at, kind in enumerate(types) if at in views):
            return Refusal("works by tiles on images only")
        if tile.axis == "rows":
            return Footprint({at: Reach() for at in views if at < len(types)}, types[0].shape[2])
        if tile.of != views[:1]:
            return Refusal("is not the first to make channels" if not tile.of else "reads channels of one operand only")
        return Footprint({views[0]: Reach()}, types[0].shape[1])

    return footprint
