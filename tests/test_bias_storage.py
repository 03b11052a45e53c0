"""Biases kept as deltas: the bits of int32 biases, in half the SRAM, as long as no change comes to its end."""

import json
from dataclasses import replace

import numpy as np
import pytest
from samples import dtype_name
from test_quantized_training import BOARD, batches, emulated, interpreted

from workbench import boards, data, frontends, load_run, run, session
from workbench.autodiff import training_step
from workbench.cli import main
from workbench.engine import Engine
from workbench.errors import ParseError, RecordError, ShapeError
from workbench.feeding import Training
from workbench.ir import op as ops
from workbench.ir.build import Builder
from workbench.ir.deltas import LIMIT, WIDE_LIMIT, change_of, deltas_of, state_of, stored_of
from workbench.ir.op import _REGISTRY
from workbench.ir.text import parse_graph, print_graph
from workbench.ir.types import TensorType
from workbench.ops import qnn_conv2d, qnn_sgd, qnn_sgd_delta, qnn_transposed_conv2d
from workbench.passes.apply_policy import apply_policy
from workbench.policy import Optimizer, parse_policy
from workbench.quantize import emit
from workbench.quantize.bias_storage import with_deltas
from workbench.quantize.quantization import Quantization
from workbench.quantize.units import units
from workbench.report.tables import comparison
from workbench.study.check import check
from workbench.training import state_row, train

AUTO, INT32 = Optimizer(), Optimizer(bias_storage="int32")
FINEST = 1e-5  # what LIMIT units are worth where a few steps move a bias by more


# --------------------------------------------------------------------------- what operators mean


def test_a_change_is_stored_in_halves():
    wide = (1, 3)
    change = np.array([5, -70_000, -LIMIT, 2**31 - 1, 0])
    stored = stored_of(change, wide)
    assert (stored.dtype, stored.shape) == (np.int16, (7,))
    assert change_of(stored, wide).tolist() == change.tolist()
    far = np.array([2**20, 2**33, -(2**20), -(2**33), LIMIT + 1])
    assert change_of(stored_of(far, wide), wide).tolist() == [LIMIT, WIDE_LIMIT, -LIMIT, -WIDE_LIMIT, LIMIT]


@pytest.mark.parametrize("operator", [qnn_conv2d, qnn_transposed_conv2d])
def test_a_layer_adds_the_change_to_its_bias(operator):
    of_name = ops.get("qnn." + operator.__name__.rpartition("qnn_")[2])
    for case in operator.samples(np.random.default_rng(3)):
        if len(case.operands) < 5:
            continue
        *operands, m, delta = case.operands
        wide = case.attrs["wide"]
        operands[2] = (operands[2] + change_of(delta, wide)).astype(np.int32)
        attrs = of_name.complete({**case.attrs, "wide": ()})
        got = of_name.evaluated(*case.operands, **of_name.complete(case.attrs))
        want = of_name.evaluated(*operands, m, **attrs)
        assert all(np.array_equal(one, other) for one, other in zip(got, want, strict=True))


def test_an_update_moves_the_bias_as_it_moves_an_int32_one():
    """Of every sample of qnn.sgd on a bias, without wide channels and with; saturation is the only difference."""
    update, rng = ops.get("qnn.sgd"), np.random.default_rng(5)
    cases = [case for case in qnn_sgd.samples(rng) if case.operands[0].ndim == 1]
    assert {case.attrs["rounding"] for case in cases} == set(qnn_sgd.ROUNDINGS)
    for case in cases:
        for wide in ((), (0, 4, 7)):
            delta, dw, b, *rest = qnn_sgd_delta.of_bias(rng, case, wide).operands
            attrs = update.complete(case.attrs)
            w = (b + change_of(delta, wide)).astype(np.int32)
            want = qnn_sgd.evaluate(w, dw, *rest, **attrs).astype(np.int64) - b
            got = change_of(qnn_sgd_delta.evaluate(delta, dw, b, *rest, wide=wide, **attrs), wide)
            limit = np.where(np.isin(np.arange(len(b)), wide), WIDE_LIMIT, LIMIT)
            assert np.array_equal(got, np.clip(want, -limit, limit))
            assert np.array_equal(got, want) or not wide or np.abs(want).max() > LIMIT


def test_a_delta_has_an_element_a_channel_and_one_a_wide_channel():
    case = next(case for case in qnn_sgd_delta.samples(np.random.default_rng(0)) if case.attrs["wide"])
    attrs = ops.get("qnn.sgd_delta").complete(case.attrs)
    types = [TensorType(np.shape(each), dtype_name(np.asarray(each))) for each in case.operands]
    for wide in ((), (8, 2), (2, 2), (2, 9), (-1, 8)):
        with pytest.raises(ShapeError, match="a delta has an element a channel"):
            ops.get("qnn.sgd_delta").result_types(types, {**attrs, "wide": wide})


