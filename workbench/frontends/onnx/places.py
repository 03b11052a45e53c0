"""Where the bytes of an .onnx file hold its tensors, so that trained ones can be written into them.

The file is a protocol buffer: fields, each a key (number · 8 + kind) and a value; kind 2 has a length before it, and
may be fields again (https://protobuf.dev/programming-guides/encoding, onnx/onnx.proto).

    ModelProto 7 graph ─► GraphProto 5 initializer ─► TensorProto 1 dims, 2 data_type, 8 name, 4 float_data, 9 raw_data
                                     1 node, Constant ─► 2 output, 5 attribute ─► 5 t ─► TensorProto
"""

from collections.abc import Collection, Iterator
from math import prod

from workbench.frontends.origin import Place

VARINT, WIDE, BYTES, NARROW = 0, 1, 2, 5
DTYPES = {1: "float32", 3: "int8", 6: "int32", 10: "float16", 11: "float64"}
SIZES = {"float32": 4, "int8": 1, "int32": 4, "float16": 2, "float64": 8}
EXTERNAL = 1
Span = tuple[int, int]


def places(content: bytes, wanted: Collection[str]) -> dict[str, Place | str]:
    """Where the tensors of these names lie, or why they cannot be written. Raises IndexError for a file cut short."""
    found = {name: _place(content, span) for name, span in _tensors(content) if name in wanted}
    return {name: found.get(name, "the file stores no tensor of its own for it") for name in wanted}


def _tensors(content: bytes) -> Iterator[tuple[str, Span]]:
    for graph in _spans(content, (0, len(content)), 7):
        for span in _spans(content, graph, 5):
            yield _text(content, span, 8), span
        for node in _spans(content, graph, 1):
            if _text(content, node, 4) == "Constant":
                for attribute in _spans(content, node, 5):
                    for span in _spans(content, attribute, 5):
                        yield _text(content, node, 2), span


def _place(content: bytes, span: Span) -> Place | str:
    shape: list[int] = []
    kind, outside, data = 0, 0, (0, 0)
    for number, how, value, (begin, end) in _fields(content, span):
        if number == 1 and how == VARINT:
            shape.append(value)
        elif number == 1:
            while begin < end:
                size, begin = _varint(content, begin, end)
                shape.append(size)
        elif number == 2 and how == VARINT:
            kind = value
        elif number == 14 and how == VARINT:
            outside = value
        elif number in (4, 9) and how == BYTES:
            data = (begin, end)
    dtype = DTYPES.get(kind)
    if outside == EXTERNAL:
        return "it lies in a file beside this one, which is not written"
    if dtype is None or data[1] - data[0] != prod(shape) * SIZES[dtype]:
        return "it is stored in a form that is not written"
    return Place(data[0], dtype, tuple(shape))


def _spans(content: bytes, span: Span, wanted: int) -> Iterator[Span]:
    for number, how, _, value in _fields(content, span):
        if number == wanted and how == BYTES:
            yield value


def _text(content: bytes, span: Span, wanted: int) -> str:
    for begin, end in _spans(content, span, wanted):
        return content[begin:end].decode("utf-8", "replace")
    return ""


def _fields(content: bytes, span: Span) -> Iterator[tuple[int, int, int, Span]]:
    """Number and kind of each field, its value where it is one number, and where it is. Raises IndexError beyond."""
    at, end = span
    while at < end:
        key, at = _varint(content, at, end)
        number, how = key >> 3, key & 7
        if how == VARINT:
            value, after = _varint(content, at, end)
            yield number, how, value, (at, after)
            at = after
            continue
        if how == BYTES:
            size, at = _varint(content, at, end)
        elif how in (WIDE, NARROW):
            size = 8 if how == WIDE else 4
        else:
            raise IndexError
        if at + size > end:
            raise IndexError
        yield number, how, 0, (at, at + size)
        at += size


def _varint(content: bytes, at: int, end: int) -> tuple[int, int]:
    """A number of 7 bits a byte, lowest first, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = content[at]
        value, at = value | (byte & 127) << shift, at + 1
        if byte < 128:
            return value, at
    raise IndexError
