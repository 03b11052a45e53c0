"""Read a .tflite file into plain tables, believing nothing it says: offsets, lengths, types and indices are checked.

The format is the flatbuffer schema of TensorFlow Lite (tensorflow/compiler/mlir/lite/schema/schema.fbs), which the
package `tflite` reads. Only the first subgraph is read: the network. What the tables mean is said in operators.py.
"""

import struct
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from math import prod
from pathlib import Path

import numpy as np

from workbench import files
from workbench.errors import ModelError, readable
from workbench.frontends.model import LARGEST_TENSOR
from workbench.plain import printable
from workbench.units import size as size_text

LARGEST_FILE = 64 * files.MB
MOST_STORED = 4 * LARGEST_FILE  # bytes of all tensors: each may name the same buffer
MOST_ENTRIES = 4096  # tensors, operators, buffers of a file: far beyond any network for a microcontroller
RANKS = 8
SHOWN = 60  # letters of a name, in messages
BROKEN = (struct.error, IndexError, ValueError, TypeError, AttributeError, OverflowError, AssertionError, MemoryError)
NUMPY = {"FLOAT32": np.float32, "FLOAT16": np.float16, "INT8": np.int8, "INT32": np.int32, "INT64": np.int64,
         "BOOL": np.bool_, "UINT8": np.uint8, "INT16": np.int16}  # fmt: skip

WINDOW = {"Padding": "padding", "StrideH": "stride_h", "StrideW": "stride_w"}
DATA, SCALE = 4, 8  # slots of Buffer.data and QuantizationParameters.scale: 4 + 2 · the field's number
DILATION = {"DilationHFactor": "dilation_h", "DilationWFactor": "dilation_w"}
ACTIVATION = {"FusedActivationFunction": "activation"}
POOL = ("Pool2DOptions", WINDOW | ACTIVATION | {"FilterHeight": "height", "FilterWidth": "width"})
OPTIONS = {  # operator -> its table of options, and what is read of it
    "CONV_2D": ("Conv2DOptions", WINDOW | DILATION | ACTIVATION),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", WINDOW | DILATION | ACTIVATION),
    "FULLY_CONNECTED": ("FullyConnectedOptions", ACTIVATION | {"WeightsFormat": "format"}),
    "AVERAGE_POOL_2D": POOL, "MAX_POOL_2D": POOL, "ADD": ("AddOptions", ACTIVATION),
    "MUL": ("MulOptions", ACTIVATION), "SUB": ("SubOptions", ACTIVATION),
    "LEAKY_RELU": ("LeakyReluOptions", {"Alpha": "alpha"}),
    "SOFTMAX": ("SoftmaxOptions", {"Beta": "beta"}), "MEAN": ("ReducerOptions", {}),
    "CONCATENATION": ("ConcatenationOptions", ACTIVATION | {"Axis": "axis"}),
    "STRIDED_SLICE": ("StridedSliceOptions", {
        "BeginMask": "begin_mask", "EndMask": "end_mask", "EllipsisMask": "ellipsis_mask",
        "NewAxisMask": "new_axis_mask", "ShrinkAxisMask": "shrink_axis_mask"}),
    "RESIZE_NEAREST_NEIGHBOR": ("ResizeNearestNeighborOptions", {
        "AlignCorners": "align_corners", "HalfPixelCenters": "half_pixel_centers"}),
    "TRANSPOSE_CONV": ("TransposeConvOptions", WINDOW | ACTIVATION),
    "UNPACK": ("UnpackOptions", {"Axis": "axis"}),
}  # fmt: skip


@dataclass(frozen=True)
class Tensor:
    """`data`: what the file stores for it, None where an operator makes it. `scales`: float32, several along `axis`.
    `at`: the byte of the file where the data begins, `scales_at` where the scales do; -1: nowhere.

    `signature`: the shape with -1 for sizes that are open until the network runs; () where none is.
    """

    number: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: np.ndarray
    zero_points: np.ndarray
    axis: int
    data: np.ndarray | None = None
    signature: tuple[int, ...] = ()
    at: int = -1
    scales_at: int = -1

    def __str__(self) -> str:
        """INT8 (1, 32, 32, 3), for people."""
        return f"{self.dtype} {self.signature or self.shape}"