# --------------------------------------------------------------------------- which biases


def with_scale(model, layer, channels, real):
    """The network with scales of these filters such that LIMIT units of their biases are a real change of `real`."""
    scales, unit = units(Builder(model.graph), f"{layer}.bias")
    values = model.weights[scales.name].copy()
    values[list(channels)] = real / (LIMIT * unit)
    return replace(model, weights={**model.weights, scales.name: values})


def step_of(model, policy="full", optimizer=AUTO):
    return training_step(apply_policy(model.graph, parse_policy(policy)), optimizer, weights=model.weights)


def test_channels_of_fine_scales_keep_32_bits():
    """Where LIMIT units are a real change of just below 0.5; just above it 16 bits suffice."""
    model = frontends.load("lenet-int8")
    assert [delta.wide for delta in deltas_of(step_of(model)).values()] == [()] * 4
    below, above = (step_of(with_scale(model, "conv2", [3], real)) for real in (0.4999, 0.5001))
    assert (deltas_of(below)["conv2.bias"].wide, deltas_of(above)["conv2.bias"].wide) == ((3,), ())
    assert [step.types["conv2.bias.delta"].shape for step in (below, above)] == [(17,), (16,)]


def test_a_layer_has_a_delta_where_that_saves_memory():
    """Eight channels: seven of them wide take 30 bytes, in whole words as many as eight of 32 bits."""
    model = frontends.load("lenet-int8")
    six, seven = (step_of(with_scale(model, "conv1", range(count), 1e-3)) for count in (6, 7))
    assert deltas_of(six)["conv1.bias"].wide == tuple(range(6))
    assert deltas_of(seven).keys() == {"conv2.bias", "fc1.bias", "fc2.bias"}
    assert [node.op for node in seven.nodes if node.label == "update.conv1.bias"] == ["qnn.sgd"]


def test_a_bias_that_some_operator_reads_as_it_is_has_none(monkeypatch):
    model = frontends.load("lenet-int8")
    monkeypatch.setitem(_REGISTRY, "qnn.conv2d", replace(ops.get("qnn.conv2d"), delta=None))
    assert not deltas_of(step_of(model))


def test_a_table_of_places_holds_int16():
    """Of 32,767 channels one can be wide no more: its high half would lie at a place that the table cannot tell."""
    for channels, is_delta in ((LIMIT - 1, True), (LIMIT, False)):
        build = Builder()
        x = build.input("x", (1, 1, 1, 1), "int8", scale=0.1)
        w = build.parameter("w", (channels, 1, 1, 1), "int8")
        b, s = build.parameter("b", (channels,), "int32"), build.parameter("s", (channels,))
        y = emit.layer(build, x, w, b, s, Quantization(0.1, 0), label="wide")
        scales = np.ones(channels, np.float32)
        scales[7] = 1e-9
        assert with_deltas(build.graph(y), ["b"], {"s": scales})[1] == ({"b": (7,)} if is_delta else {})


def test_what_is_not_trained_and_what_is_float_has_none():
    assert deltas_of(step_of(frontends.load("lenet-int8"), "last-1")).keys() == {"fc2.bias"}
    assert not deltas_of(step_of(frontends.load("lenet")))
    assert not deltas_of(step_of(frontends.load("lenet-int8"), optimizer=INT32))


def test_the_graph_tells_them_and_reads_them_back():
    step = step_of(with_scale(frontends.load("lenet-int8"), "conv2", [3, 11], 0.1))
    text = print_graph(step)
    assert "%conv2.bias: Tensor[(16,), int32, needs_grad=True, delta=int16, wide=2]" in text
    assert "%conv2.bias.delta: Tensor[(18,), int16, state=True]" in text
    assert "%fc2.bias: Tensor[(10,), int32, needs_grad=True, delta=int16]" in text
    assert text.count("wide=[3, 11]") == 2  # of the layer and of the update
    assert print_graph(parse_graph(text)) == text
    assert deltas_of(parse_graph(text)) == deltas_of(step)
    for wrong in (text.replace("delta=int16, wide=2", "delta=int16"), text.replace(", delta=int16", "", 1)):
        with pytest.raises(ParseError, match="the state beside it is int16"):
            parse_graph(wrong)


# --------------------------------------------------------------------------- the same bits

