"""What a training minimizes, from the data's targets to run.json: mse, bce, and the input as its own target."""

from dataclasses import replace

import numpy as np
import pytest

import workbench
from workbench import boards, frontends, session
from workbench.autodiff import differentiate, fed_targets, loss_nodes, training_step
from workbench.data import Data
from workbench.errors import DataError, ModelError
from workbench.evaluation import constant_guess, figures
from workbench.feeding import Training, objective_of, require_samples
from workbench.frontends import Model, in_int8
from workbench.frontends.layers import Network
from workbench.ir.interpret import interpret
from workbench.objective import BCE, CROSS_ENTROPY, INPUT, LABELS, MSE, VALUES, Objective, objective
from workbench.policy import Optimizer
from workbench.prediction import predict_run
from workbench.pretraining import pretrain
from workbench.study.check import check
from workbench.units import loss as loss_in_words

BOARD = boards.get("nrf52840")
RNG = np.random.default_rng(5)


def dense(inputs, *widths, batch=1, data=None):
    net = Network("small", (batch, inputs))
    x = net.input
    for number, width in enumerate(widths):
        x = net.dense(x, f"fc{number}", width)
        x = net.relu(x, f"fc{number}") if number < len(widths) - 1 else x
    return net.model(x, data)


def numbers(count, inputs, outputs, held_out=6, binary=False):
    x = RNG.normal(size=(count + held_out, inputs)).astype(np.float32)
    y = np.tanh(x @ RNG.normal(size=(inputs, outputs))).astype(np.float32)
    y = (y > 0).astype(np.float32) if binary else y
    return Data("numbers", x[:count], y[:count], x[count:], y[count:], None, target=VALUES)


def waves(count, held_out):
    """Samples of 12 values with two degrees of freedom: what an autoencoder with a bottleneck of 3 can learn."""
    phase, size = RNG.uniform(0, 6, (count + held_out, 1)), RNG.uniform(0.2, 1, (count + held_out, 1))
    x = (size * np.sin(np.arange(12) / 2 + phase)).astype(np.float32)
    none = np.empty((len(x), 0), np.float32)
    return Data("waves", x[:count], none[:count], x[count:], none[count:], None, target=INPUT)


@pytest.mark.parametrize("aim", [Objective(MSE, VALUES), Objective(BCE, VALUES), Objective(MSE, INPUT)])
def test_gradients_of_a_network_are_those_of_finite_differences(aim):
    model = dense(6, 5, 6, batch=3)
    wanted = list(model.graph.parameters)
    step = training_step(model.graph.with_needs_grad(dict.fromkeys(wanted, True)), objective=aim)
    loss = step.with_nodes(step.nodes[: len(model.graph.nodes) + 1], step.outputs)
    graph, called = differentiate(replace(loss, inputs=tuple(n for n in loss.inputs if step.types[n].rank)), wanted)
    feeds = {**model.weights, "input0": RNG.normal(size=(3, 6)), "target0": RNG.random((3, 6))}
    feeds = {name: np.asarray(feeds[name], np.float64) for name in graph.arguments}
    plain = replace(graph, outputs=step.outputs)
    got = interpret(graph, feeds, np.float64)
    for name in wanted:
        along = RNG.normal(size=feeds[name].shape)
        ends = [
            interpret(plain, feeds | {name: feeds[name] + h * along}, np.float64)[step.outputs[0]]
            for h in (1e-5, -1e-5)
        ]
        assert (got[called[name]] * along).sum() == pytest.approx((ends[0] - ends[1]) / 2e-5, 1e-6, 1e-9)


def test_what_a_network_is_for_tells_its_loss():
    assert frontends.load("lenet").objective() == Objective(CROSS_ENTROPY, LABELS)
    assert dense(12, 3, 12).objective() == Objective(MSE, INPUT)
    assert dense(12, 3, 12).objective("cross-entropy") == Objective(CROSS_ENTROPY, LABELS)
    assert dense(12, 3).objective("mse") == dense(12, 1).objective("mse") == Objective(MSE, VALUES)
    assert frontends.load("lenet").objective("bce") == Objective(BCE, VALUES)


def test_targets_tell_the_loss_unless_another_is_asked_for():
    of = lambda model, **how: objective_of(model, Training(**how))  # noqa: E731
    assert of(dense(4, 2), data=numbers(8, 4, 2)) == Objective(MSE, VALUES)
    assert of(dense(4, 2), data=numbers(8, 4, 2, binary=True), loss=BCE) == Objective(BCE, VALUES)
    assert of(dense(12, 3, 12), data=waves(8, 0)) == Objective(MSE, INPUT)
    assert of(dense(64, 8, 64), data="digits") == Objective(MSE, INPUT)  # an autoencoder leaves labels out
    assert of(dense(64, 1), data="digits", loss=MSE) == Objective(MSE, VALUES)  # a label counts as a number
    samples = require_samples(dense(64, 1), 1, Training(data="digits", loss=MSE))
    assert samples.train_y.shape == (1437, 1) and samples.train_y.dtype == np.float32


