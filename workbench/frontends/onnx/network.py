"""A file's operators, one after the other; each obstacle is kept, and what comes behind it is checked all the same.

stored real numbers                     a Weight, called as in the file where the graph can call it so
what depends on constants alone         its value
what an obstacle would have made        what the file says of it; where it says nothing, its readers are passed over
"""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from workbench.errors import GraphError, ModelError, ShapeError
from workbench.frontends.emitter import Emitter, Operand, shape_of
from workbench.frontends.obstacles import Obstacle
from workbench.frontends.onnx.constants import FOLDED, computed
from workbench.frontends.onnx.file import FLOAT, Constants, Network, Operator, Tensor, shown
from workbench.frontends.onnx.operators import ENDS, KEEP, OPERATORS
from workbench.frontends.onnx.patterns import fused
from workbench.frontends.onnx.quantized import (
    DQ,
    UNCHANGED,
    Group,
    Q,
    Stored,
    clipped,
    converted,
    quantization,
    requantized,
    stored,
)
from workbench.frontends.onnx.shared import Call, array_of, axis_of, scalar_of
from workbench.frontends.weight import Weight
from workbench.ir.build import Value
from workbench.ir.types import Ints
from workbench.ir.verify import NAME_LENGTH
from workbench.policy import RESERVED
from workbench.quantize import emit
from workbench.quantize.quantization import Quantization

CONTROL, SEQUENCE = "control flow", "an operator on sequences"
KNOWN = {  # what operators are that the table does not have
    **dict.fromkeys(("If", "Loop", "Scan"), CONTROL),
    **dict.fromkeys(("SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert",
                     "SequenceLength", "SequenceMap", "SplitToSequence", "ConcatFromSequence", "Optional",
                     "OptionalGetElement", "OptionalHasElement"), SEQUENCE),
}  # fmt: skip
INPUTS = (FLOAT, "int32", "int64")
INT8 = ("int8", "uint8")
MOST_MADE = 20_000  # nodes: a sequence of steps becomes as many copies
ERRORS = (ModelError, ShapeError, GraphError)
BAD_ARGUMENTS = (TypeError, ValueError, IndexError, KeyError, OverflowError, MemoryError, ArithmeticError)
SHAPES = ("Shape", "Size")  # they read no numbers


class Unknown(ModelError):  # noqa: N818  no mistake of the operator that reads it
    """An operand comes of an obstacle that has been told, and nothing can stand for it."""


