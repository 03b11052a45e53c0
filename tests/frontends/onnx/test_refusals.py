"""What keeps an ONNX file from being a network is named, all of it at once; a file made to do harm ends in one line."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper
from onnx_files import OnnxFile, classifier

from workbench.errors import ModelError
from workbench.frontends import load
from workbench.frontends.obstacles import Unsupported

ESCAPE = "\x1b[2J"


def refused(path) -> ModelError:
    with pytest.raises(ModelError) as error:
        load(path)
    told = str(error.value)
    assert len(told.splitlines()[0]) < 400 and ESCAPE not in told and "Traceback" not in told
    return error.value


def dense(file, x, name, outputs=4):
    return file.op("Gemm", [x, file.stored(f"{name}.weight", np.ones((4, outputs)))], name=name)


def test_all_obstacles_are_named_with_their_nodes(tmp_path):
    file, y = OnnxFile(), "x"
    for number in range(2):
        y = file.op("Hardmax", [dense(file, y, f"fc{number}")], [f"h{number}"], name=f"net/hard{number}")
        file.known.append(helper.make_tensor_value_info(y, TensorProto.FLOAT, ("n", 4)))
    y = file.op("Scan", [y], ["scan"], name="cell")
    y = file.op("Fancy", [y], name="own", domain="com.example")
    y = file.op("If", [y], name="branch")
    file.op("SequenceConstruct", [y], ["y"], name="many")
    dense(file, "x", "fc2", 5)
    file.op("Conv", ["h1", file.stored("w", np.ones((2, 2)))], ["z"], name="odd")
    path = file.write(tmp_path / "net.onnx", {"x": ("n", 4), "more": ("n", 4)}, {"y": ("n", 4), "z": ("n", 2)})
    error = refused(path)
    assert isinstance(error, Unsupported)
    assert str(error) == (
        "net.onnx has 9 obstacles\n"
        '  Hardmax (#1 "net/hard0", #3 "net/hard1") is not supported\n'
        '  Scan (#4 "cell") is control flow, which is not supported\n'
        '  com.example.Fancy (#5 "own") is not supported\n'
        '  If (#6 "branch") is control flow, which is not supported\n'
        '  SequenceConstruct (#7 "many") is an operator on sequences, which is not supported\n'
        '  Conv (#9 "odd"): works along 0 axes; 1 and 2 are supported\n'
        '  the file has 2 inputs, "x" and "more"; a network has one\n'
        '  the file has 2 outputs, "y" and "z"; a network has one\n'
        f"  help: `workbench inspect {path}` tells all of them, with types"
    )
    assert error.obstacles[0].operands == ("float32 (1, 4)",)


def one(kind, inputs, words, shape=(1, 4), opset=17, stored=(), dtype=TensorProto.FLOAT, **attributes):
    return pytest.param(kind, inputs, words, shape, opset, stored, dtype, attributes, id=words[:40])


@pytest.mark.parametrize(("kind", "inputs", "words", "shape", "opset", "stored", "dtype", "attributes"), [
    one("Conv", ["x", "w"], "depends on|works along 3 axes", (1, 2, 3, 3, 3), stored=[("w", np.ones((2, 2, 1, 1, 1)))]),
    one("Conv", ["x", "w"], "kernel_shape is", (1, 2, 3, 3), stored=[("w", np.ones((2, 2, 1, 1)))],
        kernel_shape=[3, 3]),
    one("Conv", ["x", "w"], "its pads are", (1, 2, 3, 3), stored=[("w", np.ones((2, 2, 1, 1)))], pads=[-1, 0, 0, 0]),
    one("Conv", ["x", "w"], "groups do not divide", (1, 3, 3, 3), stored=[("w", np.ones((2, 2, 1, 1)))], group=2),
    one("Conv", ["x"], "an operand is missing|required positional", (1, 2, 3, 3)),
    one("BatchNormalization", ["x", "a", "a", "a", "a"], "in evaluation mode|statistics of the batch", (1, 2, 3, 3),
        stored=[("a", np.ones(2))], training_mode=1),
    one("Pow", ["x", "e"], "of exponents", stored=[("e", 1.5)]),
    one("Clip", ["x", "x"], "its limits depend on the input"),
    one("MaxPool", ["x"], "lacks its kernel_shape", (1, 1, 4, 4)),
    one("Reshape", ["x", "s"], r"\(1, 4\) does not fit into \(3, 7\)", stored=[("s", np.array([3, 7], np.int64))]),
    one("Reshape", ["x", "s"], "more than a network", stored=[("s", np.array([2**40, 2**40], np.int64))]),
    one("Expand", ["x", "s"], "more than a network", stored=[("s", np.array([2**31, 4], np.int64))]),
    one("Pad", ["x", "p"], "its pads are", stored=[("p", np.array([0, 0, 0, 2**40], np.int64))]),
    one("Tile", ["x", "p"], "repeats of", stored=[("p", np.array([1, 10**9], np.int64))]),
    one("Transpose", ["x"], "are not those of", perm=[0, 5]),
    one("Gather", ["x", "i"], "index 9 is beyond an axis of 4", stored=[("i", np.array([9], np.int64))], axis=1),
    one("Softmax", ["x"], "there is no axis 7 of 2", axis=7),
    one("Cast", ["x"], "a conversion of what depends on the input", to=9),
    one("Relu", ["x"], "is float16; float32", dtype=TensorProto.FLOAT16),
    one("Relu", ["x"], "written in opset 11; 13 to", opset=11),
    one("Relu", ["x"], "written in opset 999; 13 to", opset=999),
    one("Relu", ["nothing"], 'reads "nothing", which nothing makes'),
    one("Relu", ["y"], 'reads "y", which operator 0 makes only later'),
    one("Relu", [], "an operand is missing|required positional"),
    one("Relu", ["x"], "the impossible shape", (1, 2**40)),
    one("Relu", ["x"], "has no shape", ()),
    one("Identity", ["x"], "gives its input as it is"),
    one("Shape", ["x"], "gives what does not depend on its input"),
    one("Transpose", ["x"], "first axis is not the batch", (1, 4), perm=[1, 0]),
])  # fmt: skip
def test_what_cannot_be_read_is_said(tmp_path, kind, inputs, words, shape, opset, stored, dtype, attributes):
    file = OnnxFile(opset)
    for name, values in stored:
        values = np.asarray(values)
        file.stored(name, values, np.float32 if values.dtype.kind == "f" else values.dtype)
    file.op(kind, inputs, ["y"], **attributes)
    told = str(refused(file.write(tmp_path / "net.onnx", {"x": shape}, {"y": None}, dtype)))
    assert re.search(words, told), told


def changed(path, change):
    """The classifier with one thing changed."""
    file, inputs, results = classifier()
    proto = file.proto(inputs, results)
    change(proto)
    path.write_bytes(proto.SerializeToString())
    return path


def _cycle(proto):
    proto.graph.node[0].input[0] = "v1"


def _twice(proto):
    proto.graph.initializer.append(proto.graph.initializer[0])


def _two_makers(proto):
    proto.graph.node[1].output[0] = proto.graph.node[0].output[0]


def _raw(content):
    def change(proto):
        proto.graph.initializer[0].raw_data = content

    return change


def _dims(*dims):
    def change(proto):
        del proto.graph.initializer[0].dims[:]
        proto.graph.initializer[0].dims.extend(dims)

    return change


def _type(number):
    def change(proto):
        proto.graph.initializer[0].data_type = number

    return change


def _outside(**told):
    def change(proto):
        tensor = proto.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in told.items():
            tensor.external_data.add(key=key, value=value)

    return change


def _empty(proto):
    del proto.graph.node[:]


def _renamed(name):
    def change(proto):
        proto.graph.node[0].op_type = name
        proto.graph.node[0].name = name

    return change


def _declared(proto):
    proto.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 7


def _attribute(proto):
    proto.graph.node[0].attribute.append(helper.make_attribute("strides", [2**60, -1]))


def _sparse(proto):
    proto.graph.sparse_initializer.add()


@pytest.mark.parametrize(("change", "words"), [
    (_cycle, "makes only later.*|reads"),
    (_twice, 'stores "conv.weight" twice'),
    (_two_makers, 'gives two values the name "v0"'),
    (_raw(b"\0" * 5), r"is float32 \(4, 2, 3, 3\), 288 bytes; the file stores 5"),
    (_dims(4, -2, 3, 3), "has the impossible shape"),
    (_dims(2**40, 2**40), "has the impossible shape"),
    (_dims(*[1] * 300), "has the impossible shape"),
    (_dims(4, 2, 9), "works along 1 axes|its input has the shape"),
    (_type(8), "is stored as string, which is not supported"),
    (_type(16), "is stored as bfloat16, which is not supported"),
    (_type(77), "is stored as number 77, which is not supported"),
    (_outside(location="../secret"), "outside of the file's folder"),
    (_outside(location="/etc/passwd"), "outside of the file's folder"),
    (_outside(location="link"), "outside of the file's folder"),
    (_outside(location="a\0b"), "outside of the file's folder"),
    (_outside(), "outside of the file's folder"),
    (_outside(location="missing"), "lies in missing, which is missing"),
    (_outside(location="beside", offset="4"), "288 bytes; the file stores 4"),
    (_outside(location="beside", offset="-4"), "makes no sense"),
    (_outside(location="beside", offset="9"), "which has 8 bytes"),
    (_outside(location="beside", length="999999999999"), "which has 8 bytes"),
    (_empty, "its graph has no operators"),
    (_renamed(f"int */ \"{ESCAPE}\n"), "is not supported"),
    (_declared, r"makes \(1, 3\); the file says float32 \(n, 7\)"),
    (_attribute, "its strides are"),
    (_sparse, "stores weights sparse"),
])  # fmt: skip
def test_a_broken_file_is_refused_in_a_line(tmp_path, change, words):
    (tmp_path / "secret").write_bytes(b"\0" * 288)
    folder = tmp_path / "folder"
    folder.mkdir()
    os.symlink(tmp_path / "secret", folder / "link")
    (folder / "beside").write_bytes(b"\0" * 8)
    told = str(refused(changed(folder / "net.onnx", change)))
    assert re.search(words, told), told


def test_data_beside_the_file_is_read(tmp_path):
    file, inputs, results = classifier()
    plain = load(file.write(tmp_path / "plain.onnx", inputs, results))
    stored = numpy_helper.to_array(file.constants[0])
    (tmp_path / "data.bin").write_bytes(b"\0" * 16 + stored.tobytes() + b"more")
    told = load(changed(tmp_path / "net.onnx", _outside(location="data.bin", offset="16", length="288")))
    assert np.array_equal(told.weights["conv.weight"], plain.weights["conv.weight"])


def test_whatever_is_cut_off_the_file_is_refused(tmp_path):
    file, inputs, results = classifier()
    content = file.proto(inputs, results).SerializeToString()
    path = tmp_path / "net.onnx"
    for end in [0, 1, 2, 7, *range(20, len(content), 97), len(content) - 1]:
        path.write_bytes(content[:end])
        refused(path)


def test_whatever_byte_is_changed_there_is_a_line_or_a_network(tmp_path):
    file, inputs, results = classifier()
    content = file.proto(inputs, results).SerializeToString()
    rng, path = np.random.default_rng(0), tmp_path / "net.onnx"
    for _ in range(300):
        harmed = bytearray(content)
        for at in rng.integers(0, len(content), rng.integers(1, 4)):
            harmed[at] = rng.integers(256)
        path.write_bytes(bytes(harmed))
        try:
            load(path)
        except ModelError as error:
            assert ESCAPE not in str(error)


def _nested(depth: int) -> bytes:
    content = b""
    for _ in range(depth):
        for field in (6, 5, 1):  # an attribute's graph, a node's attribute, a graph's node
            content = bytes([field << 3 | 2]) + _varint(len(content)) + content
    return bytes([7 << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    encoded = b""
    while value > 127:
        encoded += bytes([value & 127 | 128])
        value >>= 7
    return encoded + bytes([value])


def _messages(field: int, count: int, inside: tuple[int, ...] = ()) -> bytes:
    content = bytes([field << 3 | 2, 0]) * count
    for each in (*reversed(inside), 7):
        content = bytes([each << 3 | 2]) + _varint(len(content)) + content
    return content


HUGE = {
    "a million operators": lambda: OnnxFile_of(1_000_000),
    "ten million empty operators": lambda: _messages(1, 10_000_000),
    "ten million empty attributes": lambda: _messages(5, 10_000_000, (1,)),
    "ten million empty texts of an attribute": lambda: _messages(9, 10_000_000, (1, 5)),
    "ten million places of a tensor": lambda: _messages(13, 10_000_000, (5,)),
    "ten million functions": lambda: bytes([25 << 3 & 127 | 130, 1, 0]) * 10_000_000,
    "graphs in graphs": lambda: _nested(10_000),
    "a chain of large constants": lambda: _chain(4000),
    "a thousand recurrent layers": lambda: _recurrent(1000),
    "products of many matrices": lambda: _products(64),
}


def OnnxFile_of(count):  # noqa: N802
    node = helper.make_node("Relu", ["x"], ["y"], name="relu").SerializeToString()
    part = bytes([1 << 3 | 2]) + _varint(len(node)) + node
    graph = part * count
    return bytes([7 << 3 | 2]) + _varint(len(graph)) + graph


def _chain(count):
    file = OnnxFile()
    y = file.op("ConstantOfShape", [file.stored("s", [4096, 4096], np.int64)])
    for _ in range(count):
        y = file.op("Neg", [y])
    file.op("Add", ["x", y], ["y"])
    return file.proto({"x": (1, 4)}, {"y": (4096, 4096)}).SerializeToString()


def _recurrent(count):
    file, y = OnnxFile(), "x"
    w, r = file.stored("w", np.ones((1, 16, 4))), file.stored("r", np.ones((1, 16, 4)))
    for _ in range(count):
        y = file.op("Squeeze", [file.op("LSTM", [y, w, r], hidden_size=4), file.stored(f"a{_}", [1], np.int64)])
    return file.proto({"x": (256, 1, 4)}, {y: (256, 1, 4)}).SerializeToString()


def _products(size):
    file, at = OnnxFile(), OnnxFile.stored
    wide = file.op("Expand", ["x", at(file, "s", [4096, 1, size, size], np.int64)])
    other = file.op("Transpose", [wide], perm=[1, 0, 2, 3])
    file.op("MatMul", [wide, other], ["y"])
    return file.proto({"x": (1, 1, size, size)}, {"y": (4096, 4096, size, size)}).SerializeToString()


@pytest.mark.parametrize("name", HUGE)
def test_a_huge_file_is_answered_soon_in_little_memory(tmp_path, name):
    path = tmp_path / "net.onnx"
    path.write_bytes(HUGE[name]())
    code = ("import re, time; from workbench.frontends import load; from workbench.errors import ModelError; "
            "import workbench.frontends.onnx, onnx; begun = time.process_time()\n"
            f"try: load({str(path)!r})\nexcept ModelError as error: print(error)\n"
            "status = open('/proc/self/status').read()\n"
            "print(time.process_time() - begun, re.search(r'VmHWM:\\s+(\\d+)', status)[1])")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    *told, last = done.stdout.splitlines()
    seconds, kilobytes = map(float, last.split())
    assert told and "net.onnx" in told[0] and not done.stderr
    assert seconds < 10 and kilobytes < 1 << 20


def of_functions(*calls, within="f0"):
    """A network whose operator is function 0 of its own; function N calls those that are listed, or Relu."""
    domain = "own"
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(domain, 1)]
    functions = []
    for number, called in enumerate(calls):
        names, nodes = ["x"], []
        for kind in called or ["Relu"]:
            nodes.append(helper.make_node(kind, [names[-1]], [f"v{len(nodes)}"], domain=domain if called else ""))
            names.append(nodes[-1].output[0])
        functions.append(helper.make_function(domain, f"f{number}", ["x"], [names[-1]], nodes, opsets))
    file = OnnxFile()
    file.op("Neg", [file.op(within, ["x"], domain=domain)], ["y"])
    model = file.proto({"x": (1, 4)}, {"y": (1, 4)})
    model.opset_import.append(opsets[1])
    model.functions.extend(functions)
    return model


def test_functions_of_a_file_are_read_as_what_they_are_made_of(tmp_path):
    (path := tmp_path / "net.onnx").write_bytes(of_functions(["f1", "f2"], [], ["f1"]).SerializeToString())
    assert [node.op for node in load(path).graph.nodes][:2] == ["nn.relu", "nn.relu"]


def test_functions_that_never_end_are_refused(tmp_path):
    path, doubled = tmp_path / "net.onnx", [[f"f{number}"] * 2 for number in range(1, 40)]
    for model, words in ((of_functions(["f1"], ["f0"]), "its function f. calls itself"),
                         (of_functions(*doubled, []), "more than 10,000 operators"),
                         (of_functions(*[[]] * 201), "201 functions of its own; at most 200")):  # fmt: skip
        path.write_bytes(model.SerializeToString())
        assert re.search(words, str(refused(path)))


def test_without_the_package_the_remedy_is_named(tmp_path):
    code = (f"import sys\nsys.modules['onnx'] = None\nfrom workbench.frontends import load\n"
            f"try: load({str(tmp_path / 'net.onnx')!r})\n"
            "except Exception as error: print(type(error).__name__, error)")  # fmt: skip
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.startswith("ModelError ") and "net.onnx: ONNX is not installed" in told
    assert "pip install 'workbench[onnx]'" in told and "./workbench.sh setup onnx" in told


def test_what_is_no_file_is_said(tmp_path):
    assert "is missing" in str(refused(tmp_path / "net.onnx"))
    (tmp_path / "folder.onnx").mkdir()
    assert "cannot be read" in str(refused(tmp_path / "folder.onnx"))


def test_onnx_is_imported_only_for_its_files():
    code = "import sys, workbench.cli.run, workbench.frontends.loading; print('onnx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
