"""The emulated training run equals the interpreter's, and vanilla equals reordered to the bit."""

import numpy as np
import pytest

from workbench import boards, data, frontends, session
from workbench.autodiff import differentiate, training_step
from workbench.emulate.device import Device
from workbench.emulate.machine import Machine
from workbench.ir import op as ops
from workbench.ir.build import Builder
from workbench.ir.interpret import interpret
from workbench.passes.apply_policy import apply_policy
from workbench.passes.permute_channels import largest_first, permuted, restored
from workbench.policy import PLAIN_SGD, Optimizer, parse_policy
from workbench.training import read_parameter

STEPS = 50
RATE, RATE_BIAS = np.float32(0.02), np.float32(0.01)
NETWORKS = ("mlp", "lenet")
POLICIES = ("full", "bias-only", "last-1", "last-2", "last-3")


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


def interpreted(model, policy, samples, optimizer=PLAIN_SGD):
    """First batch's gradients, the loss of each batch and the weights at the end, by the interpreter in float32."""
    policy = parse_policy(policy)
    marked = apply_policy(model.graph, policy)
    orders = largest_first(marked, model.weights) if policy.channels == "largest" else {}
    step = training_step(marked, optimizer)
    without_update = step.with_nodes(node for node in step.nodes if ops.get(node.op).phase != "update")
    (loss,) = step.outputs
    kept = permuted(model.weights, orders) | {name: np.zeros(step.types[name].shape, np.float32) for name in step.state}
    losses, gradients = [], {}
    for number, (x, y) in enumerate(samples, 1):
        graph = without_update if number % optimizer.accumulate else step
        feeds = {"input0": x, "label0": y, "lr": RATE, "lr_bias": RATE_BIAS} | kept
        got = interpret(graph, {name: feeds[name] for name in graph.arguments})
        gradients = gradients or gradient_values(marked, feeds)
        losses.append(float(got[loss]))
        kept = {name: got[name] for name in step.persistent}
    return gradients, losses, restored({name: kept[name] for name in step.parameters}, orders)


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


def emulated(model, policy, schedule, board, samples, folder, optimizer=PLAIN_SGD):
    """The same three from the firmware; gradients are read between operators, before they are overwritten."""
    built = session.build(session.compile(model, policy, schedule, optimizer), board, folder)
    device = Device(Machine(built.image.elf, built.image.board), list(built.project.buffers), list(built.project.ops))
    device.set_rates(float(RATE), float(RATE_BIAS))
    graph = built.compiled.graph
    wanted = {
        node.results[0]: node.label.removeprefix("d.") for node in graph.nodes
        if node.label.startswith("d.") and node.label.removeprefix("d.") in graph.parameters
    }  # fmt: skip
    gradients = {}
    maker = {row.id: row for row in built.project.buffers}
    first = device.train_step_by_operator if optimizer.accumulate == 1 else device.accumulate_by_operator
    for op in first(*samples[0]):
        for identifier in op.writes:
            for value in set(maker[identifier].values) & set(wanted):
                gradients[wanted[value]] = device.read(maker[identifier])
    losses = [device.loss]
    for number, (x, y) in enumerate(samples[1:], 2):
        losses.append((device.accumulate if number % optimizer.accumulate else device.train_step)(x, y))
    weights = {name: read_parameter(device, name, graph.types[name]) for name in graph.parameters}
    return gradients, losses, restored(weights, built.compiled.orders)


@pytest.mark.parametrize("board", ["nrf52840", "stm32f746"])
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", NETWORKS)
def test_emulated_training_equals_the_interpreter(name, policy, board, tmp_path):
    check_training(frontends.load(name), policy, board, tmp_path)


LARGER = (
    *(("resnet", "bias-only", "nrf52840"), ("mobilenet", "full", "stm32f746")),
    *(pytest.param(*cell, marks=pytest.mark.long) for cell in (
        ("resnet", "full", "nrf52840"), ("resnet", "full", "stm32f746"), ("mobilenet", "full", "nrf52840"),
        ("mobilenet", "bias-only", "nrf52840"),
    )),
)  # fmt: skip


@pytest.mark.parametrize(("name", "policy", "board"), LARGER)
def test_larger_networks_equal_the_interpreter(name, policy, board, tmp_path):
    check_training(frontends.load(name), policy, board, tmp_path, steps=8)