@dataclass(frozen=True)
class Operator:
    """`inputs`: numbers of tensors, -1 where one is left out. `options`: as in OPTIONS, if the file has any."""

    number: int
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Network:
    """The tables of one file, called `file` in messages; `digest`: SHA-256 of its bytes."""

    file: str
    digest: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def where(self, op: Operator) -> str:
        """operator 17 (LSTM, "rnn/cell")."""
        name = self.node(op)
        result = f', "{name}"' if name else ""
        return f"{self.file}: operator {op.number} ({op.name}{result})"

    def node(self, op: Operator) -> str:
        """What an operator is called: the name of its first result."""
        return short(self.tensors[op.outputs[0]].name) if op.outputs else ""


def read(path: str | Path) -> Network:
    """The network in a file. Raises ModelError where it is missing, no TFLite file, truncated or inconsistent."""
    path = Path(path)
    with readable(path, "name a .tflite file, or a network of `workbench models`"):
        content = files.read(path, LARGEST_FILE)
    if content[4:8] != b"TFL3":
        raise ModelError(f"{path.name} is no TFLite file", "a .tflite file has TFL3 at its fifth byte")
    try:
        return _Reader(printable(path.name), content).network()
    except BROKEN:
        raise ModelError(f"{path.name} is truncated or damaged", "get or convert it again") from None


