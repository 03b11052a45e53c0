"""Write small .tflite files, run them with TensorFlow Lite itself (the oracles), hold what is imported against it."""

from pathlib import Path

import flatbuffers
import numpy as np
import tflite

from workbench.ir.interpret import interpret

DTYPES = {"float32": np.float32, "int8": np.int8, "int32": np.int32, "uint8": np.uint8, "float16": np.float16}
SAME, VALID = 0, 1
RELU, RELU_N1_TO_1, RELU6 = 1, 2, 3
IMAGE = (1, 9, 8, 6)
X = (0.05, -3)  # scale and zero point of an input


class TfliteFile:
    """Tensors and operators as they are added; `write` makes a file of them."""

    def __init__(self):
        self.tensors, self.operators = [], []

    def tensor(self, shape=(), dtype="int8", scale=None, zero=0, axis=0, data=None, name=None, signature=None) -> int:
        """`scale`: a number, or one along `axis`. `data`: what is stored, of this dtype. `signature`: -1 where open."""
        if data is not None:
            data = np.asarray(data)
            shape, dtype = data.shape, str(data.dtype)
        name = name or f"net/tensor_{len(self.tensors)}/Made"
        self.tensors.append((tuple(shape), dtype, scale, zero, axis, data, name, signature))
        return len(self.tensors) - 1

    def op(self, name: str, inputs, output: int | list[int], table: str = "", **options):
        """An operator with its table of options; gives `output`, one or several."""
        outputs = output if isinstance(output, list) else [output]
        self.operators.append((name, list(inputs), outputs, table, options))
        return output

    def write(self, path: Path, inputs, outputs) -> Path:
        b = flatbuffers.Builder(1024)
        buffers = [_table(b, "Buffer")]
        tensors = []
        for number, (shape, dtype, scale, zero, axis, data, name, signature) in enumerate(self.tensors):
            stored = {"Data": b.CreateNumpyVector(np.frombuffer(data.tobytes(), np.uint8))} if data is not None else {}
            buffers.append(_table(b, "Buffer", **stored))
            quantization = {}
            if scale is not None:
                scales = np.atleast_1d(np.asarray(scale, np.float32))
                zeros = np.resize(np.asarray(zero, np.int64), scales.shape)
                scales, zeros = b.CreateNumpyVector(scales), b.CreateNumpyVector(zeros)
                table = _table(b, "QuantizationParameters", Scale=scales, ZeroPoint=zeros, QuantizedDimension=axis)
                quantization = {"Quantization": table}
            if signature is not None:
                quantization["ShapeSignature"] = b.CreateNumpyVector(np.array(signature, np.int32))
            tensors.append(_table(
                b, "Tensor", Shape=b.CreateNumpyVector(np.array(shape, np.int32)), Name=b.CreateString(name),
                Type=getattr(tflite.TensorType, dtype.upper()), Buffer=number + 1, **quantization,
            ))  # fmt: skip
        names = sorted({name for name, *_ in self.operators})
        operators = [self._operator(b, names, *operator) for operator in self.operators]
        codes = [_code(b, name) for name in names]
        graph = _table(b, "SubGraph", Tensors=_offsets(b, tensors), Operators=_offsets(b, operators),
                       Inputs=b.CreateNumpyVector(np.array(inputs, np.int32)),
                       Outputs=b.CreateNumpyVector(np.array(outputs, np.int32)))  # fmt: skip
        model = _table(b, "Model", Version=3, OperatorCodes=_offsets(b, codes), Subgraphs=_offsets(b, [graph]),
                       Buffers=_offsets(b, buffers))  # fmt: skip
        b.Finish(model, file_identifier=b"TFL3")
        path.write_bytes(b.Output())
        return path

    def _operator(self, b, names, name, inputs, outputs, table, options):
        fields = {}
        if table:
            vectors = {k: b.CreateNumpyVector(np.array(v, np.int32)) for k, v in options.items() if isinstance(v, list)}
            fields["BuiltinOptions"] = _table(b, table, **{**options, **vectors})
            fields["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, table)
        inputs, outputs = (b.CreateNumpyVector(np.array(side, np.int32)) for side in (inputs, outputs))
        return _table(b, "Operator", OpcodeIndex=names.index(name), Inputs=inputs, Outputs=outputs, **fields)


def _table(b, name: str, **fields) -> int:
    getattr(tflite, f"{name}Start")(b)
    for field, value in fields.items():
        getattr(tflite, f"{name}Add{field}")(b, value)
    return getattr(tflite, f"{name}End")(b)


def _offsets(b, tables) -> int:
    b.StartVector(4, len(tables), 4)
    for table in reversed(tables):
        b.PrependUOffsetTRelative(table)
    return b.EndVector()


def _code(b, name: str) -> int:
    number = getattr(tflite.BuiltinOperator, name)
    return _table(b, "OperatorCode", BuiltinCode=number, DeprecatedBuiltinCode=min(number, 127), Version=1)


def micro(path: Path):
    """inputs -> output, by TensorFlow Lite Micro."""
    from tflite_micro.python.tflite_micro import runtime

    interpreter = runtime.Interpreter.from_file(str(path), arena_size=1 << 20)

    def run(x: np.ndarray) -> np.ndarray:
        interpreter.set_input(x, 0)
        interpreter.invoke()
        return np.array(interpreter.get_output(0))

    return run


def desktop(path: Path):
    """inputs -> output, by TensorFlow Lite's reference kernels."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    (source,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(x: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(source["index"], x)
        interpreter.invoke()
        return interpreter.get_tensor(output["index"]).copy()

    return run


def forward(model, x: np.ndarray) -> np.ndarray:
    """The model's own output for an input in the file's axes, in the file's axes."""
    graph = model.inference or model.graph
    x = x.transpose(0, 3, 1, 2) if x.ndim == 4 else x
    y = interpret(graph, {**model.weights, "input0": x})[graph.outputs[0]]
    return y.transpose(0, 2, 3, 1) if y.ndim == 4 else y


def inputs(rng, shape, dtype, count=4):
    if dtype == "int8":
        return [rng.integers(-128, 128, shape, dtype=np.int8) for _ in range(count)]
    return [rng.normal(scale=3, size=shape).astype(np.float32) for _ in range(count)]


def require_equal(path, shape, dtype="int8", oracle=micro, form="tflite"):
    """The imported network gives what the oracle gives, and not the same whatever it is fed."""
    from workbench.frontends.tflite import load

    model, expected = load(path, form=form), oracle(path)
    seen = []
    for x in inputs(np.random.default_rng(1), shape, dtype):
        want, got = expected(x), forward(model, x)
        assert got.shape == want.shape and got.dtype == want.dtype
        if want.dtype == np.int8:
            assert np.array_equal(got, want), f"{(got != want).mean():.2%} differ, by {np.abs(got - 1.0 * want).max()}"
        else:
            assert np.linalg.norm(got - want) <= 2e-6 * np.linalg.norm(want)
        seen.append(want)
    assert any(not np.array_equal(seen[0], other) for other in seen[1:])


class File(TfliteFile):
    """A file whose tensors are all of one dtype, int8 ones of one scale, that begins with an input."""

    def __init__(self, shape, dtype: str):
        super().__init__()
        self.dtype, self.shape = dtype, shape
        self.source = self.values(shape)

    def values(self, shape, scale=None) -> int:
        return self.tensor(shape, self.dtype, *((scale or X) if self.dtype == "int8" else ()))

    def numbers(self, *numbers) -> int:
        return self.tensor(data=np.array(numbers, np.int32))

    def path(self, folder, output: int):
        return self.write(folder / "net.tflite", [self.source], [output])

    def require_equal(self, folder, output: int, **how) -> None:
        require_equal(self.path(folder, output), self.shape, self.dtype, **how)
