"""What a kernel's schedule is chosen by: the literals that it is called with, as one line of text.

conv2d_s8 groups=1 channels=16 in_height=32 … kh=1 kw=1 …       of a whole result
conv2d_s8 groups=1 channels=16 in_height=32 … kh=1 kw=1 … by rows       of tiles of it, inside a region
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from workbench.ir import op as ops
from workbench.ir.graph import Node
from workbench.ir.types import TensorType
from workbench.ops._schedule import SCHEDULE


def choices_of(node: Node, types: Mapping[str, TensorType]) -> Mapping[str, tuple[int, ...]]:
    """What there is to choose for a node: name -> numbers."""
    kernel, attrs = ops.get(node.op).kernel, {name: value for name, value in node.attrs.items() if name not in SCHEDULE}
    return kernel.choices(*(types[name] for name in node.operands), **attrs) if kernel else {}


def literals_of(node: Node, types: Mapping[str, TensorType], axis: str = "") -> str:
    """The literals that a node's kernel is called with, as far as choices depend on them; `axis`: of the region that it
    runs in. "": there is nothing to choose."""
    kernel = ops.get(node.op).kernel
    if kernel is None or not choices_of(node, types):
        return ""
    kinds = [types[name] for name in node.operands]
    told = _literals(kernel.parameters(*kinds, **node.attrs), kernel.but)
    return " ".join([kernel.named(*kinds), *told, *([f"by {axis}"] if axis else [])])


def _literals(record: Any, but: tuple[str, ...]) -> Iterator[str]:
    for each in fields(record):
        value = getattr(record, each.name)
        if is_dataclass(value) and each.name not in but:
            yield from _literals(value, but)
        elif each.name not in but:
            yield f"{each.name}={value}"