@pytest.mark.parametrize(
    ("model", "how", "told"),
    [
        (dense(4, 2), {"data": numbers(8, 4, 2), "loss": CROSS_ENTROPY}, "cross-entropy needs class labels"),
        (dense(64, 10), {"data": "digits", "loss": MSE}, "digits has class labels; mse takes numbers"),
        (dense(4, 3), {"data": numbers(8, 4, 2)}, "a target is 2 values in a row; small gives 3"),
        (dense(4, 2), {"data": numbers(8, 4, 2), "loss": BCE}, "bce takes targets from 0 to 1; numbers has -"),
        (dense(12, 3), {"data": waves(8, 0)}, "the input is the target, so the output has its values"),
        (frontends.load("conv-relu"), {"loss": CROSS_ENTROPY}, "cross-entropy takes class scores"),
    ],
)
def test_pairs_that_make_no_sense_are_refused_before_anything_is_built(model, how, told):
    with pytest.raises((DataError, ModelError), match=told) as refused:
        require_samples(model, 1, Training(**how))
    assert "\n" not in refused.value.message
    with pytest.raises(DataError, match="no loss is called 'l1'"):
        Training(loss="l1")


@pytest.fixture(scope="module")
def autoencoder():
    """An int8 autoencoder, pre-trained a little, and what it trains on."""
    data = waves(96, 6)
    model = dense(12, 3, 12, batch=4)
    return in_int8(model, data.train_x), data


def test_an_autoencoder_s_target_is_its_input_buffer(autoencoder):
    """No buffer of its own: what the loss and its gradient read, besides the output, is what the host wrote once."""
    model, data = autoencoder
    run = workbench.run(model, data=data, steps=24, lr=0.05, trace="memory")
    assert not run.violations.size and "label" not in set(run.buffers.role)
    (source,) = run.buffers[run.buffers.role == "input"].itertuples()
    assert source.size == 4 * 12 and source.storage == "arena"
    (loss,) = run.ops[run.ops.phase == "loss"].itertuples()
    readers = run.ops[run.ops.reads.map(lambda ids: str(source.id) in ids.split())]
    assert loss.symbol in set(readers.symbol) and any("mse_grad" in symbol for symbol in readers.symbol)
    assert source.upper > loss.position + 1
    assert (run.meta["loss_function"], run.meta["target"], run.meta["accuracy"]) == (MSE, INPUT, None)
    held_out = run.meta["held_out_loss"]
    assert 0 < held_out["after"] < held_out["before"]
    before, after = (loss_in_words(held_out[when]) for when in ("before", "after"))
    assert "24 steps  mse of its input" in run.summary() and f"held-out {before} → {after}" in run.summary()


def test_held_out_loss_is_that_of_the_interpreter_s_outputs(autoencoder):
    """Six samples in batches of four: the padding of the second batch does not count."""
    model, data = autoencoder
    held_out = workbench.run(model, data=data, steps=1, trace="off").meta["held_out_loss"]
    kind = model.graph.types["input0"]
    output = model.graph.types[model.graph.outputs[0]]
    x = np.clip(np.rint(data.test_x / kind.scale) + kind.zero_point, -128, 127).astype(np.int8)
    one = model.with_batch(6)
    told = interpret(one.graph, {**one.weights, "input0": x})[one.graph.outputs[0]]
    apart = (told.astype(float) - output.zero_point) * output.scale - (x.astype(float) - kind.zero_point) * kind.scale
    assert held_out["before"] == pytest.approx((apart**2).mean(), 1e-5)


def test_a_network_of_one_logit_learns_to_tell_two_kinds_apart():
    """bce on the device: emulated losses are the interpreter's, and C equals numpy operator by operator."""
    model, data = dense(4, 6, 1, batch=2), numbers(40, 4, 1, held_out=3, binary=True)
    options = Training(data=data, loss=BCE, epochs=6, lr=0.3, trace="off")
    aim = objective_of(model, options)
    compiled = session.compile(model, optimizer=Optimizer(momentum=0.5, accumulate=2), objective=aim)
    assert fed_targets(compiled.graph) == ("target0",)
    built = session.build(compiled, BOARD)
    outcome = check(built, options)
    assert not outcome.findings and len(outcome.calls) == 9
    run, _ = session.train(built, options)
    assert run.meta["held_out_loss"]["after"] < 0.6 * run.meta["held_out_loss"]["before"]
    assert run.meta["guess"] == pytest.approx(constant_guess(aim, data.train_y))
    assert next(iter(run.buffers[run.buffers.role == "label"].name)) == "target0"


