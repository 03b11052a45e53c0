"""What cannot be imported is told in one line; what is broken or meant ill is a ModelError: no crash, no hang."""

import time
from contextlib import suppress

import numpy as np
import pytest
from tflite_files import SAME, File, TfliteFile

from workbench.cli import main
from workbench.errors import ModelError
from workbench.frontends import load

Q = {"scale": 0.05, "zero": -3}
IMAGE = (1, 6, 5, 4)
CONV = {"Padding": SAME, "StrideH": 1, "StrideW": 1}


def network(path, *, w=None, b=None, y=None, options=None, kind="CONV_2D", x=None):
    """A convolution, 4 -> 3 channels, with something of it replaced."""
    rng, file = np.random.default_rng(0), TfliteFile()
    source = file.tensor(**{"shape": IMAGE, **Q, "name": "audio", **(x or {})})
    filters = {"data": rng.integers(-127, 128, (3, 3, 3, 4), np.int8), "scale": [0.01, 0.02, 0.03]}
    weight = file.tensor(**(w or filters))
    bias = file.tensor(**(b or {"data": np.zeros(3, np.int32)}))
    result = file.tensor(**{"shape": (1, 6, 5, 3), "scale": 0.2, "zero": 4, "name": "rnn/cell", **(y or {})})
    file.op(kind, [source, weight, bias], result, "Conv2DOptions", **(CONV | (options or {})))
    return file, source, result


def refused(path, file, inputs, outputs) -> str:
    """The message of a file that is not imported."""
    with pytest.raises(ModelError) as error:
        load(file.write(path / "net.tflite", inputs, outputs))
    assert "\n" not in error.value.message and error.value.message.startswith("net.tflite")
    return str(error.value)


def test_the_network_these_tests_break_is_sound(tmp_path):
    file, x, y = network(tmp_path)
    assert load(file.write(tmp_path / "net.tflite", [x], [y])).macs == 6 * 5 * 3 * 36


def test_an_operator_that_is_not_supported_is_named_with_node_and_file(tmp_path, capsys):
    file, x, y = network(tmp_path)
    end = file.op("LSTM", [y], file.tensor((1, 6, 5, 3), name="rnn/cell_2", **Q))
    file.write(tmp_path / "model.tflite", [x], [end])
    assert main(["run", str(tmp_path / "model.tflite")]) == 1
    assert capsys.readouterr().err == (
        'error: model.tflite: operator 1 (LSTM, "rnn/cell_2") is a recurrent layer, which is not supported\n'
        "  help: `workbench ops --frontend tflite` lists what is; everything before operator 1 imported\n"
    )


def test_the_operators_are_listed(capsys):
    assert main(["ops", "--frontend", "tflite"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "SOFTMAX", "MEAN"))
    for frontend, name in (("torch", "conv2d.default"), ("onnx", "Gemm")):
        pytest.importorskip(frontend)
        assert main(["ops", "--frontend", frontend]) == 0
        assert name in capsys.readouterr().out


def test_uint8_input_is_refused_with_what_to_do(tmp_path):
    file, x, y = network(tmp_path, x={"dtype": "uint8"})
    assert refused(tmp_path, file, [x], [y]) == (
        'net.tflite: the input, "audio", is UINT8; int8 and float32 are supported\n'
        "  help: convert it with inference_input_type=tf.int8"
    )


HUGE = {"data": np.ones((3, 3, 3, 4), np.int8)}