class Reading:
    """The network as far as it is read. `batch`: the size of the input's first axis (None: as the file says, or 1);
    `shape`: of those behind it, where the file leaves them open."""

    def __init__(self, network: Network, batch: int | None = None, shape: Sequence[int] | None = None) -> None:
        whole, network = network, fused(network)
        kept = {(op.number, op.inputs) for op in network.operators}
        self.fused = {name for op in whole.operators if (op.number, op.inputs) not in kept for name in op.inputs}
        self.network, self.batch, self.shape = network, batch, shape
        self.emit = Emitter()
        self.batches = (1, 1)
        self.as_told = shape is None  # the shapes are those that the file tells
        self.values: dict[str, Operand] = {}
        self.unknown: set[str] = set()
        self.obstacles: list[Obstacle] = []
        self.notes: list[str] = []
        self.logits: tuple[Value, int] | None = None
        self.room = Constants(network.file)
        self.labels: Counter[str] = Counter()
        self.names: set[str] = set()  # of parameters
        self.tensors: dict[str, str] = {}  # parameter -> the tensor of the file that it was made of, see Emitter.steps
        self.names_of_arrays: dict[int, str] = {}
        self.products: set[str] = set()
        self.merged: set[str] = set()
        self.fixed: set[str] = set()  # weights whose numbers are in the graph beside, or in the place of, the parameter
        self.reads = Counter(name for op in network.operators for name in op.inputs if name)
        self.reads.update(each.name for each in network.outputs)
        self.readers = {name: op for op in network.operators for name in op.inputs if name}  # the last one of each
        self.int8: dict[str, Value] = {}  # what is real in the file, and int8 before
        self.stored: dict[str, Stored] = {}  # real constants that the file has as integers
        self.plain: dict[str, str] = {}  # the name of a stored one -> that of the parameter
        self.done: set[int] = set()  # operators that went into one before them
        self.makers = {name: op for op in network.operators for name in op.outputs if name}

    def read(self) -> "Reading":
        for op in self.network.operators:
            if op.name == "Constant":
                self._append(op)
                self.done.add(op.number)
        self._declare()
        for op in self.network.operators:
            if op.number not in self.done:
                self._append(op)
            if len(self.emit.build.nodes) > MOST_MADE:
                raise ModelError(f"{self.network.file} would be more than {MOST_MADE:,} operators; up to operator "
                                 f"{op.number} it is that many")  # fmt: skip
        return self

    @property
    def batch_told(self) -> int:
        """How many samples it reads at once."""
        return self.emit.build.types[self.emit.build.inputs[0]].shape[0]

    def outputs(self) -> list[Operand | None]:
        """What the file's outputs are; None for what comes of an obstacle."""
        return [self.values.get(each.name) for each in self.network.outputs]

    # What there is at the beginning

    def _declare(self) -> None:
        for name, array in self.network.constants.items():
            self.names_of_arrays[id(array)] = name
            if array.dtype != np.float32:
                self.values[name] = array
                continue
            weight = self.values[name] = Weight(_plain(name, self.names), array)
            self.tensors[weight.name] = name
            if self.reads[name] > 1 and array.size and (array == array.flat[0]).all():
                self.merged.add(weight.name)
        for number, each in enumerate(self.network.inputs):
            try:
                self.values[each.name] = self._input(each, f"input{number}")
            except ModelError as error:
                self.obstacles.append(Obstacle(error.message, error.hint))
                self.unknown.add(each.name)

    def _input(self, tensor: Tensor, name: str) -> Value:
        what = f': the input, "{shown(tensor.name)}",'
        reader = self.readers.get(tensor.name)
        if tensor.dtype in INT8 and reader is not None and reader.name == DQ:
            kind = self._quantization(reader, np.dtype(tensor.dtype))
            return self.emit.build.input(
                name, self._sizes(tensor), "int8", scale=kind.scale, zero_point=kind.zero_point
            )
        if tensor.dtype not in INPUTS:
            raise ModelError(f"{what} is {tensor.dtype}; float32, int8 before a {DQ}, and int32 and int64 for indices, "
                             "are supported")  # fmt: skip
        return self.emit.build.input(name, self._sizes(tensor))

    def _sizes(self, tensor: Tensor) -> Ints:
        what = f': the input, "{shown(tensor.name)}",'
        if tensor.shape is None or not tensor.shape:
            raise ModelError(f"{what} has no shape; it needs a batch axis and one more")
        first, *rest = tensor.shape
        sizes = list(self.shape) if self.shape is not None else rest
        if len(sizes) != len(rest) or any(isinstance(a, int) and a != b for a, b in zip(rest, sizes, strict=True)):
            raise ModelError(f"{what} is {tensor}; a shape of {tuple(sizes)} behind the batch does not fit it")
        open_sizes = [size for size in sizes if isinstance(size, str)]
        if open_sizes:
            names = ", ".join(open_sizes)
            raise ModelError(f"{what} has sizes that are open until it runs: {names}, in {tensor}",
                             "--shape names the sizes behind the batch, as in --shape 3x224x224")  # fmt: skip
        told = 1 if isinstance(first, str) else first
        batch = self.batch or told
        self.batches = (batch if isinstance(first, str) else told, batch)
        self.as_told = self.as_told and self.batch in (None, told)
        return (batch, *(int(size) for size in sizes))

    # One operator

    def _append(self, op: Operator) -> None:
        count = len(self.emit.build.nodes)
        try:
            results = self._results(op)
        except ERRORS as error:
            self._stand_in(op)
            if not isinstance(error, Unknown):
                self._obstacle(op, error)
            return
        except BAD_ARGUMENTS as error:
            self._stand_in(op)
            self._obstacle(op, ModelError(f"is not supported with these operands or attributes ({error})"))
            return
        for name, result in zip(op.outputs, results, strict=False):
            if name:
                self.values[name] = result
            if op.name == "Constant":
                self.names_of_arrays[id(result)] = name
        if op.name not in SHAPES:
            read = {name for node in self.emit.build.nodes[count:] for name in node.operands}
            read |= {each.name for each in results if isinstance(each, Weight)}
            weights = {each.name for each in map(self.values.get, op.inputs) if isinstance(each, Weight)}
            self.fixed |= weights - read

    def _results(self, op: Operator) -> Sequence[Operand]:
        if op.name not in OPERATORS and op.name not in FOLDED:
            kind = KNOWN.get(op.name)
            raise ModelError(f"is {f'{kind}, which is ' if kind else ''}not supported",
                             "`workbench ops --frontend onnx` lists what is")  # fmt: skip
        if not op.outputs:
            raise ModelError("makes nothing")
        operands = [self._operand(name) if name else None for name in op.inputs]
        constant = [each for each in operands if not isinstance(each, Value)]
        label, count = self._label(op), len(self.emit.build.nodes)
        call = Call(self.emit, label, self.network.opset, op.options, len(op.outputs), self.room, self.names)
        call.batches, call.stored, call.tensors = self.batches, self.names_of_arrays, self.tensors
        call.products, call.merged = self.products, self.merged
        call.used = [bool(name) and self.reads[name] > 0 for name in op.outputs]
        if op.name in (Q, DQ):
            return [self._quantized(op, call, operands) if op.name == Q else self._dequantized(op, call, operands)]
        if any(name in self.int8 for name in op.inputs) and self._grouped(op, call, operands):
            return ()
        if op.name in UNCHANGED and op.inputs and op.inputs[0] in self.int8:
            made = OPERATORS[op.name].convert(call, self.int8[op.inputs[0]], *operands[1:])
            made = made[0] if isinstance(made, list) else made
            self.int8[op.outputs[0]] = made
            return [emit.dequantized(self.emit.build, made, label=f"{label}.real")]
        if len(constant) == len(operands):
            if op.name in FOLDED:
                return computed(op, operands, self.room)
            if op.name not in KEEP:
                operands = [each.array if isinstance(each, Weight) else each for each in operands]
        if op.name not in OPERATORS:
            raise ModelError("is not supported of what depends on the input; of constants it is computed")
        if self._ends(op, operands):
            x = operands[0]
            assert isinstance(x, Value)
            self.logits = x, count
        made = OPERATORS[op.name].convert(call, *operands)
        results = list(made) if isinstance(made, tuple | list) else [made]
        if len(results) < len(op.outputs) and any(call.used[len(results) :]):
            raise ModelError(f"is not supported with {len(op.outputs)} results")
        for name, result in zip(op.outputs, results, strict=False):
            self._check(name, result)
            if isinstance(result, np.ndarray) and op.name not in KEEP:
                self.room.take(result.nbytes)
        return results

    # int8

    def _constant(self, name: str) -> np.ndarray | None:
        """The numbers of a constant; None for what depends on the input or is not known yet."""
        value = self.values.get(name)
        return None if value is None or isinstance(value, Value) else array_of(value, "constants")

    def _quantization(self, op: Operator, dtype: np.dtype | None = None) -> Quantization:
        """That of an activation at a Q or DQ."""
        scale, zero = (
            self._constant(op.inputs[at]) if len(op.inputs) > at and op.inputs[at] else None for at in (1, 2)
        )
        if op.options.get("block_size") or (zero is None and op.options.get("output_dtype") not in (None, 0, 2, 3)):
            raise ModelError("is supported to int8 and uint8 with one scale")
        told = np.dtype(np.int8 if op.options.get("output_dtype") == 3 else np.uint8)
        return quantization(scale, zero, dtype or (told if zero is None else zero.dtype))

    def _quantized(self, op: Operator, call: Call, operands: Sequence[Operand | None]) -> Value:
        y, x = self._quantization(op), operands[0]
        if op.inputs[0] in self.int8:
            return requantized(self.emit, self.int8[op.inputs[0]], y, call.label)
        if not isinstance(x, Value):
            raise ModelError("is not supported of constants")
        return emit.quantized(self.emit.build, x, y, label=call.label)

    def _dequantized(self, op: Operator, call: Call, operands: Sequence[Operand | None]) -> Operand:
        x = operands[0]
        if isinstance(x, Value):
            if x.type.dtype != "int8":
                raise ModelError(f"reads {x.type}, which is not int8")
            kind = self._quantization(op, np.dtype(np.int8) if len(op.inputs) < 3 else None)
            if kind != Quantization.of(x.type):
                raise ModelError(f"reads int8 of scale {x.type.scale:g} and zero point {x.type.zero_point} as of "
                                 f"{kind.scale:g} and {kind.zero_point}")  # fmt: skip
            self.int8[op.outputs[0]] = x
            return emit.dequantized(self.emit.build, x, label=call.label)
        if op.options.get("block_size"):
            raise ModelError("is not supported with a scale a block")
        name = self.plain.get(op.inputs[0]) or _plain(op.inputs[0], self.names)
        self.plain[op.inputs[0]] = name
        arrays = [None if each is None else array_of(each, "constants") for each in operands]
        constant = self.stored[op.outputs[0]] = stored(name, arrays, call.whole("axis", 1))
        self.tensors |= {name: op.inputs[0], f"{name}_scale": op.inputs[1]}
        return Weight(name, constant.real())

    def _grouped(self, op: Operator, call: Call, operands: Sequence[Operand | None]) -> bool:
        """Whether it is int8 between int8 values: then the end of its group, a Q, has its result."""
        low, high = self._limits(op) or (-np.inf, np.inf)
        after, parts = self._reader(op), []
        if after is not None and (limits := self._limits(after)):
            low, high = max(low, limits[0]), min(high, limits[1])
            parts, after = [after], self._reader(after)
        if after is None or after.name != Q or not op.inputs:
            return False
        ours: list = []
        for name, operand in zip(op.inputs, operands, strict=True):
            each = self.int8.get(name) or self.stored.get(name) or operand
            if isinstance(each, Value) and each.type.dtype != "int8":
                return False
            ours.append(each.array if isinstance(each, Weight) else each)
        y = self._quantization(after)
        made = converted(Group(op, call, tuple(ours), y, clipped(y, low, high)))
        if made is None:
            return False
        self._check(after.outputs[0], made)
        self.values[after.outputs[0]] = made
        self.done |= {each.number for each in (*parts, after)}
        return True

    def _reader(self, op: Operator) -> Operator | None:
        """The only reader of its result."""
        return self.readers.get(op.outputs[0]) if self.reads[op.outputs[0]] == 1 else None

    def _limits(self, op: Operator) -> tuple[float, float] | None:
        """What a Relu or Clip lets through."""
        if op.name == "Relu":
            return 0.0, np.inf
        if op.name != "Clip":
            return None
        limits = [self._constant(name) if name else np.array(default)
                  for name, default in zip([*op.inputs[1:], "", ""][:2], (-np.inf, np.inf), strict=True)]  # fmt: skip
        if any(each is None for each in limits):
            return None
        low, high = (scalar_of(each, "limits", 0.0) for each in limits)
        return min(low, high), high

    def _operand(self, name: str) -> Operand:
        if name in self.values:
            return self.values[name]
        if name in self.unknown:
            raise Unknown("reads what is not known")
        if name in self.makers:
            number = self.makers[name].number
            raise ModelError(f'reads "{shown(name)}", which operator {number} makes only later',
                             "operators stand in the order in which they run; a cycle has none")  # fmt: skip
        raise ModelError(f'reads "{shown(name)}", which nothing makes')

    def _check(self, name: str, result: Operand) -> None:
        told = self.network.known.get(name)
        if told is None or told.shape is None or not isinstance(result, Value) or not self.as_told:
            return
        sizes = [actual for actual, size in zip(result.shape, told.shape, strict=False) if isinstance(size, int)]
        if len(told.shape) != result.rank or sizes != [size for size in told.shape if isinstance(size, int)]:
            raise ModelError(f"makes {tuple(result.shape)}; the file says {told}")

    def _stand_in(self, op: Operator) -> None:
        """An argument for what the operator would have made, so that its readers are checked."""
        for name in op.outputs:
            told = self.network.known.get(name)
            if not name or name in self.values:
                continue
            sizes = told.shape if told is not None and told.dtype == FLOAT else None
            if not sizes or any(isinstance(size, str) for size in sizes[1:]):
                self.unknown.add(name)
                continue
            first, *rest = sizes
            shape = (self.batch or (1 if isinstance(first, str) else first), *(int(size) for size in rest))
            self.values[name] = self.emit.build.input(f"unknown{len(self.emit.build.inputs)}", shape)

    def _obstacle(self, op: Operator, error: ModelError | ShapeError | GraphError) -> None:
        told = error.message
        reason = f" {told}" if told.startswith(("is ", "reads ", "makes ", "has ")) else f": {told}"
        kinds = [[self._kind(name) for name in side if name] for side in (op.inputs, op.outputs)]
        self.obstacles.append(Obstacle(reason, error.hint, op.name, op.number, _named(op), *map(tuple, kinds)))

    def _kind(self, name: str) -> str:
        """float32 (1, 8), for people."""
        value, told = self.values.get(name), self.network.known.get(name)
        if value is None:
            return str(told or "unknown")
        dtype = value.type.dtype if isinstance(value, Value) else value.array.dtype if isinstance(value, Weight) else (
            np.asarray(value).dtype)  # fmt: skip
        return f"{dtype} {shape_of(value)}"

    def _label(self, op: Operator) -> str:
        """What a person calls it: conv1 of conv1.weight, else the node's own name."""
        weight = self.values.get(op.inputs[1]) if len(op.inputs) > 1 and op.name not in (Q, DQ) else None
        name = weight.name.rpartition(".")[0] if isinstance(weight, Weight) else ""
        name = name or re.sub(r"[^\w.\-]", "_", (op.node or op.outputs[0]).strip("/"), flags=re.ASCII)[:80]
        name = name if name and not name.isdigit() else f"{op.name.lower()}_{name}".rstrip("_")
        self.labels[name] += 1
        return name if self.labels[name] == 1 else f"{name}_{self.labels[name]}"

    def _ends(self, op: Operator, operands: Sequence[Operand | None]) -> bool:
        """Whether it is a softmax or sigmoid that training does without: the loss is computed from the logits."""
        x = operands[0] if operands else None
        if op.name not in ENDS or not isinstance(x, Value) or x.rank != 2 or len(self.network.outputs) != 1:
            return False
        if op.outputs[0] != self.network.outputs[0].name or self.reads[op.outputs[0]] != 1:
            return False
        if op.name == "Sigmoid" and x.shape == self.emit.build.types[self.emit.build.inputs[0]].shape:
            return False
        if op.name != "Sigmoid" and axis_of(op.options.get("axis", -1), 2) != 1:
            return False
        self.notes.append(f"the {ENDS[op.name]} at the end is left to the loss: training begins at the logits, and "
                          "predict gives it back")  # fmt: skip
        return True


def _named(op: Operator) -> str:
    return shown(op.node or next((name for name in op.outputs if name), ""))


def _plain(name: str, taken: set[str]) -> str:
    """The name of a parameter: that of the file, with _ for what the graph's text cannot hold."""
    plain = re.sub(r"[^\w.\-/]", "_", name, flags=re.ASCII).strip("/")[: NAME_LENGTH - 20] or "weight"
    if re.fullmatch(RESERVED, plain) or re.match(r"input\d|unknown\d", plain) or plain.endswith(".constant"):
        plain = f"w_{plain}"
    first, count = plain, 1
    while plain in taken:
        count += 1
        plain = f"{first}_{count}"
    taken.add(plain)
    return plain
