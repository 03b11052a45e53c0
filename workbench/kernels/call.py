"""The call of a kernel: what it passes, operands and results as views or addresses, the tile, its parameters by name.

Which of it is literal is known here: that is what an instance of the kernel holds (instances.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from workbench.errors import GraphError
from workbench.ir import op as ops
from workbench.ir.graph import Node
from workbench.ir.kernel import Kernel
from workbench.ir.types import TensorType
from workbench.kernels.declared import struct_of
from workbench.kernels.literals import literals_of

C_TYPE = {"float32": "float", "int32": "int32_t", "int16": "int16_t", "int8": "int8_t", "bit": "uint32_t"}
# macros of model.h: address, offset -> pointer
CAST = {"float32": "F32", "int32": "I32", "int16": "I16", "int8": "I8", "bit": "BITS"}
VIEWS = {"float32": "f32", "int8": "s8"}  # dtype -> how its views are called in tiles.h
WIDTH = 112  # of a line


Number = int | str  # a literal, or C that is evaluated where the call stands


@dataclass(frozen=True)
class Extent:
    """wb_tile: which part of a result is computed."""

    image: Number = 0
    image_end: Number = 1
    channel: Number = 0
    channel_end: Number = 0
    row: Number = 0
    row_end: Number = 0
    begun: int = 0


@dataclass(frozen=True)
class View:
    """wb_view_f32, wb_view_s8: what is there of a tensor's images, the first element at the address `at`. An operand's
    is `read` only."""

    dtype: str
    at: str
    image: Number
    plane: Number
    pitch: Number
    channel: Number
    channel_end: Number
    row: Number
    row_end: Number
    gaps: int = 0
    read: bool = False

    @property
    def numbers(self) -> dict[str, Number]:
        """Name -> number, in the order of C's view, where they stand behind the address."""
        names = (each.name for each in fields(self) if each.name not in ("dtype", "at", "read"))
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Address:
    """Of elements of a type, C's name of which is `of`: an array, or `several` arrays' addresses, as an array."""

    of: str
    at: str
    several: tuple[str, ...] = ()


Argument = Extent | View | Address | None  # None: 0, there is none


@dataclass(frozen=True)
class Call:
    """`function` of `header`, given its parameters (`record`, as C) and these arguments. `literals`: what its schedule
    is chosen by (literals.py)."""

    function: str
    header: str
    record: str
    arguments: tuple[Argument, ...]
    literals: str = ""


@dataclass(frozen=True)
class Places:
    """Where the values are that a call names.

    address    value -> the address of its first element, as C
    rest       of a weight in two arrays: the address of the second, which is not updated
    views      values that are not there as a whole -> their view
    """

    types: Mapping[str, TensorType]
    address: Mapping[str, str]
    rest: Mapping[str, str] = field(default_factory=dict)
    views: Mapping[str, View] = field(default_factory=dict)

    def view(self, name: str) -> View:
        return self.views.get(name) or whole(self.types[name], self.address[name])

    def of(self, name: str) -> Address:
        return Address(C_TYPE[self.types[name].dtype], self.address[name])


def call_of(
    node: Node,
    places: Places,
    tile: Extent | None = None,
    scratch: Sequence[str] = (),
    left_out: int | None = None,
    axis: str = "",
) -> Call:
    """The call that computes a tile of a node's result, all of it unless told otherwise. `left_out`: the index of an
    operand that the tile needs no more; `axis`: what there are tiles of."""
    op, kernel = ops.get(node.op), kernel_of(node, inside=tile is not None)
    kinds, taken = [places.types[name] for name in node.operands], op.taken(node.attrs)
    passed: list[Argument] = []
    for at, name in enumerate(node.operands):
        if at == left_out:
            passed.append(None)
        elif kinds[at].bytes:  # what comes as a stream lies nowhere
            passed += _operand(node, at, kernel, places) if at not in taken else [places.of(name)]
    if op.variadic:
        addresses = tuple(each.at for each in passed if isinstance(each, Address))
        passed = [Address(C_TYPE[kinds[0].dtype], "", addresses)]
    passed += [None] * (kernel.operands - len(kinds))
    own = node.results[len(taken) :]
    passed += [places.view(name) for name in own[: kernel.gives_view]]
    passed += [places.of(name) for name in own[kernel.gives_view :]]
    passed += [None] * (kernel.results - len(own))
    if kernel.tiled:
        passed.insert(0, tile or everything(places.types[tiled_by(node)]))
    passed += [Address("void", at) for at in scratch] or [None] * kernel.may_scratch
    function = kernel.named(*kinds)
    record = f"({struct_of(kernel, function)}){record_text(kernel.parameters(*kinds, **node.attrs))}"
    return Call(function, kernel.header, record, tuple(passed), literals_of(node, places.types, axis))