@pytest.mark.parametrize(("parts", "said"), [
    ({"w": {**HUGE, "scale": [0.1, 0.2, 0.3], "axis": 3}}, "its weights have 3 scales along axis 3"),
    ({"w": {**HUGE, "scale": [0.1, 0.2]}}, "its weights have 2 scales along axis 0; they need one, or 3 along axis 0"),
    ({"w": HUGE}, "its weights have 0 scales"),
    ({"w": {**HUGE, "scale": 0.1, "zero": 3}}, "zero point that is not zero"),
    ({"w": {**HUGE, "scale": np.nan}}, "scales that are not positive numbers"),
    ({"w": {**HUGE, "scale": 0.0}}, "a scale of its weights is 0"),
    ({"w": {"shape": (3, 3, 3, 4), "scale": 0.1}}, "operand 1 is not stored in the file"),
    ({"w": {"data": np.ones((3, 3, 4), np.int8), "scale": 0.1}}, "operand 1 has 3 axes; it needs 4"),
    ({"w": {"data": np.ones((3, 3, 3, 5), np.int8), "scale": 0.1}}, "filters of 5 channels do not divide 4"),
    ({"w": {"data": np.ones((3, 0, 3, 4), np.int8), "scale": 0.1}}, "CONV_2D"),
    ({"w": {"data": np.ones((3, 3, 3, 4), np.float32)}}, "weights are int8 and the bias int32 (3,); got float32"),
    ({"b": {"data": np.zeros(4, np.int32)}}, "the bias int32 (3,); got int8, int32 (4,)"),
    ({"b": {"data": np.zeros(3, np.float32)}}, "got int8, float32 (3,)"),
    ({"y": {"scale": None}}, "is INT8 with 0 scales"),
    ({"y": {"scale": [0.1, 0.2, 0.3]}}, "is INT8 with 3 scales"),
    ({"y": {"zero": 300}}, "scale 0.2 and zero point 300, which int8 cannot have"),
    ({"y": {"scale": 1e-30}}, "scale 1e-30"),
    ({"y": {"scale": 1e-12}}, "too small for sums of 32 bits"),
    ({"y": {"shape": (1, 6, 5, 7)}}, "makes int8 (1, 3, 6, 5); the file says INT8 (1, 7, 6, 5) (as NCHW)"),
    ({"y": {"dtype": "float32", "scale": None}}, "is FLOAT32 with 0 scales"),
    ({"y": {"shape": (1 << 20, 1 << 20, 5, 3)}}, "has the impossible shape (1048576, 1048576, 5, 3)"),
    ({"y": {"shape": (1, -6, 5, 3)}}, "has the impossible shape"),
    ({"y": {"shape": (1,) * 60}}, "has the impossible shape"),
    ({"x": {"shape": (1, 6, 5)}}, "it needs an image of four axes"),
    ({"x": {"shape": (1, 0, 5, 4)}}, "and no zeros"),
    ({"options": {"FusedActivationFunction": 4}}, 'CONV_2D, "rnn/cell"): its activation, TANH, is not supported'),
    ({"options": {"StrideH": 0}}, "strides (0, 1)"),
    ({"options": {"StrideH": -(1 << 31)}}, "make no sense"),
    ({"options": {"DilationHFactor": 1 << 30}}, "make no sense"),
    ({"options": {"Padding": 9}}, "padding 9 make no sense"),
    ({"kind": "ADD"}, "a constant that differs in a batch is not supported"),
    ({"kind": "FULLY_CONNECTED"}, "operand 1 has 4 axes; it needs 2"),
    ({"kind": "MAX_POOL_2D"}, "lacks its options"),
])  # fmt: skip
def test_what_is_wrong_is_told(tmp_path, parts, said):
    file, x, y = network(tmp_path, **parts)
    assert said in refused(tmp_path, file, [x], [y])


def test_tensors_must_be_made_before_they_are_read(tmp_path):
    file, x, y = network(tmp_path)
    loop = file.tensor((1, 6, 5, 3), **Q)
    file.op("RELU", [loop], loop)
    assert "is read before an operator made it" in refused(tmp_path, file, [x], [y])


def test_tensors_are_made_once(tmp_path):
    file, x, y = network(tmp_path)
    file.op("RELU", [x], y)
    assert "makes a tensor that is there already" in refused(tmp_path, file, [x], [y])


@pytest.mark.parametrize(("inputs", "outputs", "said"), [
    ([], [3], "has 0 inputs"), ([0, 3], [3], "has 2 inputs"), ([0], [], "has 0 outputs"),
    ([0], [99], "tensors that it does not have"), ([-1], [3], "tensors that it does not have"),
    ([0], [1], "is read before an operator made it"),
])  # fmt: skip
def test_a_network_has_one_input_and_one_output(tmp_path, inputs, outputs, said):
    file, *_ = network(tmp_path)
    assert said in refused(tmp_path, file, inputs, outputs)


def test_a_softmax_before_the_end(tmp_path):
    file = TfliteFile()
    x = file.tensor((1, 9), **Q)
    y = file.op("SOFTMAX", [x], file.tensor((1, 9), scale=1 / 256, zero=-128), "SoftmaxOptions", Beta=1.0)
    y = file.op("RELU", [y], file.tensor((1, 9), scale=1 / 256, zero=-128))
    assert "not supported before the end of a network" in refused(tmp_path, file, [x], [y])


def test_operands_whose_shapes_do_not_fit_are_not_added(tmp_path):
    file = TfliteFile()
    x = file.tensor((1, 4), **Q)
    row = file.op("RESHAPE", [x], file.tensor((2, 2), **Q))
    y = file.op("ADD", [x, row], file.tensor((1, 4), **Q), "AddOptions")
    assert "each axis as long in both or 1 in one" in refused(tmp_path, file, [x], [y])


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\0\0\0\0TFL3", b"\xff\xff\xff\x7fTFL3" + bytes(200), bytes(1000),
                                     b"fn (%input0) {}", b"\x1c\0\0\0TFL3" + b"\xff" * 500], ids=range(7))  # fmt: skip
def test_what_is_no_tflite_file(tmp_path, content):
    path = tmp_path / "net.tflite"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"net\.tflite (is no TFLite file|is truncated|holds no network|is damaged)"):
        load(path)


