"""Every obstacle of a file is named at once, as what it is; what comes behind one is checked all the same."""

import numpy as np
import pytest
from tflite_files import SAME, TfliteFile

from workbench.frontends import load
from workbench.frontends.obstacles import Unsupported

Q = {"scale": 0.05, "zero": -3}
CONV = {"Padding": SAME, "StrideH": 1, "StrideW": 1}


def obstacles(folder, file, inputs, outputs) -> Unsupported:
    with pytest.raises(Unsupported) as error:
        load(file.write(folder / "net.tflite", inputs, outputs))
    return error.value


def conv(file, x, channels, name, **options):
    """3×3 of int8, from 4 channels on an image of 6×5."""
    w = file.tensor(data=np.ones((channels, 3, 3, 4), np.int8), scale=0.01)
    b = file.tensor(data=np.zeros(channels, np.int32))
    y = file.tensor((1, 6, 5, channels), name=name, scale=0.2)
    return file.op("CONV_2D", [x, w, b], y, "Conv2DOptions", **(CONV | options))


def test_all_obstacles_are_named_and_equal_ones_share_a_line(tmp_path):
    file = TfliteFile()
    x = file.tensor((1, 6, 5, 4), name="image", **Q)
    y = conv(file, x, 4, "stem")
    for number in range(4):
        y = file.op("LSTM", [y], file.tensor((1, 6, 5, 4), name=f"rnn/{number}", **Q))
        y = conv(file, y, 4, f"conv{number}")
    y = conv(file, y, 4, "last", FusedActivationFunction=4)
    error = obstacles(tmp_path, file, [x], [y, x])
    path = tmp_path / "net.tflite"
    assert str(error) == (
        "net.tflite has 6 obstacles\n"
        '  LSTM (#1 "rnn/0", #3 "rnn/1", #5 "rnn/2", 1 more) is a recurrent layer, which is not supported\n'
        '  CONV_2D (#9 "last"): its activation, TANH, is not supported\n'
        "  the file has 2 outputs; a network has one\n"
        f"  help: `workbench inspect {path}` tells all of them, with types"
    )
    assert [each.number for each in error.obstacles] == [1, 3, 5, 7, 9, None]
    assert error.obstacles[0].operands == error.obstacles[0].results == ("INT8 (1, 6, 5, 4)",)
    assert error.before.graph.parameters == tuple(f"tensor_1.{part}" for part in ("weight", "bias", "weight_scale"))
    assert [node.op for node in error.before.graph.nodes] == ["qnn.requantization", "qnn.conv2d"]


def test_of_many_kinds_the_first_eight_are_told(tmp_path):
    file = TfliteFile()
    x = y = file.tensor((1, 6), **Q)
    for name in ("ABS", "CEIL", "COS", "ELU", "EXP", "FLOOR", "GELU", "HASHTABLE", "LSTM", "NEG", "RANK"):
        y = file.op(name, [y], file.tensor((1, 6), **Q))
    lines = str(obstacles(tmp_path, file, [x], [y])).splitlines()
    assert lines[0] == "net.tflite has 11 obstacles" and lines[9] == "  and 3 more" and len(lines) == 11


@pytest.mark.parametrize(("operator", "kind"), [
    ("UNIDIRECTIONAL_SEQUENCE_LSTM", "a recurrent layer"), ("SVDF", "a layer that keeps state"),
    ("WHILE", "control flow"), ("CUSTOM", "a custom operator"),
])  # fmt: skip
def test_an_operator_is_named_as_what_it_is(tmp_path, operator, kind):
    file = TfliteFile()
    x = file.tensor((1, 6), **Q)
    y = file.op(operator, [x], file.tensor((1, 6), name="cell", **Q))
    error = obstacles(tmp_path, file, [x], [y])
    assert kind in error.message and '"cell"' in error.message and len(error.obstacles) == 1
    assert error.before is None


@pytest.mark.parametrize("dtype", ["int16", "uint8"])
def test_a_file_that_computes_in_other_integers_has_one_obstacle(tmp_path, dtype):
    """Whatever it holds, its input is not what has to be converted; unknown operators are told beside it."""
    file = TfliteFile()
    x = file.tensor((1, 6, 5, 4), dtype, name="audio", **Q)
    y = file.op("RELU", [x], file.tensor((1, 6, 5, 4), dtype, name="a", **Q))
    y = file.op("ADD", [y, x], file.tensor((1, 6, 5, 4), dtype, name="b", **Q), "AddOptions")
    error = obstacles(tmp_path, file, [x], [y])
    assert error.message == (f'net.tflite has {dtype} activations ("audio" and 2 more); int8 and float32 are supported')
    assert "TFLITE_BUILTINS_INT8" in error.hint
    z = file.op("SVDF", [y], file.tensor((1, 6, 5, 4), dtype, name="c", **Q))
    assert [each.operator for each in obstacles(tmp_path, file, [x], [z]).obstacles] == ["", "SVDF"]


def test_between_quantized_inputs_and_outputs_of_another_type_all_is_well(tmp_path):
    """The input and the output are what has to be converted then."""
    file = TfliteFile()
    x = file.tensor((1, 6), "uint8", name="in", **Q)
    y = file.op("QUANTIZE", [x], file.tensor((1, 6), **Q))
    y = file.op("RELU", [y], file.tensor((1, 6), **Q))
    y = file.op("QUANTIZE", [y], file.tensor((1, 6), "uint8", name="out", **Q))
    told = [(each.reason, each.hint) for each in obstacles(tmp_path, file, [x], [y]).obstacles]
    assert told == [
        (f': the {side}put, "{side}", is UINT8; int8 and float32 are supported',
         f"convert it with inference_{side}put_type=tf.int8")
        for side in ("in", "out")
    ]  # fmt: skip


def test_two_inputs_are_named_and_what_reads_them_is_checked(tmp_path):
    file = TfliteFile()
    a, b = file.tensor((1, 6), name="left", **Q), file.tensor((1, 6), name="right", **Q)
    y = file.op("ADD", [a, b], file.tensor((1, 6), name="sum", **Q), "AddOptions", FusedActivationFunction=4)
    first, second = obstacles(tmp_path, file, [a, b], [y]).obstacles
    assert first.reason == ' has 2 inputs, "left" and "right"; a network has one'
    assert second.reason == ": its activation, TANH, is not supported"


def test_sizes_that_are_open_until_it_runs(tmp_path):
    file = TfliteFile()
    x = file.tensor((1, 1, 5, 4), name="image", signature=(-1, -1, 5, 4), **Q)
    y = file.op("RELU", [x], file.tensor((1, 1, 5, 4), **Q))
    (only,) = obstacles(tmp_path, file, [x], [y]).obstacles
    assert only.reason == ': the input, "image", has sizes that are open until it runs: (-1, -1, 5, 4)'
    file.tensors[x] = (*file.tensors[x][:-1], (-1, 1, 5, 4))
    assert load(file.write(tmp_path / "net.tflite", [x], [y])).batch == 1  # an open batch is usual


def test_what_is_behind_an_obstacle_has_the_type_that_the_file_declares(tmp_path):
    """Of another number of channels: the convolution behind it is right, the sum is not."""
    file = TfliteFile()
    x = file.tensor((1, 6, 5, 2), **Q)
    y = file.op("LSTM", [x], file.tensor((1, 6, 5, 4), **Q))
    z = conv(file, y, 3, "sound")
    y = file.op("ADD", [z, x], file.tensor((1, 6, 5, 3), name="sum", **Q), "AddOptions")
    assert [each.operator for each in obstacles(tmp_path, file, [x], [y]).obstacles] == ["LSTM", "ADD"]
