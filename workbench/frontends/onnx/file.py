"""Read an .onnx file into plain tables, believing nothing it says: counts, shapes, sizes and paths are checked.

The package `onnx` reads the protocol buffers (onnx.proto); what they mean is said in operators.py. Data beside the
file is read from its own folder alone.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner
from google.protobuf.message import DecodeError

from workbench import files
from workbench.errors import ModelError, readable
from workbench.frontends.model import LARGEST_TENSOR
from workbench.plain import printable
from workbench.units import size as size_text

LARGEST_FILE = 64 * files.MB
MOST_STORED = 4 * LARGEST_FILE  # bytes of all constants, those in files beside it and those that are computed too
MOST_NODES = 10_000  # far beyond any network for a microcontroller
MOST_FUNCTIONS = 200
MOST_FIELDS = 1_000_000  # of all messages together
MOST_STRUCTURE = 4 * files.MB  # bytes of all that is no tensor
RANKS = 8
SHOWN = 60  # letters of a name, in messages
OLDEST = 13
STANDARD = ("", "ai.onnx")
FLOAT, INT64 = "float32", "int64"

# Of the protocol's messages: the fields that are messages themselves, and those that are numbers of tensors.
INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"}, "function": {7: "node"},
    "graph": {1: "node", 5: "tensor"}, "node": {5: "attribute"}, "tensor": {},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
}  # fmt: skip
DATA = {"tensor": (4, 5, 7, 9, 10, 11), "attribute": (7, 8)}
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5  # wire types


@dataclass(frozen=True)
class Operator:
    """`name`: the operator's, with its domain where that is not ONNX's. `inputs`: names, "" where one is left out."""

    number: int
    name: str
    node: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Tensor:
    """An input or an output. `shape`: a number an axis, or the name of a size that is open until the network runs."""

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None

    def __str__(self) -> str:
        shape = "of any shape" if self.shape is None else f"({', '.join(str(size) for size in self.shape)})"
        return f"{self.dtype} {shape}"


@dataclass(frozen=True)
class Network:
    """The tables of one file, called `file` in messages, whose bytes are `content`. `known`: what the file says of
    values between.
    """

    file: str
    content: bytes = field(repr=False)
    opset: int
    operators: tuple[Operator, ...]
    constants: dict[str, np.ndarray]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    known: dict[str, Tensor]


def read(path: str | Path) -> Network:
    """The network in a file. Raises ModelError where it is missing, no ONNX file, truncated or inconsistent."""
    path = Path(path)
    with readable(path, "name an .onnx file, or a network of `workbench models`"):
        content = files.read(path, LARGEST_FILE)
    return network(content, printable(path.name), path.parent)


def network(content: bytes, file: str, folder: Path | None = None) -> Network:
    """The network in these bytes; `folder`: where data beside it lies."""
    try:
        _count_messages(content, file)
        model = onnx.ModelProto.FromString(content)
    except (_NoMessage, DecodeError):
        raise ModelError(f"{file} is truncated, damaged or no ONNX file", "get or export it again") from None
    return _Reader(file, content, folder).network(_inlined(model, file))


def _inlined(model: Any, file: str) -> Any:
    """The model with the bodies of its own functions in the place of their calls."""
    if not model.functions:
        return model
    bodies = {(each.domain, each.name, each.overload): each.node for each in model.functions}
    if len(bodies) > MOST_FUNCTIONS:
        raise ModelError(f"{file} has {len(bodies)} functions of its own; at most {MOST_FUNCTIONS} are read")
    counts: dict[Any, int] = {}

    def count(nodes: Any, within: tuple[Any, ...] = ()) -> int:
        """How many nodes they become."""
        found = 0
        for node in nodes:
            called = node.domain, node.op_type, node.overload
            if called in within:
                raise ModelError(f"{file}: its function {shown(_text(node.op_type))} calls itself")
            if called in bodies and called not in counts:
                counts[called] = count(bodies[called], (*within, called))
            found += counts.get(called, 1) + sum(count(each.g.node, within) for each in node.attribute)
        return found

    if count(model.graph.node) > MOST_NODES:
        raise ModelError(f"{file} has more than {MOST_NODES:,} operators in the place of its functions' calls")
    try:
        return onnx.inliner.inline_local_functions(model)
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"{file}: its own functions cannot be read: {printable(str(error))[:200]}") from None


class Constants:
    """What the constants of a file may still take, in bytes: those that it stores and those that are computed."""

    def __init__(self, file: str) -> None:
        self.file, self.room = file, MOST_STORED

    def take(self, size: int) -> None:
        self.room -= size
        if self.room < 0:
            raise ModelError(f"{self.file}: its constants take more than {size_text(MOST_STORED)}")


class _Reader:
    def __init__(self, file: str, content: bytes, folder: Path | None) -> None:
        self.file, self.content, self.folder = file, content, folder
        self.constants = Constants(file)
        self.beside: dict[str, bytes] = {}

    def network(self, model: Any) -> Network:
        opset, graph = self._opset(model), model.graph
        if not graph.node:
            raise ModelError(f"{self.file} holds no network: its graph has no operators")
        if graph.sparse_initializer:
            raise ModelError(f"{self.file} stores weights sparse, which is not supported")
        constants: dict[str, np.ndarray] = {}
        for tensor in graph.initializer:
            if _text(tensor.name) in constants:
                raise ModelError(f'{self.file} stores "{shown(_text(tensor.name))}" twice')
            constants[_text(tensor.name)] = self._array(f'"{shown(_text(tensor.name))}"', tensor)
        operators = tuple(self._operator(number, node) for number, node in enumerate(graph.node))
        inputs = tuple(self._tensor(each) for each in graph.input if _text(each.name) not in constants)
        outputs = tuple(self._tensor(each) for each in graph.output)
        known = {_text(each.name): self._tensor(each) for each in (*graph.value_info, *graph.output)}
        made = [*(each.name for each in inputs), *constants, *(name for op in operators for name in op.outputs if name)]
        if len(set(made)) < len(made):
            ((twice, _),) = Counter(made).most_common(1)
            raise ModelError(f'{self.file} gives two values the name "{shown(twice)}"')
        return Network(self.file, self.content, opset, operators, constants, inputs, outputs, known)

    def _opset(self, model: Any) -> int:
        newest = onnx.defs.onnx_opset_version()
        versions = [each.version for each in model.opset_import if each.domain in STANDARD]
        if not versions:
            raise ModelError(f"{self.file} is no ONNX file, or does not say by which version of ONNX it is written")
        if not OLDEST <= versions[0] <= newest:
            raise ModelError(f"{self.file} is written in opset {versions[0]}; {OLDEST} to {newest} are read",
                             "onnx.version_converter.convert_version(model, 17) converts it")  # fmt: skip
        return versions[0]

    def _operator(self, number: int, node: Any) -> Operator:
        domain, name = _text(node.domain), _text(node.op_type)
        name = name if domain in STANDARD else f"{domain}.{name}"
        what = f"operator {number} ({shown(name)})"
        options = {_text(each.name): self._option(what, each) for each in node.attribute}
        inputs, outputs = (tuple(map(_text, side)) for side in (node.input, node.output))
        return Operator(number, shown(name), _text(node.name), inputs, outputs, options)

    def _option(self, what: str, attribute: Any) -> Any:
        """A number, a text, an array or a list of them; None for a graph, which no operator that is read has."""
        kinds, what = onnx.AttributeProto, f'{what}, "{shown(_text(attribute.name))}"'
        if attribute.type == kinds.TENSOR:
            return self._array(what, attribute.t)
        if attribute.type in (kinds.FLOAT, kinds.INT):
            return attribute.f if attribute.type == kinds.FLOAT else attribute.i
        if attribute.type == kinds.STRING:
            return attribute.s.decode("utf-8", "replace")
        if attribute.type in (kinds.FLOATS, kinds.INTS):
            return tuple(attribute.floats if attribute.type == kinds.FLOATS else attribute.ints)
        if attribute.type == kinds.STRINGS:
            return tuple(each.decode("utf-8", "replace") for each in attribute.strings)
        return None

    def _tensor(self, info: Any) -> Tensor:
        kind = info.type.tensor_type
        if not info.type.HasField("tensor_type"):
            what = info.type.WhichOneof("value") or "of no type"
            return Tensor(_text(info.name), what.removesuffix("_type").replace("_", " "), None)
        if not kind.HasField("shape"):
            return Tensor(_text(info.name), self._dtype(kind.elem_type), None)
        sizes: list[int | str] = []
        for at, size in enumerate(kind.shape.dim):
            named = size.WhichOneof("value")
            open_size = _text(size.dim_param) if named == "dim_param" and size.dim_param else f"axis {at}"
            sizes.append(size.dim_value if named == "dim_value" and size.dim_value > 0 else shown(open_size))
        if len(sizes) > RANKS or prod(size for size in sizes if isinstance(size, int)) > LARGEST_TENSOR:
            raise ModelError(
                f'{self.file}: "{shown(_text(info.name))}" has the impossible shape {tuple(sizes[:RANKS])}'
            )
        return Tensor(_text(info.name), self._dtype(kind.elem_type), tuple(sizes))

    def _dtype(self, number: int) -> str:
        try:
            name = onnx.TensorProto.DataType.Name(number).lower()
        except ValueError:
            return f"number {number}"
        return {"float": FLOAT, "double": "float64"}.get(name, name)

    def _array(self, what: str, tensor: Any) -> np.ndarray:
        """A stored tensor; real numbers as float32."""
        what, shape = f"{self.file}: {what}", tuple(tensor.dims)
        if len(shape) > RANKS or any(size < 0 for size in shape) or prod(shape) > LARGEST_TENSOR:
            raise ModelError(f"{what} has the impossible shape {shape[:RANKS]}")
        dtype = self._dtype(tensor.data_type)
        if dtype not in STORED:
            raise ModelError(f"{what} is stored as {dtype}, which is not supported")
        outside = tensor.data_location == onnx.TensorProto.EXTERNAL
        content = self._outside(what, tensor) if outside else tensor.raw_data
        itemsize, count = np.dtype(dtype).itemsize, prod(shape)
        self.constants.take(count * itemsize)
        if outside or tensor.HasField("raw_data"):
            if len(content) != count * itemsize:
                raise ModelError(f"{what} is {dtype} {shape}, {count * itemsize} bytes; the file stores {len(content)}")
            values = np.frombuffer(content, np.dtype(dtype).newbyteorder("<"))
        else:
            values = self._listed(what, tensor, dtype, count)
        values = values.astype(np.float32 if np.dtype(dtype).kind == "f" else dtype).reshape(shape)
        values.setflags(write=False)
        return values

    def _listed(self, what: str, tensor: Any, dtype: str, count: int) -> np.ndarray:
        name = {"float32": "float_data", "float64": "double_data", "int64": "int64_data", "uint64": "uint64_data",
                "uint32": "uint64_data"}.get(dtype, "int32_data")  # fmt: skip
        listed = getattr(tensor, name)
        if len(listed) != count:
            raise ModelError(f"{what} is {dtype} {tuple(tensor.dims)}, {count} numbers; the file stores {len(listed)}")
        if dtype == "float16":
            return np.array(listed, np.int64).astype(np.uint16).view(np.float16)
        return np.array(listed, np.float64 if np.dtype(dtype).kind == "f" else None).astype(dtype)

    def _outside(self, what: str, tensor: Any) -> bytes:
        told = {_text(each.key): _text(each.value) for each in tensor.external_data}
        place = told.get("location", "")
        inside = Path(place)
        if (
            not place
            or inside.is_absolute()
            or ".." in inside.parts
            or "\\" in place
            or "\0" in place
            or not self.folder
        ):
            raise ModelError(f"{what} lies in {shown(place)!r}, outside of the file's folder, which is not read")
        try:
            if not (self.folder / inside).resolve().is_relative_to(self.folder.resolve()):
                raise ModelError(f"{what} lies in {shown(place)!r}, outside of the file's folder, which is not read")
            if place not in self.beside:
                self.beside[place] = files.read(self.folder / inside, LARGEST_FILE)
        except FileNotFoundError:
            raise ModelError(
                f"{what} lies in {shown(place)}, which is missing", "keep it beside the .onnx file"
            ) from None
        except OSError as error:
            raise ModelError(
                f"{what} lies in {shown(place)}, which cannot be read: {error.strerror or error}"
            ) from None
        content, numbers = self.beside[place], [told.get("offset", "0"), told.get("length", "")]
        if any(each and not (each.isascii() and each.isdecimal() and len(each) < 20) for each in numbers):
            raise ModelError(f"{what} lies at {shown(str(numbers))} of {shown(place)}, which makes no sense")
        begin = int(numbers[0] or 0)
        end = begin + int(numbers[1]) if numbers[1] else len(content)
        if not begin <= end <= len(content):
            raise ModelError(f"{what} lies at [{begin}, {end}) of {shown(place)}, which has {len(content)} bytes")
        return content[begin:end]


STORED = (
    "float32",
    "float64",
    "float16",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
)


def _text(name: str | bytes) -> str:
    """A name of the file; protocol buffers give what is no UTF-8 as bytes."""
    return name if isinstance(name, str) else name.decode("utf-8", "replace")


def shown(name: str) -> str:
    """A name of the file as one can print it."""
    name = name if len(name) <= SHOWN else name[:SHOWN] + "…"
    return "".join(c if c.isprintable() and c != '"' else "?" for c in name)


class _NoMessage(Exception):  # noqa: N818  what the bytes are not
    pass


def _count_messages(content: bytes, file: str) -> None:
    """Raise ModelError where the file has more parts than a network has: parsed, each takes a hundred bytes."""
    fields = structure = nodes = 0
    todo = [("model", 0, len(content))]
    while todo:
        kind, begin, end = todo.pop()
        for number, first, last in _fields(content, begin, end):
            inner = INSIDE[kind].get(number)
            fields += 1
            nodes += inner == "node"
            structure += 0 if inner or number in DATA.get(kind, ()) else last - first
            if nodes > MOST_NODES or fields > MOST_FIELDS:
                raise ModelError(f"{file} has more operators or tensors than a network for a microcontroller; at most "
                                 f"{MOST_NODES:,} operators are read")  # fmt: skip
            if inner:
                todo.append((inner, first, last))
    if structure > MOST_STRUCTURE:
        raise ModelError(f"{file} describes its network in {size_text(structure)} without its tensors; at most "
                         f"{size_text(MOST_STRUCTURE)} are read")  # fmt: skip


def _fields(content: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(number, begin, end) of each field of a message; what is no length-delimited one is empty."""
    while at < end:
        key, at = _varint(content, at, end)
        number, kind = key >> 3, key & 7
        if kind == LENGTH:
            size, at = _varint(content, at, end)
            if size > end - at:
                raise _NoMessage
            yield number, at, at + size
            at += size
            continue
        yield number, at, at
        if kind == VARINT:
            _, at = _varint(content, at, end)
        elif kind in (FIXED64, FIXED32):
            at += 8 if kind == FIXED64 else 4
        else:
            raise _NoMessage
    if at > end:
        raise _NoMessage


def _varint(content: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= end or shift > 63:
            raise _NoMessage
        byte = content[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