TRAININGS = {  # network, policy, optimizer
    "lenet": ("lenet-int8", "full", {}),
    "lenet, parts": ("lenet-int8", "conv2:0.5+bias-only+largest", {"rounding": "nearest", "weight_decay": 0.01}),
    "lenet, clipped": ("lenet-int8", "full", {"clip": 0.5, "accumulate": 2}),
    "resnet": ("resnet-int8", "bias-only+head", {"weight_decay": 0.01, "rounding": "truncate"}),
    "mobilenet": ("mobilenet-int8", "bias-only+block3.expand:0.25", {"accumulate": 2}),
}
FINE = {"lenet-int8": "conv2", "resnet-int8": "stage2.conv1", "mobilenet-int8": "block2.expand"}


@pytest.mark.parametrize("case", TRAININGS)
def test_every_schedule_trains_the_weights_of_int32_biases(case):
    """With two wide channels, whose scales make their biases move by more than 16 bits hold."""
    name, policy, given = TRAININGS[case]
    model = with_scale(frontends.load(name), FINE[name], [1, 2], FINEST)
    every = given.get("accumulate", 1)
    samples, results = batches(model, 4 * every), {}
    for schedule in ("vanilla", "reordered", "optimized"):
        for storage in ("auto", "int32"):
            compiled = session.compile(model, policy, schedule, Optimizer(**given, bias_storage=storage))
            results[schedule, storage] = interpreted(compiled.graph, compiled.weights, samples, every)
            known = deltas_of(compiled.graph)
            assert (FINE[name] + ".bias" in known) == (storage == "auto")
            assert all(delta.wide == () for bias, delta in known.items() if not bias.startswith(FINE[name]))
    (losses, want), *others = results.values()
    for got_losses, got in others:
        assert got_losses == losses
        assert got.keys() >= {name for name in want if name.endswith(".bias")}
        assert all(np.array_equal(got[name], want[name]) for name in got if name in want)
    bias = f"{FINE[name]}.bias"
    moved = np.abs(want[bias].astype(np.int64) - model.weights[bias])
    assert moved.max() > LIMIT


def test_emulated_and_native_steps_train_them_too(tmp_path):
    """In one firmware: biases with and without wide channels, updated with their sums and apart."""
    model = with_scale(frontends.load("lenet-int8"), "conv2", [1, 2], FINEST)
    deltas, whole = (session.compile(model, "full", optimizer=each) for each in (AUTO, INT32))
    bodies = [inner.op for node in deltas.graph.nodes for inner in (node.body.nodes if node.body else [node])]
    assert {"qnn.sum_sgd_delta", "qnn.conv2d"} <= set(bodies)
    samples = batches(model, 6)
    (losses, got), (want_losses, want) = (emulated(each, samples, tmp_path) for each in (deltas, whole))
    assert losses == want_losses
    assert all(np.array_equal(got[name], want[name]) for name in want)
    assert np.abs(want["conv2.bias"].astype(np.int64) - model.weights["conv2.bias"]).max() > LIMIT
    built = session.build(deltas, BOARD)
    assert not check(built, Training(lr=0.005)).findings
    natively, _ = train(built, Training(steps=4, engine="native", trace="off", evaluate=False))  # verified by itself
    assert natively.meta["engine"]["verified"]["steps"] == 3


def test_updates_inside_a_region_by_channels(tmp_path):
    """Wide channels too: their high halves lie behind the elements of the region's tiles."""
    model = with_scale(frontends.load("mobilenet-int8"), FINE["mobilenet-int8"], [1, 2], FINEST)
    compiled = session.compile(model, "full")
    inside = {(node.attrs["axis"], each.attrs["wide"]) for node in compiled.graph.nodes if node.body
              for each in node.body.nodes if each.op == "qnn.sum_sgd_delta"}  # fmt: skip
    assert inside == {("channels", ()), ("channels", (1, 2))}
    assert not check(session.build(compiled, BOARD, tmp_path), Training(lr=0.005)).findings


def test_they_take_half_the_memory():
    board = boards.get("nrf52840")
    deltas, whole = (session.build(session.compile("lenet-int8", optimizer=each), board).project
                     for each in (AUTO, INT32))  # fmt: skip
    rows = {row.name: row for row in deltas.buffers}
    assert whole.static - deltas.static == 2 * 66
    assert (rows["conv1.bias"].storage, rows["conv1.bias"].role) == ("flash", "parameter")
    told = rows["conv1.bias.delta"]
    assert (told.storage, told.role, told.parameter, told.dtype, told.size) == (
        "sram",
        "state",
        "conv1.bias",
        "int16",
        16,
    )
    assert deltas.constant == whole.constant


# --------------------------------------------------------------------------- saved, loaded, told