def test_files_that_cannot_be_read(tmp_path, capsys):
    (tmp_path / "folder.tflite").mkdir()
    for name, said in (("nothing.tflite", "is missing"), ("folder.tflite", "cannot be read")):
        assert main(["run", str(tmp_path / name)]) == 1
        assert said in capsys.readouterr().err


def test_a_filter_whose_sums_could_leave_int32_is_counted_in_coarser_units(tmp_path):
    """As converters leave dead channels: C and numpy would add up to different sums."""
    rng = np.random.default_rng(0)
    w = {"data": rng.integers(-127, 128, (3, 3, 3, 4), np.int8), "scale": [0.01, 1e-9, 0.03]}
    file, x, y = network(tmp_path, w=w, b={"data": np.array([5, 2**31 - 9, -(2**31)], np.int32)})
    model = load(file.write(tmp_path / "net.tflite", [x], [y]))
    weight, bias, scale = (model.weights[name] for name in model.graph.parameters)
    reach = np.abs(bias.astype(np.float64)) + 255 * np.abs(weight.astype(np.float64)).sum(axis=(1, 2, 3))
    assert (reach < 2**31).all()
    assert np.allclose(bias * scale.astype(np.float64), [0.05, 1e-9 * 2**31, -0.03 * 2**31], rtol=1e-6)


def whole_files(tmp_path, request):
    """Small files always, and the real ones where they are."""
    file, x, y = network(tmp_path)
    yield file.write(tmp_path / "small.tflite", [x], [y]).read_bytes()
    yield moving(tmp_path).read_bytes()
    try:
        folder = request.getfixturevalue("shared_data") / "mlperf-tiny"
    except pytest.skip.Exception:
        return
    yield from (path.read_bytes() for path in sorted(folder.glob("*.tflite")))


def moving(folder):
    """A file of operators that move data."""
    file = File((1, 8, 6, 4), "int8")
    at = file.op("TRANSPOSE", [file.source, file.numbers(0, 2, 1, 3)], file.values((1, 6, 8, 4)), "TransposeOptions")
    sizes = file.numbers((0, 0), (1, 1), (0, 0), (0, 2))
    at = file.op("PAD", [at, sizes], file.values((1, 8, 8, 6)), "PadOptions")
    parts = [file.values((1, 8, 8, 3)) for _ in range(2)]
    file.op("SPLIT", [file.numbers(3), at], parts, "SplitOptions", NumSplits=2)
    at = file.op("CONCATENATION", parts[::-1], file.values((1, 8, 8, 6)), "ConcatenationOptions", Axis=3)
    at = file.op("RESIZE_NEAREST_NEIGHBOR", [at, file.numbers(10, 4)], file.values((1, 10, 4, 6)),
                 "ResizeNearestNeighborOptions")  # fmt: skip
    bounds = [file.numbers(*each) for each in ((0, 1, 0, 0), (1, 9, 4, 6), (1, 2, 1, 1))]
    at = file.op("STRIDED_SLICE", [at, *bounds], file.values((1, 4, 4, 6)), "StridedSliceOptions")
    rows = [file.values((1, 4, 6)) for _ in range(4)]
    file.op("UNPACK", [at], rows, "UnpackOptions", Axis=1, Num=4)
    at = file.op("MEAN", [rows[2], file.numbers(1)], file.values((1, 6)), "ReducerOptions")
    return file.path(folder, at)


def test_the_file_that_moves_data_is_sound(tmp_path):
    assert load(moving(tmp_path)).graph.nodes


@pytest.mark.parametrize("damage", ["flip", "truncate", "words"])
def test_damaged_files_are_networks_or_model_errors(tmp_path, request, damage):
    rng, path = np.random.default_rng(11), tmp_path / "net.tflite"
    slowest = 0.0
    for content in whole_files(tmp_path, request):
        for _ in range(60):
            path.write_bytes(damaged(content, damage, rng))
            start = time.perf_counter()
            with suppress(ModelError):
                load(path)
            slowest = max(slowest, time.perf_counter() - start)
    assert slowest < 10


def damaged(content: bytes, how: str, rng) -> bytes:
    """A few bytes flipped, the end cut off, or a few aligned words replaced by what offsets and lengths fear."""
    if how == "truncate":
        return content[: int(rng.integers(len(content)))]
    bad = bytearray(content)
    # tables stand at both ends of a file, between them the weights
    span = min(len(bad), 20_000)
    places = [int(rng.choice([at, len(bad) - 1 - at])) for at in rng.integers(0, span, rng.integers(1, 9))]
    for at in places:
        if how == "flip":
            bad[at] = int(rng.integers(256))
        else:
            word = int(rng.choice([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFF0, 0x10000, len(bad)]))
            bad[at & ~3 : (at & ~3) + 4] = word.to_bytes(4, "little")
    return bytes(bad[: len(content)])
