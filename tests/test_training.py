"""The emulated training run equals the interpreter's, and vanilla equals reordered to the bit."""

import numpy as np
import pytest

from workbench import boards, data, frontends, session
from workbench.autodiff import differentiate, training_step
from workbench.emulate.device import Device
from workbench.emulate.machine import Machine
from workbench.ir.build import Builder
from workbench.ir.interpret import interpret
from workbench.passes.apply_policy import apply_policy
from workbench.policy import parse_policy

STEPS = 50
RATE, RATE_BIAS = np.float32(0.02), np.float32(0.01)
POLICIES = ("full", "bias-only", "last-1", "last-2")


def relative(got, want) -> float:
    return float(np.linalg.norm(np.asarray(got, np.float64) - want) / max(np.linalg.norm(want), 1e-30))


def samples_of(model, steps):
    shape = model.graph.types[model.graph.inputs[0]].shape[1:]
    digits = data.load("digits").shaped(shape, 10)
    chosen = [
        indices
        for _, (_, indices) in zip(range(steps), data.batches(len(digits.train_x), model.batch, 1), strict=False)
    ]
    return [(digits.train_x[indices], digits.train_y[indices]) for indices in chosen]


def interpreted(model, policy, samples):
    """First step's gradients, the loss of each step and the weights at the end, by the interpreter in float32."""
    marked = apply_policy(model.graph, parse_policy(policy))
    graph = training_step(marked)
    (loss,) = graph.outputs
    weights = {name: model.weights[name] for name in graph.parameters}
    losses, gradients = [], {}
    for x, y in samples:
        feeds = {"input0": x, "label0": y, "lr": RATE, "lr_bias": RATE_BIAS} | weights
        got = interpret(graph, {name: feeds[name] for name in graph.arguments})
        gradients = gradients or gradient_values(marked, feeds)
        losses.append(float(got[loss]))
        weights = {name: got[name] for name in graph.parameters}
    return gradients, losses, weights


def with_loss(marked):
    builder = Builder(marked)
    labels = builder.input("label0", (marked.types["input0"].shape[0],), "int32")
    return builder.graph(builder.softmax_cross_entropy(builder.value(marked.outputs[0]), labels))


def gradient_values(marked, feeds, float_dtype=np.float32):
    """Parameter -> the gradient that autodiff's graph gives."""
    wanted = [name for name in marked.parameters if marked.types[name].needs_grad]
    graph, names = differentiate(with_loss(marked), wanted)
    got = interpret(graph, {name: feeds[name] for name in graph.arguments}, float_dtype)
    return {parameter: got[name] for parameter, name in names.items()}


def emulated(model, policy, schedule, board, samples, folder):
    """The same three from the firmware; gradients are read between operators, before they are overwritten."""
    built = session.build(session.compile(model, policy, schedule), board, folder)
    device = Device(Machine(built.image.elf, built.image.board), list(built.project.buffers), list(built.project.ops))
    device.set_rates(float(RATE), float(RATE_BIAS))
    graph = built.compiled.graph
    wanted = {node.operands[1]: node.operands[0] for node in graph.nodes if node.label.startswith("update.")}
    gradients = {}
    maker = {row.id: row for row in built.project.buffers}
    for op in device.train_step_by_operator(*samples[0]):
        for identifier in op.writes:
            for value in set(maker[identifier].values) & set(wanted):
                gradients[wanted[value]] = device.read(maker[identifier])
    losses = [device.loss]
    losses += [device.train_step(x, y) for x, y in samples[1:]]
    return gradients, losses, device.parameters()


@pytest.mark.parametrize("board", ["nrf52840", "stm32f746"])
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", ["mlp", "lenet"])
def test_emulated_training_equals_the_interpreter(name, policy, board, tmp_path):
    model = frontends.load(name)
    samples = samples_of(model, STEPS)
    gradients, losses, weights = interpreted(model, policy, samples)
    assert gradients
    runs = {
        schedule: emulated(model, policy, schedule, boards.get(board), samples, tmp_path / schedule)
        for schedule in ("vanilla", "reordered")
    }
    for got_gradients, got_losses, got_weights in runs.values():
        assert set(got_gradients) == set(gradients)
        for parameter, want in gradients.items():
            assert relative(got_gradients[parameter], want.reshape(-1)) <= 1e-5, parameter
        assert relative(got_losses, losses) <= 1e-5
        assert max(abs(np.array(got_losses) - losses) / np.maximum(losses, 1e-2)) <= 1e-4
        for parameter, want in weights.items():
            assert relative(got_weights[parameter], want.reshape(-1)) <= 1e-5, parameter
    vanilla, reordered = runs["vanilla"], runs["reordered"]
    assert vanilla[1] == reordered[1]
    assert all(np.array_equal(vanilla[2][parameter], reordered[2][parameter]) for parameter in weights)
    frozen = set(weights) - set(gradients)
    assert all(np.array_equal(vanilla[2][p], model.weights[p].reshape(-1)) for p in frozen)


@pytest.mark.parametrize("name", ["mlp", "lenet"])
def test_a_batch_trains_on_the_mean(name, tmp_path):
    model = frontends.load(name, batch=4)
    samples = samples_of(model, 5)
    _, losses, weights = interpreted(model, "full", samples)
    _, got_losses, got_weights = emulated(model, "full", "reordered", boards.get("nrf52840"), samples, tmp_path)
    assert relative(got_losses, losses) <= 1e-5
    for parameter, want in weights.items():
        assert relative(got_weights[parameter], want.reshape(-1)) <= 1e-5, parameter


@pytest.mark.parametrize("name", ["mlp", "lenet"])
def test_gradients_of_whole_networks_equal_finite_differences(name):
    model = frontends.load(name, batch=2)
    ((x, y),) = samples_of(model, 1)
    marked = apply_policy(model.graph, parse_policy("full"))
    rng = np.random.default_rng(5)
    # Blank pixels under zero biases sit on ReLU's kink and tie in max pooling: move off it.
    weights = {name: w + 0.1 * rng.normal(size=w.shape) for name, w in model.weights.items()}
    feeds = {"input0": x + 0.1 * rng.random(x.shape), "label0": y}
    graph = with_loss(marked)

    def loss(moved):
        return float(interpret(graph, feeds | moved, np.float64)[graph.outputs[0]])

    gradients = gradient_values(marked, feeds | weights, np.float64)
    along = {parameter: rng.normal(size=values.shape) for parameter, values in weights.items()}
    h = 1e-6
    ahead = loss({p: w + h * along[p] for p, w in weights.items()})
    behind = loss({p: w - h * along[p] for p, w in weights.items()})
    want = (ahead - behind) / (2 * h)
    got = sum(float((gradients[p] * along[p]).sum()) for p in weights)
    assert abs(got - want) <= 1e-6 * max(abs(want), 1)
