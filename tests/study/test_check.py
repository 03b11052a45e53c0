"""`check` agrees where C and numpy agree, and names the operator and the element where they don't."""

import json

import numpy as np
import pytest
from random_models import drawn
from seeded_faults import LISTED, dense, spoilt

from workbench import boards, frontends, session, toolchain
from workbench.autodiff import loss_nodes
from workbench.cli import main, options
from workbench.codegen import Project
from workbench.feeding import Training, first_steps
from workbench.frontends import Model
from workbench.frontends.layers import Network
from workbench.ir.build import Builder
from workbench.ir.interpret import interpret
from workbench.policy import Optimizer
from workbench.pretraining import pretrain
from workbench.study.check import OVERALL, check
from workbench.study.whole import _change, distances
from workbench.training import device_of

BOARD = boards.get("nrf52840")


def built(folder, spoil=lambda files: files, **options):
    compiled = session.compile(frontends.load("lenet"), **options)
    good = session.build(compiled, BOARD, folder)
    project = Project(spoil(dict(good.project.files)), good.project.buffers, good.project.ops)
    image = toolchain.build(project, BOARD, folder, compiled.memory.plan.bytes)
    return session.Built(compiled, BOARD, project, image, 0.0)


@pytest.mark.parametrize("schedule", ["vanilla", "reordered"])
def test_every_operator_agrees_in_every_call(schedule, tmp_path):
    result = built(tmp_path, schedule=schedule, optimizer=Optimizer(momentum=0.9, accumulate=2))
    outcome = check(result, Training())
    assert not outcome.findings
    assert outcome.calls == tuple(
        call
        for step in range(3)
        for call in (f"wb_forward after {step} steps", f"step {step + 1}, batch 1", f"step {step + 1}, batch 2")
    )
    operators = set(range(len(result.project.ops)))
    forward = {op.position for op in result.project.ops if op.phase == "forward"}
    update = {op.position for op in result.project.ops if op.phase == "update"}
    run = [{row.position for row in outcome.rows if row.call == call} for call in outcome.calls]
    assert run == 3 * [forward, operators - update, operators]
    assert outcome.tightest.used < 0.3 and outcome.whole <= 1e-5


def test_a_difference_is_its_own(tmp_path):
    """Later operators of other kinds, fed with the wrong values, still agree with numpy."""

    def spoil(files):
        text = files["kernels/dense_f32.h"].replace("sum += in[i]", "sum += 1.01f * in[i]")
        return files | {"kernels/dense_f32.h": text}

    outcome = check(built(tmp_path, spoil, schedule="reordered"), Training())
    first = outcome.findings[0]
    assert (first.what, first.symbol.split("_", 2)[2]) == ("result", "dense")
    assert len(first.index) == 2 and abs(first.expected - first.got) > 1e3 * first.slack > 0
    wrong = {row.symbol.split("_", 2)[2] for row in outcome.rows if not row.agrees}
    assert wrong == {"dense"}


def test_not_a_number_is_a_difference(tmp_path):
    def spoil(files):
        text = files["kernels/clipped_tile_f32.h"].replace("dy[i] : 0.0f;", 'dy[i] : __builtin_nanf("");')
        return files | {"kernels/clipped_tile_f32.h": text}

    first = check(built(tmp_path, spoil), Training()).findings[0]
    assert "relu" in first.symbol and np.isnan(first.got) and first.expected == 0


def test_a_trained_network_agrees_though_its_loss_is_all_but_zero(tmp_path):
    """A sure network's loss and gradient are tiny: they must not be what two large numbers leave."""
    model = pretrain(frontends.load("mlp"), "digits", epochs=4)
    sure = {name: 3 * value if "fc3" in name else value for name, value in model.weights.items()}
    result = session.build(session.compile(session.with_weights(model, sure)), BOARD, tmp_path)
    losses = [first_steps(model, Training(seed=seed), 1, 1)[0].run(device_of(result)) for seed in range(8, 11)]
    assert 0 < min(losses) < 1e-6
    for seed in range(8, 11):
        assert not check(result, Training(seed=seed)).findings


def test_the_input_may_be_called_anything(tmp_path):
    build = Builder()
    x, w = build.input("image", (1, 4)), build.parameter("w", (3, 4))
    weights = {"w": np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)}
    model = Model("named", build.graph(build.dense(x, w)), weights, None, "")
    assert not check(session.build(session.compile(model), BOARD, tmp_path), Training()).findings