def test_an_output_of_any_shape_is_held_against_numbers():
    net = Network("image", (1, 2, 6, 6))
    model = net.model(net.conv2d(net.input, "conv", 3, kernel=3, padding=1))
    built = session.build(session.compile(model), BOARD)
    assert not check(built, Training()).findings
    assert "write wb_input0 and wb_target0 and call" in " ".join(built.project.files["model.h"].split())


def test_the_image_by_rows_cannot_be_a_target():
    net = Network("image", (1, 3, 8, 8))
    model = net.model(net.conv2d(net.relu(net.conv2d(net.input, "a", 4, 3, padding=1), "a"), "b", 3, 3, padding=1))
    with pytest.raises(ModelError, match=r"the image cannot come by rows: .*it is the target"):
        session.compile(model, "last-1", passes="input-rows")


def test_figures_of_classes_and_numbers():
    logits, labels = RNG.normal(size=(7, 3)), RNG.integers(0, 3, 7)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    told = figures(Objective(), logits, labels)
    assert told.loss == pytest.approx(-np.log(p[np.arange(7), labels]).mean(), 1e-12)
    assert told.accuracy == (logits.argmax(axis=1) == labels).mean()
    assert figures(objective(VALUES), np.full((2, 3), np.inf), np.zeros((2, 3))) == figures(
        objective(VALUES), np.full((2, 3), np.nan), np.zeros((2, 3))
    )


def test_the_loss_of_the_best_constant():
    y = np.array([[0, 1], [1, 1], [1, 1], [0, 1]], np.float32)
    assert constant_guess(Objective(MSE, VALUES), y) == pytest.approx(0.125)  # a variance of a quarter, and of none
    assert constant_guess(Objective(BCE, VALUES), y) == pytest.approx(np.log(2) / 2)
    assert constant_guess(Objective(), np.array([0, 1])) is None


def test_a_host_pre_trains_an_autoencoder_too():
    told = pretrain(dense(64, 8, 64), "digits", epochs=6).pretrained
    assert told["accuracy"] is None and told["loss_function"] == MSE
    assert 0 < told["held_out_loss"] < 0.09


def yes_or_no(last) -> Model:
    net = Network("yes-or-no", input_shape=(2, 6))
    return net.model(last(net, net.dense(net.relu(net.dense(net.input, "fc1", 8), "fc1"), "fc2", 1)))


@pytest.mark.parametrize("words", [False, True])
def test_one_output_tells_two_classes_and_a_last_sigmoid_is_bce_s_own(words):
    rng = np.random.default_rng(3)
    y = np.arange(60) % 2
    x = (rng.normal(size=(60, 6)) + 2 * y[:, None]).astype(np.float32)
    given = (x, np.array(["no", "yes"])[y] if words else y)
    how = {"data": given, "epochs": 4, "lr": 0.1, "trace": "off"}
    plain = workbench.run(yes_or_no(lambda _, z: z), **how)
    squashed = workbench.run(yes_or_no(lambda net, z: net.sigmoid(z, "p")), **how)
    assert plain.meta["loss_function"] == squashed.meta["loss_function"] == "bce"
    assert plain.meta["classes"] == (["no", "yes"] if words else 2)
    assert all(np.array_equal(plain.weights[name], squashed.weights[name]) for name in plain.weights)
    assert plain.meta["loss"] == squashed.meta["loss"] and plain.meta["held_out_loss"] == squashed.meta["held_out_loss"]
    data = Data("mine", x[:48], y[:48], x[48:], y[48:], names=("no", "yes") if words else ())
    of_data = workbench.run(yes_or_no(lambda _, z: z), **how | {"data": data}).meta
    assert (of_data["loss_function"], of_data["classes"]) == ("bce", plain.meta["classes"])
    assert plain.meta["accuracy"]["after"] >= 0.9 > plain.meta["accuracy"]["before"]
    made = predict_run(squashed, squashed.elf, given)
    assert np.array_equal(made.predicted, squashed.predict(x)[:, 0] > 0)
    assert made.figures.accuracy == np.mean(made.predicted == y) == np.trace(made.confusion) / 60


def test_an_int8_sigmoid_at_the_end_is_bce_s_own_too():
    graph = in_int8(yes_or_no(lambda net, z: net.sigmoid(z, "p"))).graph
    step = training_step(graph.with_needs_grad({"fc2.weight": True}), objective=Objective(BCE, VALUES))
    (loss,) = loss_nodes(step)
    maker = next(node for node in step.nodes if loss.operands[0] in node.results)
    assert maker.op == "qnn.dequantize" and step.types[maker.operands[0]].shape == (2, 1)
    made_by = next(node for node in step.nodes if maker.operands[0] in node.results)
    assert made_by.op != "qnn.lookup"
