"""Whole runs: the measures add up, tracing changes nothing, what was observed is what was planned."""

import re
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import workbench
from workbench import boards, frontends, session
from workbench.emulate.device import Device
from workbench.emulate.machine import Machine
from workbench.errors import BudgetError, DataError, ModelError, PolicyError
from workbench.feeding import Training
from workbench.frontends import Model
from workbench.frontends.layers import Network
from workbench.ir import op as ops
from workbench.ir.build import Builder
from workbench.kernels import declared
from workbench.kernels.declared import templates
from workbench.objective import Objective
from workbench.policy import PLAIN_SGD, Optimizer, parse_policy
from workbench.trace.tracer import Tracer


@pytest.fixture(scope="module")
def runs():
    return {
        (name, schedule): workbench.run(name, schedule=schedule, steps=3, trace="memory")
        for name in ("mlp", "lenet")
        for schedule in ("vanilla", "reordered")
    }


@pytest.mark.parametrize("policy", ["bias-only", "conv2:0.25+fc2", "conv1+fc1:0.5+largest"])
def test_of_a_partly_updated_weight_its_part_is_counted(policy):
    """As updated is what lies in SRAM, four bytes each."""
    run = workbench.run("lenet", policy=policy, steps=1, trace="off", evaluate=False)
    kept = run.buffers[(run.buffers.role == "parameter") & (run.buffers.storage == "sram")]
    assert 4 * run.meta["parameters_updated"] == kept["size"].sum() > 0


def test_passes_of_a_run_can_be_changed():
    run = workbench.run("mlp", passes="-in-place", steps=1, trace="off", evaluate=False)
    assert "fuse-update" in run.meta["passes"]
    assert "in-place" not in run.meta["passes"]


def test_measures_add_up(runs):
    for run in runs.values():
        memory = run.meta["memory"]
        assert memory["sram_planned"] == memory["static"] + memory["arena_planned"] + memory["stack_reserve"]
        assert memory["sram_peak"] == memory["static"] + memory["arena_touched"] + memory["stack_peak"]
        assert sum(memory["planned_by_role"].values()) == memory["sram_planned"]
        assert sum(memory["touched_by_role"].values()) == memory["sram_peak"]
        assert min(memory["planned_by_role"].values()) >= 0
        assert run.ops.instructions.sum() <= run.meta["instructions_per_step"]
        board = boards.get(run.meta["board"])
        assert run.meta["milliseconds_per_step"] == 1000 * run.meta["modelled_cycles_per_step"] / board.clock_hz


def test_what_was_touched_is_what_was_planned(runs):
    for run in runs.values():
        memory = run.meta["memory"]
        assert run.violations.empty
        assert memory["arena_touched"] == memory["arena_planned"]
        assert 0 < memory["stack_peak"] <= memory["stack_reserve"]
        arena = run.buffers[run.buffers.storage == "arena"]
        assert (arena.touched == arena["size"].where(arena["size"] % 4 == 0)).mean() > 0.9
        born = arena[~arena.role.isin(["input", "label"])]
        assert (born.first_write == born.lower).all()
        assert (arena.last_read == arena.upper - 1).all()


def test_reordered_needs_less(runs):
    for name in ("mlp", "lenet"):
        vanilla, reordered = (runs[name, schedule].meta["memory"]["sram_peak"] for schedule in ("vanilla", "reordered"))
        assert reordered < vanilla


def test_schedules_train_alike(runs):
    for name in ("mlp", "lenet"):
        assert runs[name, "vanilla"].meta["loss"] == runs[name, "reordered"].meta["loss"]


def test_a_run_is_saved_and_loaded(runs, tmp_path):
    run = runs["lenet", "reordered"]
    run.save(tmp_path)
    again = workbench.load_run(tmp_path)
    assert again.meta == run.meta
    assert again.graph == run.graph
    assert again.buffers["touched"].tolist() == run.buffers["touched"].astype(float).tolist()