PARTS = [
    ("mlp", "fc2:0.25+fc3:0.5", "nrf52840"),
    ("lenet", "bias-only+head", "nrf52840"),
    ("lenet", "conv1+fc1:0.3", "stm32f746"),
    ("lenet", "bias-only+conv2:0.25+fc1:0.5+largest", "nrf52840"),
    pytest.param("resnet", "biases-3+stage1.conv2:0.5+stage2.conv1:0.25+largest", "stm32f746", marks=pytest.mark.long),
    ("mobilenet", "block2.depthwise:0.5+block3.expand:0.3+block4.project", "nrf52840"),
]


@pytest.mark.parametrize(("name", "policy", "board"), PARTS)
def test_parts_of_weights_are_trained_as_the_interpreter_does(name, policy, board, tmp_path):
    check_training(frontends.load(name), policy, board, tmp_path, steps=10)


def test_parts_with_momentum_in_accumulated_batches(tmp_path):
    policy = "biases-2+conv2:0.5+fc1:0.25+largest"
    check_training(frontends.load("lenet", 2), policy, "nrf52840", tmp_path, VARIANTS["all"][1], steps=12)


VARIANTS = {
    "batch 8": (8, PLAIN_SGD),
    "accumulate 4": (1, Optimizer(accumulate=4)),
    "momentum": (1, Optimizer(momentum=0.9)),
    "all": (2, Optimizer(momentum=0.5, weight_decay=0.01, accumulate=2)),
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", NETWORKS)
def test_batches_accumulation_and_momentum(name, variant, tmp_path):
    batch, optimizer = VARIANTS[variant]
    check_training(frontends.load(name, batch), "full", "nrf52840", tmp_path, optimizer, steps=12)


def check_training(model, policy, board, tmp_path, optimizer=PLAIN_SGD, steps=STEPS):
    samples = samples_of(model, steps)
    gradients, losses, weights = interpreted(model, policy, samples, optimizer)
    assert gradients
    runs = {
        schedule: emulated(model, policy, schedule, boards.get(board), samples, tmp_path / schedule, optimizer)
        for schedule in ("vanilla", "reordered")
    }
    for got_gradients, got_losses, got_weights in runs.values():
        assert set(got_gradients) == set(gradients)
        for parameter, want in gradients.items():
            assert relative(got_gradients[parameter], want.reshape(-1)) <= 1e-5, parameter
        assert relative(got_losses, losses) <= 1e-5
        assert max(abs(np.array(got_losses) - losses) / np.maximum(losses, 1e-2)) <= 1e-5
        for parameter, want in weights.items():
            assert relative(got_weights[parameter], want) <= 1e-5, parameter
    optimized = emulated(model, policy, "optimized", boards.get(board), samples, tmp_path / "optimized", optimizer)
    assert relative(optimized[1], losses) <= 1e-5
    assert all(relative(optimized[2][parameter], want) <= 1e-5 for parameter, want in weights.items())
    vanilla, reordered = runs["vanilla"], runs["reordered"]
    assert vanilla[1] == reordered[1]
    assert all(np.array_equal(vanilla[2][parameter], reordered[2][parameter]) for parameter in weights)
    frozen = set(weights) - set(gradients)
    assert all(np.array_equal(vanilla[2][p], model.weights[p]) for p in frozen)


@pytest.mark.long
@pytest.mark.parametrize("variant", ["all"])
@pytest.mark.parametrize("name", ["resnet", "mobilenet"])
def test_larger_networks_in_batches(name, variant, tmp_path):
    batch, optimizer = VARIANTS[variant]
    check_training(frontends.load(name, batch), "full", "stm32f746", tmp_path, optimizer, steps=4)


def test_accumulating_batches_is_a_larger_batch(tmp_path):
    """Four batches of two, accumulated, are one batch of eight, up to rounding."""
    large, small = frontends.load("lenet", 8), frontends.load("lenet", 2)
    samples = samples_of(large, 3)
    parts = [(x[at : at + 2], y[at : at + 2]) for x, y in samples for at in range(0, 8, 2)]
    board = boards.get("nrf52840")
    _, _, want = emulated(large, "full", "reordered", board, samples, tmp_path / "large")
    _, _, got = emulated(small, "full", "reordered", board, parts, tmp_path / "small", Optimizer(accumulate=4))
    for parameter, values in want.items():
        assert relative(got[parameter], values) <= 1e-5, parameter


@pytest.mark.parametrize("name", NETWORKS)
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
