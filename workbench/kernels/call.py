"""The C of a kernel's call: its parameters by name, the tile, views or addresses of operands and results.

conv2d_f32((wb_conv2d_f32){ .sizes = { .groups = 1, .channels = 3, …, .window = { .kh = 3, .kw = 3, … } },
        .activation = WB_RELU },
    wb_everything(1, 8, 12), wb_image_f32(F32(wb_arena, 0), 3, 12, 12), p_conv_weight, 0, p_conv_bias,
    wb_image_f32(F32(wb_arena, 1728), 8, 12, 12), 0);
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from workbench.errors import GraphError
from workbench.ir import op as ops
from workbench.ir.graph import Node
from workbench.ir.kernel import Kernel
from workbench.ir.op import Attrs
from workbench.ir.types import TensorType
from workbench.kernels.declared import struct_of

C_TYPE = {"float32": "float", "int32": "int32_t", "int16": "int16_t", "int8": "int8_t", "bit": "uint32_t"}
# macros of model.h: address, offset -> pointer
CAST = {"float32": "F32", "int32": "I32", "int16": "I16", "int8": "I8", "bit": "BITS"}
VIEWS = {"float32": "f32", "int8": "s8"}  # dtype -> how its views are called in tiles.h
WIDTH = 112  # of a line


@dataclass(frozen=True)
class Places:
    """Where the values are that a call names.

    address    value -> the address of its first element, as C
    rest       of a weight in two arrays: the address of the second, which is not updated
    views      values that are not there as a whole -> their view, as C
    """

    types: Mapping[str, TensorType]
    address: Mapping[str, str]
    rest: Mapping[str, str] = field(default_factory=dict)
    views: Mapping[str, str] = field(default_factory=dict)

    def view(self, name: str) -> str:
        return self.views.get(name) or whole(self.types[name], self.address[name])


def call_of(
    node: Node, places: Places, tile: str = "", scratch: Sequence[str] = (), left_out: int | None = None
) -> list[str]:
    """The lines of the call that computes a tile of a node's result, all of it unless told otherwise. `left_out`: the
    index of an operand that the tile needs no more."""
    op, kernel = ops.get(node.op), kernel_of(node, inside=bool(tile))
    kinds, taken = [places.types[name] for name in node.operands], op.taken(node.attrs)
    operands: list[str] = []
    for at, name in enumerate(node.operands):
        if at == left_out:
            operands += _missing(kernel, at, kinds[0])
        elif kinds[at].bytes:  # what comes as a stream lies nowhere
            operands += _operand(node, at, kernel, places) if at not in taken else [places.address[name]]
    if op.variadic:
        operands = [f"(const {C_TYPE[kinds[0].dtype]} *const[]){{ {', '.join(operands)} }}"]
    for at in range(len(kinds), kernel.operands):
        operands += _missing(kernel, at, kinds[0])
    own = node.results[len(taken) :]
    results = [places.view(name) for name in own[: kernel.gives_view]]
    results += [places.address[name] for name in own[kernel.gives_view :]]
    results += ["0"] * (kernel.results - len(own))
    if kernel.tiled:
        operands.insert(0, tile or everything(places.types[tiled_by(node)]))
    return call(kernel, kinds, node.attrs, [*operands, *results, *(scratch or ["0"] * kernel.scratch_by_tiles)])


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


def _operand(node: Node, at: int, kernel: Kernel, places: Places) -> list[str]:
    name = node.operands[at]
    if at in kernel.views:
        return [places.view(name)]
    if at in kernel.split:
        return [places.address[name], places.rest.get(name, "0")]
    if name in places.rest:
        raise GraphError(f"{node.op} ({node.label}) has no kernel that reads %{name} in two parts")
    return [places.address[name]]


def _missing(kernel: Kernel, at: int, kind: TensorType) -> list[str]:
    if at in kernel.views:
        return [f"(wb_view_{VIEWS[kind.dtype]}){{ 0 }}"]
    return ["0"]


def call(kernel: Kernel, types: Sequence[TensorType], attrs: Attrs, arguments: Sequence[str]) -> list[str]:
    """The lines of a call, for operands of these types, with these `arguments` behind its parameters."""
    function = kernel.named(*types)
    parameters = f"({struct_of(kernel, function)}){record_text(kernel.parameters(*types, **attrs))}"
    return _lines(f"{function}({', '.join([parameters, *arguments])});")


def _lines(text: str, begin: str = "", indent: str = "") -> list[str]:
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
            lines += _lines(each.strip(), deeper, deeper) if index else _lines(each, lines.pop(), deeper)
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


def everything(kind: TensorType) -> str:
    """The tile of all of a result."""
    images, channels, rows, _ = kind.as_images
    return f"wb_everything({images}, {channels}, {rows})"


def whole(kind: TensorType, address: str) -> str:
    """The view of all of a tensor."""
    _, *sizes = kind.as_images
    return f"wb_image_{VIEWS[kind.dtype]}({address}, {', '.join(map(str, sizes))})"