def test_saved_weights_are_joined_and_train_and_predict_on(tmp_path):
    digits = data.load("digits")
    options = {"data": "digits", "steps": 5, "engine": "emulated", "trace": "off", "evaluate": False}
    deltas, whole = (run("mlp-int8", bias_storage=each, **options) for each in ("auto", "int32"))
    assert deltas.weights.keys() == whole.weights.keys()
    assert all(np.array_equal(deltas.weights[name], whole.weights[name]) for name in whole.weights)
    assert deltas.weights["fc2.bias"].dtype == np.int32
    assert (deltas.weights["fc2.bias"] != frontends.load("mlp-int8").weights["fc2.bias"]).any()
    deltas.save(tmp_path / "saved")
    saved = load_run(tmp_path / "saved")
    assert np.array_equal(saved.predict(digits.test_x[:3]), whole.predict(digits.test_x[:3]))
    on, on_whole = (run("mlp-int8", weights=deltas.weights, bias_storage=each, **options) for each in ("auto", "int32"))
    assert all(np.array_equal(on.weights[name], on_whole.weights[name]) for name in on.weights)
    far = {**saved.weights, "fc2.bias": saved.weights["fc2.bias"] + 2**20}
    with pytest.raises(RecordError, match=r"fc2\.bias is further from its first values than its delta can hold"):
        replace(saved, weights=far).predict(digits.test_x[:3])


def test_biases_that_come_to_their_end_are_counted_and_told():
    options = {
        "policy": "bias-only",
        "steps": 1,  # more, and some come back
        "data": "digits",
        "engine": "emulated",
        "trace": "off",
        "evaluate": False,
    }
    driven, whole = (run("lenet-int8", lr_bias=50.0, bias_storage=each, **options) for each in ("auto", "int32"))
    usual = run("lenet-int8", lr_bias=4e-4, **options)
    count = driven.meta["biases_saturated"]
    first = frontends.load("lenet-int8").weights
    biases = {name: values for name, values in driven.weights.items() if name.endswith(".bias")}
    ends = {name: np.abs(values.astype(np.int64) - first[name]) == LIMIT for name, values in biases.items()}
    assert 0 < count == sum(each.sum() for each in ends.values())
    (note,) = (note for note in driven.meta["notes"] if "16 bits hold" in note)
    assert note.startswith(f"{count} of 66 biases changed by all that 16 bits hold, and stopped there: ")
    assert note.endswith("; --bias-storage int32 holds any change, a smaller --lr-bias makes smaller ones")
    assert all(f"{name} {ends[name].sum()} of" in note for name in ends if f"{name} " in note)
    assert (usual.meta["biases_saturated"], whole.meta["biases_saturated"]) == (0, 0)
    assert not any("16 bits" in note for each in (usual, whole) for note in each.meta["notes"])


def test_an_end_that_was_left_again_stays_told(monkeypatch):
    """By a step amid an epoch, and the one behind it."""
    built = session.build(session.compile("lenet-int8", "bias-only"), BOARD)
    first, changes = built.compiled.weights["fc2.bias"], [0, -LIMIT, 5]
    row = state_row(built.project.buffers, state_of("fc2.bias"))
    own = Engine.step

    def step(engine, fed):
        loss, stored = own(engine, fed), np.zeros(10, np.int16)
        stored[4] = changes[engine.emulated_steps - 1]
        engine.device.machine.write_array(engine.device.address(row), stored)
        return loss

    monkeypatch.setattr(Engine, "step", step)
    result, weights = train(built, Training(steps=3, lr_bias=1e-9, engine="emulated", trace="off", evaluate=False))
    assert (weights["fc2.bias"] - first).tolist() == [0, 0, 0, 0, 5, 0, 0, 0, 0, 0]
    assert result.meta["biases_saturated"] == 1
    assert any("1 of 66 biases changed by all that 16 bits hold, and stopped there: fc2.bias 1 of 10" in note
               for note in result.meta["notes"])  # fmt: skip


def test_the_option_is_told_by_name_and_refused_where_it_means_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    how = ["lenet-int8", "--steps", "1", "--policy", "last-1", "--trace", "off"]
    assert main(["run", *how, "--bias-storage", "int32"]) == 0
    assert "int32 biases" in capsys.readouterr().out
    folder = tmp_path / "out/lenet-int8-last-1-nrf52840-int32_biases"
    told = json.loads((folder / "run.json").read_text())
    assert comparison([load_run(folder)])["bias_storage"].tolist() == ["int32"]
    assert (told["bias_storage"], told["biases_saturated"]) == ("int32", 0)
    assert main(["show", "lenet-int8", "--policy", "last-1", "--stage", "backward"]) == 0
    assert "delta=int16" in capsys.readouterr().out
    assert main(["run", "lenet", "--bias-storage", "int32"]) == 1
    assert "--bias-storage int32: for int8 weights alone" in capsys.readouterr().err