def kernel_of(node: Node, inside: bool = False) -> Kernel:
    """The kernel that makes a node's whole result, or, `inside` a region, tiles. Raises GraphError for none."""
    kernel = ops.get(node.op).kernel
    if kernel is None or not (kernel.whole or inside):
        raise GraphError(f"{node.op} ({node.label or '%' + node.results[0]}) has no C kernel")
    return kernel


def tiled_by(node: Node) -> str:
    """The value of which a node's tiles are: its result, or the operand that it reduces."""
    kernel = kernel_of(node, inside=True)
    return node.results[0] if kernel.gives_view else node.operands[kernel.views[0]]


def _operand(node: Node, at: int, kernel: Kernel, places: Places) -> list[Argument]:
    name = node.operands[at]
    passed: Argument = replace(places.view(name), read=True) if at in kernel.views else places.of(name)
    rest = places.rest.get(name)
    if at in kernel.split:
        return [passed, Address(C_TYPE[places.types[name].dtype], rest) if rest else None]
    if rest:
        raise GraphError(f"{node.op} ({node.label}) has no kernel that reads %{name} in two parts")
    return [passed]


def in_lines(text: str, begin: str = "", indent: str = "") -> list[str]:
    """A statement, an argument or a field in lines, broken behind commas; within brackets that are part of it, only
    where these fill more than a line. `begin`: what stands on the first line already."""
    opened, inside = _bracketed(text)
    if len(begin + text) <= WIDTH or not inside:
        return [begin + text]
    lines, deeper, broken = [begin + opened], indent + "    ", False
    for index, each in enumerate(inside):
        if not broken and len(lines[-1] + each) <= WIDTH:
            lines[-1] += each
        elif len(deeper + each.strip()) <= WIDTH:
            lines.append(deeper + each.strip())
            broken = False
        else:
            lines += in_lines(each.strip(), deeper, deeper) if index else in_lines(each, lines.pop(), deeper)
            broken = True
    return lines


def _bracketed(text: str) -> tuple[str, list[str]]:
    """'f(', ['a,', ' g(b, c));'] of 'f(a, g(b, c));': what its last outer brackets hold."""
    depth, cuts = 0, list[int]()
    for at, letter in enumerate(text):
        if letter in "({[":
            cuts, depth = cuts if depth else [at + 1], depth + 1
        elif letter in ")}]":
            depth -= 1
        elif letter == "," and depth == 1:
            cuts.append(at + 1)
    return text[: cuts[0]] if cuts else text, [text[at:end] for at, end in pairwise([*cuts, len(text)])]


def record_text(record: Any) -> str:
    """A record as a designated initializer; records within it too."""
    return f"{{ {', '.join(f'.{each.name} = {_value(getattr(record, each.name))}' for each in fields(record))} }}"


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return f"{{ {', '.join(map(_value, value))} }}"
    return record_text(value) if is_dataclass(value) else c_literal(value)


def c_literal(value: int | float | str) -> str:
    """A C literal of an int, or of the float32 next to `value`: nine digits tell every float32 from its neighbours.

    A str is C already.
    """
    if isinstance(value, int | str):
        return str(int(value)) if isinstance(value, bool) else str(value)
    word = f"{np.float32(value):.9g}"
    return (word if "." in word or "e" in word else word + ".0") + "f"


def everything(kind: TensorType) -> Extent:
    """The tile of all of a result."""
    images, channels, rows, _ = kind.as_images
    return Extent(image_end=images, channel_end=channels, row_end=rows)


def whole(kind: TensorType, address: str) -> View:
    """The view of all of a tensor."""
    _, channels, rows, columns = kind.as_images
    return View(kind.dtype, address, channels * rows * columns, rows * columns, columns, 0, channels, 0, rows)
