"""The C of a kernel's call: its parameters by name, the tile, views of operands and results.

conv2d_f32((wb_conv2d){ .channels = 3, .kept = 0, .window = { .kh = 3, .kw = 3, … } },
    wb_everything(1, 8, 12), wb_image_f32(F32(wb_arena, 0), 3, 12, 12), p_conv_weight, 0, p_conv_bias,
    wb_image_f32(F32(wb_arena, 1728), 8, 12, 12), 0);
"""

import re
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from textwrap import wrap
from typing import Any

import numpy as np

from workbench.ir.kernel import Kernel
from workbench.ir.op import Attrs
from workbench.ir.types import TensorType
from workbench.kernels.declared import struct_of

VIEWS = {"float32": "f32", "int8": "s8"}  # dtype -> how its views are called in tiles.h
WIDTH = 112  # of a line


def call(kernel: Kernel, types: Sequence[TensorType], attrs: Attrs, arguments: Sequence[str]) -> list[str]:
    """The lines of a call, for operands of these types, with these `arguments` behind its parameters."""
    function = kernel.named(*types)
    parameters = f"({struct_of(kernel, function)}){record_text(kernel.parameters(*types, **attrs))}"
    return _lines(f"{function}({', '.join([parameters, *arguments])});")


def _lines(text: str) -> list[str]:
    """A long statement in lines; what stands in inner parentheses, or a sum, is not torn apart."""
    joined = re.sub(r"\([^()]*\)| [+-] ", lambda inner: inner[0].replace(" ", "\0"), text)
    return [line.replace("\0", " ") for line in wrap(joined, WIDTH, subsequent_indent="    ",
                                                     break_long_words=False, break_on_hyphens=False)]  # fmt: skip


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


def no_view(kind: TensorType) -> str:
    """In place of an operand that a node leaves out."""
    return f"(wb_view_{VIEWS[kind.dtype]}){{ 0 }}"