def sram_after_three_steps(name, level, board, folder):
    built = session.build(session.compile(frontends.load(name)), board, folder)
    device = Device(Machine(built.image.elf, built.image.board), list(built.project.buffers), list(built.project.ops))
    tracer = Tracer(device.machine, device.buffers, device.ops, level)
    rng = np.random.default_rng(2)
    tracer.attach()
    device.wrote = tracer.host_wrote
    device.set_rates(0.02, 0.02)
    for _ in range(3):
        tracer.begin_call()
        device.train_step(rng.random(device.input.size // 4, np.float32), rng.integers(0, 10, 1))
    return device.machine.snapshot_sram(), tracer.totals().instructions


@pytest.mark.parametrize("board", ["nrf52840", "stm32f746"])
def test_traced_and_untraced_runs_end_in_the_same_memory(board, tmp_path):
    plain, nothing = sram_after_three_steps("lenet", "off", boards.get(board), tmp_path)
    ops, counted = sram_after_three_steps("lenet", "ops", boards.get(board), tmp_path)
    memory, counted_again = sram_after_three_steps("lenet", "memory", boards.get(board), tmp_path)
    assert plain == ops == memory
    assert nothing is None
    assert counted == counted_again > 3 * 100_000


def test_evaluation_disturbs_nothing(tmp_path):
    built = session.build(session.compile(frontends.load("mlp")), boards.get("nrf52840"), tmp_path)
    rng = np.random.default_rng(0)
    x, y = rng.random((4, 1, 64), np.float32), rng.integers(0, 10, (4, 1), np.int32)

    def losses(evaluate):
        device = Device(
            Machine(built.image.elf, built.image.board), list(built.project.buffers), list(built.project.ops)
        )
        device.set_rates(0.02, 0.02)
        result = []
        for image, label in zip(x, y, strict=True):
            if evaluate:
                before = device.parameters()
                device.outputs(x[:, 0])
                assert all(np.array_equal(before[name], now) for name, now in device.parameters().items())
            result.append(device.train_step(image, label))
        assert device.machine.read_u32("wb_step") == 4
        return result

    assert losses(True) == losses(False)


def test_outputs_of_any_number_of_inputs_are_the_same_in_batches(tmp_path):
    made = []
    for batch in (1, 7):
        built = session.build(
            session.compile(frontends.load("lenet", batch)), boards.get("nrf52840"), tmp_path / str(batch)
        )
        device = Device(
            Machine(built.image.elf, built.image.board), list(built.project.buffers), list(built.project.ops)
        )
        made.append(device.outputs(np.random.default_rng(0).random((10, 1, 8, 8), np.float32)))
    assert made[0].shape == (10, 10) and np.array_equal(*made)


def test_levels_below_memory_measure_what_they_say():
    off = workbench.run("mlp", steps=1, trace="off").meta
    ops = workbench.run("mlp", steps=1, trace="ops").meta
    assert off["instructions_per_step"] is None
    assert off["modelled_cycles_per_step"] is None
    assert off["memory"]["stack_peak"] == ops["memory"]["stack_peak"] > 0
    assert ops["instructions_per_step"] > 1000
    assert ops["memory"]["arena_touched"] is ops["memory"]["sram_peak"] is None


def test_the_same_seed_gives_the_same_run_and_another_one_not():
    losses = [workbench.run("mlp", steps=5, trace="off", seed=seed).meta["loss"] for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


def test_learning_rate_decays_an_epoch():
    from itertools import islice

    from workbench.feeding import samples_of, steps_of

    model = frontends.load("mlp", batch=500)
    options = Training(lr=0.1, lr_bias=0.2, lr_decay=0.5)
    steps = list(islice(steps_of(samples_of(model, options), 250, 2, options), 5))
    assert [[len(x) for x, _ in step.batches] for step in steps] == 5 * [[250, 250]]
    assert [step.lr for step in steps] == [0.1, 0.1, 0.05, 0.05, 0.025]
    assert [step.lr_bias for step in steps] == [0.2, 0.2, 0.1, 0.1, 0.05]


def test_trained_weights_can_be_loaded_again():
    model = frontends.load("mlp")
    built_run = workbench.run("mlp", weights=dict(model.weights), steps=2, trace="off")
    assert built_run.meta["loss"] == workbench.run("mlp", steps=2, trace="off").meta["loss"]
    with pytest.raises(ModelError, match=r"fc1\.bias is missing"):
        workbench.run("mlp", weights={"fc1.weight": model.weights["fc1.weight"]})


def test_an_argument_nobody_reads_is_told():
    build = Builder()
    x, w = build.input("input0", (1, 3)), build.parameter("fc.weight", (2, 3))
    build.parameter("idle.weight", (4, 4))
    weights = {"fc.weight": np.ones((2, 3)), "idle.weight": np.ones((4, 4))}
    with pytest.raises(ModelError, match=r"nothing reads idle\.weight"):
        session.compile(Model("odd", build.graph(build.dense(x, w)), weights, None, ""))


def test_start_up_sets_what_a_real_core_needs(tmp_path):
    """Garbage in SRAM, as after power-on: .bss is zero, .data is copied, the FPU is on, faults are handled."""
    built = session.build(session.compile(frontends.load("mlp")), boards.get("stm32f746"), tmp_path)
    machine = Machine(built.image.elf, built.image.board)
    machine.write(built.board.sram_base, b"\xa5" * built.board.sram_size)
    machine.start()
    assert machine.read_u32("wb_step") == 0
    assert machine.read_f32("wb_loss") == 0
    weights = machine.read_array("p_fc1_weight", np.float32, 4096)
    assert np.array_equal(weights, built.compiled.model.weights["fc1.weight"].reshape(-1))
    assert machine.read_u32(0xE000ED88) >> 20 & 0xF == 0xF  # CPACR: CP10 and CP11, the FPU
    vectors = machine.read_array("wb_vectors", np.uint32, 16)
    assert vectors[0] == built.board.sram_end
    assert vectors[1] == machine.elf.address("Reset_Handler") | 1
    assert set(vectors[2:7]) == {machine.elf.address("Fault_Handler") | 1}


def test_scratch_of_a_kernel_is_planned_and_passed(tmp_path, monkeypatch):
    """An operator that asks for scratch gets it for its position alone; the trace sees it used there."""
    relu_grad = ops.get("nn.relu_grad")
    kernel = replace(relu_grad.kernel, function="scratch_f32", header="scratch_f32.h", scratch=lambda dy, y: 100)
    monkeypatch.setitem(ops._REGISTRY, "nn.relu_grad", replace(relu_grad, kernel=kernel))
    kernels = tmp_path / "templates"
    shutil.copytree(templates(), kernels)
    (kernels / "kernels/scratch_f32.h").write_text(
        '#include "relu_f32.h"\n'
        "WB_KERNEL void scratch_f32(wb_shape p, wb_tile t, wb_view_f32 dy, wb_view_f32 y, wb_view_f32 dx,"
        " uint8_t *scratch)\n"
        "{ for (int i = 0; i < 100; ++i) ((volatile uint8_t *)scratch)[i] = (uint8_t)i;"
        " relu_grad_f32(p, t, dy, y, dx); }\n"
    )
    monkeypatch.setattr(declared, "templates", lambda: kernels)
    declared.forget()
    run = workbench.run("mlp", steps=2, trace="memory")
    scratch = run.buffers[run.buffers.role == "scratch"]
    assert scratch[["size", "touched"]].to_numpy().tolist() == [[100, 100]] * 2
    assert (scratch.upper == scratch.lower + 1).all()
    assert run.violations.empty
    monkeypatch.undo()
    declared.forget()
    assert run.meta["loss"] == workbench.run("mlp", steps=2, trace="off").meta["loss"]


def test_what_cannot_be_trained_is_told():
    with pytest.raises(ModelError, match="cross-entropy takes class scores"):
        workbench.run("conv-relu", loss="cross-entropy")
    with pytest.raises(DataError, match="no data set is called 'cifar'"):
        workbench.run("mlp", data="cifar")
    with pytest.raises(DataError, match="needs as many samples"):
        workbench.run("mlp", batch=2000, virtual=True)


def test_a_refusal_offers_the_most_that_fits(tmp_path):
    """lenet's last three layers fit 24 KB, all four do not."""
    with pytest.raises(BudgetError) as caught:
        session.run("lenet", sram="24K", schedule="reordered", folder=tmp_path)
    hint = str(caught.value).split("help: ")[1]
    offers = dict(re.findall(r"--policy (\S+) needs about ([\d.]+) KB", hint))
    assert list(offers) == ["last-3", "bias-only+head", "bias-only"]
    assert "--board" not in hint  # no board was chosen for its size
    run = session.run("lenet", sram="24K", schedule="reordered", policy="last-3", steps=1, evaluate=False)
    assert f"{run.meta['memory']['sram_planned'] / 1024:.1f}" == offers["last-3"]


@pytest.mark.parametrize(
    ("needs", "offered"),
    [
        ({"sparse-49kb": 70, "sparse-74kb": 80, "sparse-99kb": 90, "sparse-124kb": 110}, ["sparse-99kb"]),
        ({"sparse-49kb": 120, "last-1": 80}, ["last-1"]),
        ({}, []),
    ],
)
def test_a_network_s_own_policies_are_offered_first_and_few_are_tried(needs, offered, monkeypatch):
    compiled = SimpleNamespace(model=frontends.load("mcunet-5fps"), policy=parse_policy("full"), schedule="optimized",
                               optimizer=PLAIN_SGD, passes=(), objective=Objective(), kilobytes=500)  # fmt: skip
    board = boards.get("nrf52840").with_sram(100 * 1024)
    tried = []

    def compiled_with(policy, **_):
        tried.append(policy)
        return SimpleNamespace(kilobytes=needs.get(policy, 500))

    monkeypatch.setattr(session, "compile", compiled_with)
    monkeypatch.setattr(session, "_sram_of", lambda compiled: compiled.kilobytes * 1024)
    hint = session._what_would_fit(compiled, board, 500 * 1024)
    assert re.findall(r"--policy (\S+)", hint) == offered
    assert len(tried) == len(set(tried)) <= 4


def test_slips_in_python_are_told():
    with pytest.raises(DataError, match="there is no option 'epoch'"):
        session.run("mlp", epoch=2)
    with pytest.raises(
        DataError, match=r"no option 'polcy'\n  help: did you mean policy\? there are policy, .*passes, .*steps, epochs"
    ):
        session.run("mlp", polcy="full")
    with pytest.raises(PolicyError, match="a policy is a text or an UpdatePolicy; got"):
        session.run("mlp", policy={"weights": {"fc1": 1}})
    with pytest.raises(DataError, match="both steps and epochs"):
        session.run("mlp", steps=1, epochs=2)
    model = workbench.load("mlp", 2)
    for start in (session.run, lambda model, **options: workbench.compare(model, ["full"], **options)):
        with pytest.raises(ModelError, match="made for a batch of 2; it cannot be run with batch=8"):
            start(model, batch=8)


@pytest.mark.parametrize(
    "options",
    [
        {"lr": 1e39}, {"lr": "0.1"}, {"lr_bias": -1}, {"lr_decay": float("nan")}, {"lr": 1e-60}, {"steps": 0},
        {"steps": 2.5}, {"epochs": -1}, {"steps": None}, {"seed": -1}, {"seed": 2**53}, {"trace": "all"},
        {"data": "nope"}, {"epochs": 20, "lr_decay": 1e30},
    ],
)  # fmt: skip
def test_training_that_cannot_be_is_refused_before_anything_is_built(options, tmp_path):
    with pytest.raises(DataError):
        session.run("mlp", folder=tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options", [{"accumulate": 2.5}, {"accumulate": 0}, {"momentum": 1}, {"momentum": "x"}, {"weight_decay": 1e39}]
)
def test_an_update_that_cannot_be_is_refused(options):
    ((name, value),) = options.items()
    with pytest.raises(PolicyError, match=f"{name} is {re.escape(repr(value))}, not a "):
        Optimizer(**options)


def test_a_run_of_numpy_s_numbers_is_saved_like_any_other(tmp_path):
    optimizer = Optimizer(momentum=np.float32(0.5), accumulate=np.int64(2))
    run = workbench.run("mlp", batch=np.int64(2), steps=np.int64(1), seed=np.int64(3), lr=np.float32(0.5),
                        optimizer=optimizer, evaluate=False)  # fmt: skip
    run.save(tmp_path)
    assert workbench.load_run(tmp_path).meta == run.meta
    assert run.meta["lr"] == run.meta["lr_bias"] == run.meta["momentum"] == 0.5


def test_constants_are_folded_and_the_weights_come_back_whole(tmp_path):
    """A weight that is stored transposed: the firmware holds it as it is used, the caller gets his own back."""
    build = Builder()
    x, w, v = build.input("input0", (1, 6)), build.parameter("w", (6, 4)), build.parameter("v", (3, 4))
    logits = build.dense(build.relu(build.dense(x, build.transpose(w, axes=(1, 0)))), v)
    rng = np.random.default_rng(1)
    weights = {"w": rng.normal(size=(6, 4)).astype(np.float32), "v": rng.normal(size=(3, 4)).astype(np.float32)}
    model = Model("turned", build.graph(logits), weights, None, "")
    built = session.build(session.compile(model, "last-1", "vanilla"), boards.get("nrf52840"), tmp_path)
    assert "transpose" not in {node.op for node in built.compiled.graph.nodes}
    _, after = session.train(built, Training(steps=3, trace="off"))
    assert set(after) == {"w", "v"}
    assert np.array_equal(after["w"], weights["w"])
    assert not np.array_equal(after["v"], weights["v"])
    unfolded = session.build(session.compile(model, "last-1", "vanilla", passes="-fold-constants"),
                             boards.get("nrf52840"), tmp_path / "whole")  # fmt: skip
    assert np.array_equal(session.train(unfolded, Training(steps=3, trace="off"))[1]["v"], after["v"])


def test_a_weight_that_only_sees_padding_is_there_all_the_same():
    net = Network("odd", (1, 1, 4, 1))
    x = net.conv2d(net.input, "c", 2, 1, stride=3, padding=2)
    run = workbench.run(net.model(net.dense(net.flatten(x), "fc", 3)), policy="last-1", steps=2)
    assert "c.weight" in set(run.buffers.parameter)


def test_the_machine_runs_what_was_built_whatever_becomes_of_the_folder(tmp_path):
    """Two runs in one folder: between the build and the training of the first comes the whole second one."""
    losses = []
    for seed in (0, 1):
        compiled = session.compile(frontends.load("mlp", seed=seed), "last-1")
        options = Training(steps=2, seed=seed, evaluate=False)
        alone = session.train(session.build(compiled, boards.get("nrf52840")), options)[0].meta["loss"]
        losses.append((session.build(compiled, boards.get("nrf52840"), tmp_path / "firmware"), options, alone))
    assert losses[0][2] != losses[1][2]
    for built, options, alone in losses:
        assert session.train(built, options)[0].meta["loss"] == alone
    shutil.rmtree(tmp_path / "firmware")
    for built, options, alone in losses:
        assert session.train(built, options)[0].meta["loss"] == alone