class _Reader:
    def __init__(self, file: str, content: bytes):
        import tflite

        self.file, self.schema, self.digest = file, tflite, sha256(content).hexdigest()
        self.model = tflite.Model.GetRootAsModel(content, 0)
        self.room = MOST_STORED
        self.tensor_types, self.builtins, self.option_types = _names()

    def network(self) -> Network:
        graphs = self._count(self.model, "Subgraphs")
        if not graphs:
            raise ModelError(f"{self.file} holds no network")
        graph = self.model.Subgraphs(0)
        self.buffers = self._count(self.model, "Buffers")
        codes = [self._code(self.model.OperatorCodes(i)) for i in range(self._count(self.model, "OperatorCodes"))]
        tensors = tuple(self._tensor(i, graph.Tensors(i)) for i in range(self._count(graph, "Tensors")))
        count = len(tensors)
        operators = tuple(
            self._operator(i, graph.Operators(i), codes, count) for i in range(self._count(graph, "Operators"))
        )
        inputs, outputs = (self._numbers(graph, side, count, least=0) for side in ("Inputs", "Outputs"))
        return Network(self.file, self.digest, tensors, operators, inputs, outputs)

    def _code(self, code) -> str:
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())  # the older field ends at 127
        name = self.builtins.get(number, f"number {number}")
        return f"CUSTOM {_text(code.CustomCode())}".strip() if name == "CUSTOM" else name

    def _tensor(self, number: int, tensor) -> Tensor:
        name = _text(tensor.Name()) or f"tensor {number}"
        what = f'{self.file}: tensor {number} ("{short(name)}")'
        shape = self._shape(what, tensor)
        dtype = self.tensor_types.get(tensor.Type(), f"number {tensor.Type()}")
        scales, zeros, axis, scales_at = np.zeros(0, np.float32), np.zeros(0, np.int64), 0, -1
        quantization = tensor.Quantization()
        if quantization is not None and quantization.ScaleLength():
            scales = np.array(quantization.ScaleAsNumpy(), np.float32).reshape(-1)
            zeros = np.array(quantization.ZeroPointAsNumpy() if quantization.ZeroPointLength() else [0], np.int64)
            zeros = np.resize(zeros, len(scales)) if len(zeros) == 1 else zeros
            axis, scales_at = quantization.QuantizedDimension(), _vector(quantization, SCALE)
            if len(zeros) != len(scales) or not (np.isfinite(scales).all() and (scales >= 0).all()):
                raise ModelError(f"{what} has scales that are not positive numbers, or a zero point too few")
        if tensor.Sparsity() is not None:
            raise ModelError(f"{what} is stored sparse, which is not supported")
        data = self._data(what, tensor.Buffer(), shape, dtype)
        at = -1 if data is None else _vector(self.model.Buffers(tensor.Buffer()), DATA)
        signature = self._signature(tensor, shape)
        return Tensor(number, name, shape, dtype, scales, zeros, axis, data, signature, at, scales_at)

    def _shape(self, what: str, tensor) -> tuple[int, ...]:
        rank = self._count(tensor, "Shape")
        shape = tuple(int(size) for size in tensor.ShapeAsNumpy()) if rank else ()
        if rank > RANKS or any(size < 0 for size in shape) or prod(shape) > LARGEST_TENSOR:
            raise ModelError(f"{what} has the impossible shape {shape[:RANKS]}")
        return shape

    def _signature(self, tensor, shape: tuple[int, ...]) -> tuple[int, ...]:
        rank = self._count(tensor, "ShapeSignature")
        sizes = tuple(int(size) for size in tensor.ShapeSignatureAsNumpy()) if rank else ()
        return sizes if len(sizes) == len(shape) and -1 in sizes[1:] else ()  # an open batch is usual

    def _data(self, what: str, index: int, shape, dtype: str) -> np.ndarray | None:
        if not 0 <= index < self.buffers:
            raise ModelError(f"{what} is in buffer {index}; there are {self.buffers}")
        buffer = self.model.Buffers(index)
        if buffer.Offset() > 1:
            raise ModelError(f"{what} lies outside of the flatbuffer, which is not supported")
        if not buffer.DataLength() or dtype not in NUMPY:
            return None
        stored, size = buffer.DataAsNumpy(), prod(shape) * np.dtype(NUMPY[dtype]).itemsize
        if len(stored) != size:
            raise ModelError(f"{what} is {dtype} {shape}, {size} bytes; the file stores {len(stored)}")
        self.room -= size
        if self.room < 0:
            raise ModelError(f"{self.file} is damaged: its tensors claim more than {size_text(MOST_STORED)}")
        values = np.frombuffer(stored.tobytes(), NUMPY[dtype]).reshape(shape)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ModelError(f"{what} holds values that are no finite numbers")
        return values

    def _operator(self, number: int, op, codes: list[str], tensors: int) -> Operator:
        if not 0 <= op.OpcodeIndex() < len(codes):
            raise ModelError(f"{self.file}: operator {number} has code {op.OpcodeIndex()}; there are {len(codes)}")
        name = codes[op.OpcodeIndex()]
        inputs = self._numbers(op, "Inputs", tensors, least=-1)
        return Operator(number, name, inputs, self._numbers(op, "Outputs", tensors, least=0), self._options(name, op))

    def _options(self, name: str, op) -> dict:
        table, fields = OPTIONS.get(name, ("", {}))
        stored = op.BuiltinOptions()
        if not table or stored is None or self.option_types.get(op.BuiltinOptionsType()) != table:
            return {}
        options = getattr(self.schema, table)()
        options.Init(stored.Bytes, stored.Pos)
        return {key: getattr(options, getter)() for getter, key in fields.items()}

    def _numbers(self, table, side: str, tensors: int, least: int) -> tuple[int, ...]:
        count = self._count(table, side)
        numbers = tuple(int(i) for i in getattr(table, f"{side}AsNumpy")()) if count else ()
        if any(not least <= number < tensors for number in numbers):
            raise ModelError(f"{self.file} names tensors that it does not have: {side.lower()} {list(numbers[:9])}")
        return numbers

    def _count(self, table, vector: str) -> int:
        count = getattr(table, f"{vector}Length")()
        if not 0 <= count <= MOST_ENTRIES:
            raise ModelError(f"{self.file} is damaged: it claims to hold {count} {vector.lower()}")
        return count


def _vector(table, slot: int) -> int:
    """The byte of the file where a vector of a table begins."""
    return int(table._tab.Vector(table._tab.Offset(slot)))


def _text(name: bytes | None) -> str:
    """A name of the file as one can print it."""
    text = (name or b"")[:300].decode("utf-8", "replace")
    return "".join(c if c.isprintable() and c != '"' else "?" for c in text)


def short(name: str) -> str:
    return name if len(name) <= SHOWN else name[:SHOWN] + "…"


@cache
def _names() -> tuple[dict[int, str], dict[int, str], dict[int, str]]:
    """What the schema's numbers of tensor types, operators and tables of options are called."""
    import tflite

    enums = (tflite.TensorType, tflite.BuiltinOperator, tflite.BuiltinOptions)
    types, operators, options = (
        {number: name for name, number in vars(enum).items() if isinstance(number, int)} for enum in enums
    )
    return types, operators, options