def joined():
    """Branches that are joined and written over, and a global pool over one pixel: numpy gives views of them."""
    net = Network("joined", (1, 1, 8, 8))
    a, b = (net.relu(net.conv2d(net.input, name, 2, 3, padding=1), name) for name in "ab")
    c = net.relu(net.conv2d(net.input, "c", 4, 3, padding=1), "c")
    x = net.add(net.build.concatenate(a, b, axis=1), c, "sum")
    x = net.global_avg_pool2d(net.relu(net.conv2d(x, "d", 5, 8), "d"), "pool")
    return net.model(net.dense(x, "fc", 10), data="digits")


@pytest.mark.parametrize("policy", ["full", "d:0.5+fc"])
def test_it_adds_up_where_values_are_joined_and_written_over(policy, tmp_path):
    outcome = check(session.build(session.compile(joined(), policy), BOARD, tmp_path), Training())
    assert not outcome.findings and outcome.whole < OVERALL


QUICK = (0, 1, 2, 19)  # of 19, two images' gradients cancelled
SEEDS = [pytest.param(seed, marks=[] if seed in QUICK else pytest.mark.long) for seed in range(300)]


@pytest.mark.parametrize("seed", SEEDS)
def test_no_false_alarm_in_random_networks(seed):
    one = drawn(seed)
    outcome = check(session.build(one.compiled(), boards.get(one.board)), Training(seed=seed))
    assert not outcome.findings, one


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100))
def test_no_false_alarm_in_random_networks_that_move_data(seed):
    one = drawn(seed, moving=True)
    outcome = check(session.build(one.compiled(), boards.get(one.board)), Training(seed=seed))
    assert not outcome.findings, one


def test_changes_are_compared_not_weights():
    """At a rate of 1e-6 a doubled and a reversed step leave the weights all but as they were."""
    compiled = session.compile(dense())
    graph, ((x, y),) = compiled.graph, first_steps(compiled.model, Training(), 1, 1)[0].batches
    rate = np.float32(1e-6)
    fed = {"input0": x, "label0": y, "lr": rate, "lr_bias": rate}
    before = {name: compiled.weights[name] for name in graph.parameters}
    kept = {}
    after = interpret(graph, fed | before, observe=lambda node, made: kept.update({node.results[0]: made[0].copy()}))
    logits = kept[loss_nodes(graph)[0].operands[0]]

    def apart(times):
        moved = {name: before[name] + times * _change(before[name], after[name]) for name in before}
        far = max(np.linalg.norm(moved[name] - after[name]) / np.linalg.norm(after[name] + 1e-3) for name in before)
        found = distances(graph, "wb_train_step", before, moved, fed, logits)
        return found["the change of weights (float32)"], found["the change of biases (float32)"], far

    assert apart(1)[:2] == (0, 0)
    for times in (2, -1, 1.01, 0):
        weights, biases, far = apart(times)
        assert min(weights, biases) > OVERALL > far


# ---------------------------------------------------------------------- the verb


def test_the_verb(capsys):
    assert main(["check", "mlp"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("mlp: 15 operators agree with numpy in 6 calls, three training steps among them")
    assert main(["check", "mlp", "-v", "--policy", "last-1"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == ["operator", "value", "of", "its", "rounding", "call", "node"]
    assert "op_005_matmul_sgd" in out
    assert main(["check", "conv-relu"]) == 0  # an output like the input: mse
    assert main(["check", "conv-relu", "--loss", "cross-entropy"]) == 1


def test_the_verb_says_where(tmp_path, capsys, monkeypatch):
    """Operator, element, expected and got, for people and as JSON; exit 3."""
    wrong = spoilt(next(fault for fault in LISTED if fault.name == "the weight step is 0.1 % off"), tmp_path)
    monkeypatch.setattr(session, "build", lambda *_, **__: wrong)
    monkeypatch.setattr(options, "with_data", lambda args, found, how: vars(args).update(samples=None) or found)
    assert main(["check", "mlp"]) == 3  # of another network than the one that is named: on random samples
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("step 1: op_010_sgd (update.fc1.weight) gives %13[0, 0] = 0.0735985786, numpy 0.0735975")
    assert len(lines) <= 13 and lines[-1].startswith("mlp: ") and "differences from numpy in 4 of 14" in lines[-1]
    assert main(["check", "mlp", "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert not told["agrees"] and told["operators"] == 14 and len(told["results"]) > 40
    first = told["findings"][0]
    assert (first["what"], first["symbol"], first["index"]) == ("result", "op_010_sgd", [0, 0])
    assert first["expected"] != first["got"]
