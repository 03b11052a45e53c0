"""`check` agrees where C and numpy agree, and names the node and the index where they don't."""

import numpy as np
import pytest

from workbench import boards, frontends, session, toolchain
from workbench.cli import main
from workbench.codegen import Project
from workbench.frontends import Model
from workbench.frontends.layers import Network
from workbench.ir.build import Builder
from workbench.policy import Optimizer
from workbench.study.check import adds_up, check
from workbench.training import Training

BOARD = boards.get("nrf52840")


def built(folder, name="lenet", spoil=lambda files: files, **options):
    compiled = session.compile(frontends.load(name), **options)
    good = session.build(compiled, BOARD, folder)
    files = spoil(dict(good.project.files))
    project = Project(files, good.project.buffers, good.project.ops)
    image = toolchain.build(project, BOARD, folder, compiled.memory.plan.bytes)
    return session.Built(compiled, BOARD, project, image, 0.0)


@pytest.mark.parametrize("schedule", ["vanilla", "reordered"])
def test_every_node_agrees(schedule, tmp_path):
    result = built(tmp_path, schedule=schedule, optimizer=Optimizer(momentum=0.9, accumulate=2))
    rows = check(result, Training())
    assert [row.position for row in rows] == sorted(row.position for row in rows)
    assert {row.position for row in rows} == set(range(len(result.project.ops)))
    assert all(row.agrees and row.own <= 1e-6 and row.total <= 1e-5 for row in rows)


@pytest.mark.parametrize(
    ("file", "old", "new", "op"),
    [
        ("kernels/relu_grad_f32.h", "y[i] > 0.0f ?", "y[i] >= 0.0f ?", "relu_grad"),
        ("kernels/sgd_f32.h", "*w -= rate", "*w += rate", "sgd"),
        (
            "kernels/softmax_cross_entropy_f32.h",
            "dx[label] = -others;",
            "dx[label] = 1.0f - others;",
            "cross_entropy_grad",
        ),
        ("kernels/dense_f32.h", "sum += p[i]", "sum += 1.01f * p[i]", "dense"),
    ],
)
def test_a_wrong_kernel_is_named(file, old, new, op, tmp_path):
    def spoil(files):
        assert old in files[file]
        return files | {file: files[file].replace(old, new)}

    rows = check(built(tmp_path, spoil=spoil, schedule="reordered"), Training())
    wrong = [row for row in rows if not row.agrees]
    assert op in wrong[0].symbol
    assert wrong[0].index is not None
    assert abs(wrong[0].expected - wrong[0].got) > 1e-6
    assert all(row.agrees for row in rows[: rows.index(wrong[0])])
    # a difference is its own: later operators of other kinds, fed with the wrong values, still agree with numpy
    assert {row.symbol.split("_", 2)[2] for row in wrong} <= {op, "matmul", "dense", "softmax_cross_entropy_grad"}


def test_not_a_number_is_a_difference(tmp_path):
    def spoil(files):
        text = files["kernels/relu_grad_f32.h"].replace("dy[i] : 0.0f;", 'dy[i] : __builtin_nanf("");')
        return files | {"kernels/relu_grad_f32.h": text}

    wrong = [row for row in check(built(tmp_path, spoil=spoil), Training()) if not row.agrees]
    assert "relu" in wrong[0].symbol
    assert wrong[0].own == np.inf


def test_a_trained_network_agrees_though_its_loss_is_all_but_zero(tmp_path):
    """A sure network's loss and gradient are tiny: they must not be what two large numbers leave."""
    _, weights = session.train(session.build(session.compile(frontends.load("mlp")), BOARD, tmp_path / "trained"),
                               Training(epochs=8, lr=0.05, trace="off", evaluate=False))  # fmt: skip
    model = session.with_weights(frontends.load("mlp"), weights)
    result = session.build(session.compile(model), BOARD, tmp_path / "again")
    for seed in range(8, 14):
        assert all(row.own <= 1e-6 and row.index is None for row in check(result, Training(seed=seed)))


def test_the_input_may_be_called_anything(tmp_path):
    build = Builder()
    x, w = build.input("image", (1, 4)), build.parameter("w", (3, 4))
    weights = {"w": np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)}
    model = Model("named", build.graph(build.dense(x, w)), weights, None, "")
    assert all(row.agrees for row in check(session.build(session.compile(model), BOARD, tmp_path), Training()))


def test_the_verb(capsys, golden):
    assert main(["check", "mlp"]) == 0
    out = capsys.readouterr().out
    assert "mlp: 15 operators agree with numpy" in out
    assert main(["check", "mlp", "-v", "--policy", "last-1"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == [
        "operator",
        "value",
        "own",
        "whole",
        "step",
        "first",
        "that",
        "differs",
        "node",
    ]
    assert "op_005_matmul_sgd" in out
    assert main(["check", "conv-relu"]) == 1


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
    rows = check(session.build(session.compile(joined(), policy), BOARD, tmp_path), Training())
    assert all(row.agrees for row in rows)
    assert adds_up(rows)


def test_operators_that_agree_one_by_one_may_not_add_up(tmp_path, capsys, monkeypatch):
    """A wrong weight to begin with: what each operator makes of it is right."""

    def spoil(files):
        head, values, rest = files["parameters.c"].partition(" = {\n    ")
        return files | {"parameters.c": head + values + "9" + rest.lstrip("-")}

    wrong = built(tmp_path, spoil=spoil)
    rows = check(wrong, Training())
    assert all(row.agrees for row in rows)
    assert not adds_up(rows)
    monkeypatch.setattr(session, "build", lambda *_, **__: wrong)
    assert main(["check", "lenet"]) == 3
    assert "the whole step does not" in capsys.readouterr().out
