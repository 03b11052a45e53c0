"""The twin gives the emulated core's bits: losses, weights and other state, step after step; each operator alone."""

import ctypes
import gc
import multiprocessing
import re
import shutil
import subprocess
import threading
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from graphs import int8net, mixednet, small_stem
from samples import every_sample, one_project, with_no_numbers

from workbench import boards, native, session
from workbench.codegen import generate
from workbench.emulate.device import Device
from workbench.emulate.machine import Machine
from workbench.emulate.symbols import parse_elf
from workbench.errors import RecordError
from workbench.feeding import Training, first_steps
from workbench.frontends import load
from workbench.ir.types import NUMPY
from workbench.plan.memory import plan_memory
from workbench.policy import PLAIN_SGD, Optimizer
from workbench.toolchain import make_image
from workbench.training import device_of

BOARD = boards.get("nrf52840")
SMALL = ("mlp", "lenet", "mobilenet", "resnet")
LARGE = ("mcunet-5fps", "mbv2-w0.35", "proxyless-w0.3")
MOMENTUM, ACCUMULATED = Optimizer(momentum=0.9), Optimizer(accumulate=2)
CLIPPED = Optimizer(clip=1.0)


COMPILERS = [
    pytest.param(name, marks=pytest.mark.skipif(not shutil.which(name), reason=f"no {name} is installed"))
    for name in ("gcc", "clang")
]


def twin_of(built, files=None, compiler=None) -> Device:
    """A Device of the network's own C, or of other files, on the host."""
    like = built.compiled.graph.types[built.compiled.model.graph.inputs[0]]
    content = native.library(files or built.project.files, compiler and shutil.which(compiler))
    stored = like.stored if like.layout else np.ravel
    return Device(native.Host(content), list(built.project.buffers), list(built.project.ops), stored)


@cache
def built_of(name, policy="full", optimizer=PLAIN_SGD):
    model = replace(load(name), data=None) if name in LARGE else load(name)
    return session.build(session.compile(model, policy, optimizer=optimizer), BOARD)


def steps_for(built, count, lr=0.02):
    options = Training(steps=count, lr=lr)
    return first_steps(built.compiled.model, options, built.compiled.optimizer.accumulate, count)


def assert_equal_bits(built, count, files=None, compiler=None, lr=0.02):
    """All losses of `count` steps, and behind them all state; what is no number counts as the same."""
    emulated, twin = device_of(built), twin_of(built, files, compiler)
    try:
        for number, step in enumerate(steps_for(built, count, lr), 1):
            expected, got = step.run(emulated), step.run(twin)
            assert np.array_equal(expected, got, equal_nan=True), f"step {number}: {got!r}, emulated {expected!r}"
        assert_equal_states(built, emulated.state(), twin.state())
    finally:
        emulated.machine.close()
        twin.machine.close()


def assert_equal_states(built, expected, got):
    types = built.compiled.graph.types
    kinds = {row.symbol: NUMPY[types[row.values[0]].dtype] for row in built.project.buffers if row.values}
    for symbol, bits in expected.items():
        kind = kinds.get(symbol, np.int32)
        ours, theirs = (np.frombuffer(each, kind) for each in (got[symbol], bits))
        assert np.array_equal(ours, theirs, equal_nan=kind == np.float32), symbol


@pytest.mark.parametrize(
    ("name", "policy", "optimizer"),
    [("mlp", "full", MOMENTUM), ("lenet", "last-2", PLAIN_SGD),
     pytest.param("lenet-int8", "full", ACCUMULATED, marks=pytest.mark.long), ("mlp-int8", "bias-only", PLAIN_SGD)],
)  # fmt: skip
def test_fifty_steps_of_four_networks(name, policy, optimizer):
    assert_equal_bits(built_of(name, policy, optimizer), 50)


@pytest.mark.long
@pytest.mark.parametrize("way", ["plain", "accumulate", "momentum or, of integers, clipping"])
@pytest.mark.parametrize("policy", ["full", "bias-only", "last-2"])
@pytest.mark.parametrize("name", [*SMALL, *(f"{name}-int8" for name in SMALL)])
def test_a_thousand_steps_of_every_network(name, policy, way):
    third = CLIPPED if name.endswith("int8") else MOMENTUM
    assert_equal_bits(built_of(name, policy, {"plain": PLAIN_SGD, "accumulate": ACCUMULATED}.get(way, third)), 1000)


@pytest.mark.long
@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize("policy", ["full", "bias-only", "last-2"])
def test_large_networks(name, policy):
    assert_equal_bits(built_of(name, policy), 10)


@pytest.mark.parametrize("compiler", COMPILERS)
def test_either_compiler(compiler):
    assert_equal_bits(built_of("lenet-int8", "full", ACCUMULATED), 10, compiler=compiler)


def test_a_weight_in_two_parts_and_an_image_by_rows():
    assert_equal_bits(built_of("lenet", "conv2:0.5+fc1:0.25+bias-only"), 20)
    built = session.build(session.compile(small_stem(), "last-1", passes="input-rows"), BOARD)
    assert twin_of(built).machine.takes_rows
    assert_equal_bits(built, 5)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_diverges_does_so_alike():
    """Rates so high that the losses become infinite and no number: int8 and float32."""
    assert_equal_bits(built_of("lenet", "last-2"), 10, lr=1e30)
    assert_equal_bits(built_of("lenet-int8", "full", ACCUMULATED), 6, lr=1e30)


def of_graph(graph, weights, compiler=None):
    """An emulated machine and a twin of the same step of a graph, and where its values are."""
    memory = plan_memory(graph, graph.analysis.scratch)
    project = generate(graph, memory, weights, BOARD)
    image = make_image(project, BOARD, memory.plan.bytes)
    emulated = Machine(parse_elf(image.content, Path("random.elf")), image.board)
    emulated.start()
    return project, emulated, native.Host(native.library(project.files, compiler))


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 50))])
@pytest.mark.parametrize("kind", ["float32", "int8"])
def test_random_networks(kind, seed):
    rng = np.random.default_rng([seed, 5])
    graph, weights = int8net(seed) if kind == "int8" else (mixednet(seed), {})
    types = graph.types
    weights = {name: rng.normal(size=types[name].shape).astype(np.float32) for name in graph.parameters} | weights
    project, *machines = of_graph(graph, weights)
    rates = {name: 0.05 for name in graph.inputs if not types[name].rank and types[name].dtype == "float32"}
    lasting = [row for row in project.buffers if row.storage == "sram"]
    for _ in range(3):
        feeds = {name: _drawn(rng, types[name], name) for name in graph.inputs if name not in rates}
        after = []
        for machine in machines:
            for row in project.buffers:
                for name in set(row.values) & {*feeds, *rates}:
                    values = feeds[name] if name in feeds else np.array([rates[name]], np.float32)
                    machine.write_array(machine.elf.address(row.symbol) + row.offset, values)
            machine.call("wb_train_step")
            after.append({row.symbol: machine.read(row.symbol, row.size) for row in lasting})
        assert after[0] == after[1]


def _drawn(rng, kind, name):
    if kind.dtype == "int8":
        return rng.integers(-128, 128, kind.elements).astype(np.int8)
    if kind.dtype == "int32":
        return np.zeros(kind.elements, np.int32)  # a label of any number of classes, a seed
    return rng.normal(size=kind.elements).astype(np.float32)


@pytest.mark.parametrize(  # the firmware of tests/ops/test_every_operator.py
    ("board", "nth"), [("virtual-m7", 12), pytest.param("virtual-m4", 1, marks=pytest.mark.long)]
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_every_operator(board, nth):
    """On its samples, and on NaN and infinity among them; `nth`: see every_sample."""
    board, samples = boards.get(board), every_sample(nth)
    project, run = one_project(board, nth=nth)
    elf, library = make_image(project, board, 0), native.library(project.files)
    for cases in (samples, [(case, op, with_no_numbers(op, sample)) for case, op, sample in samples]):
        emulated = Machine(parse_elf(elf.content, Path("samples.elf")), elf.board)
        expected, got = run(emulated, cases), run(native.Host(library), cases)
        for case, results in expected.items():
            for ours, theirs in zip(got[case], results, strict=True):
                assert np.array_equal(ours, theirs, equal_nan=theirs.dtype == np.float32), case


def test_a_kernel_that_rounds_otherwise_gives_other_weights():
    built = built_of("lenet-int8", "full", ACCUMULATED)
    files = dict(built.project.files)
    right = files["kernels/requantize_s8.h"]
    files["kernels/requantize_s8.h"] = right.replace(" + ((int64_t)1 << 31)) >> 32", ") >> 32")
    assert files["kernels/requantize_s8.h"] != right
    with pytest.raises(AssertionError):
        assert_equal_bits(built, 5, files)


# ---------------------------------------------------------------- one machine beside others


def test_state_moves_between_the_emulated_core_and_the_twin():
    built = built_of("lenet-int8", "full", ACCUMULATED)
    steps = steps_for(built, 6)
    emulated, twin = device_of(built), twin_of(built)
    for step in steps[:3]:
        step.run(twin)
    emulated.restore(twin.state())
    assert int.from_bytes(emulated.state()["wb_step"], "little") == 3
    assert [step.run(emulated) for step in steps[3:]] == [step.run(twin) for step in steps[3:]]
    assert emulated.state() == twin.state()
    state = twin.state()
    with pytest.raises(RecordError, match=r"other tables cannot be put back: odd, wb_loss differ"):
        emulated.restore({**state, "odd": b"", "wb_loss": b""})


def test_each_twin_has_its_own_memory_in_threads_too():
    built = built_of("lenet-int8", "full", ACCUMULATED)
    steps = steps_for(built, 40)
    alone, results = twin_of(built), {}
    expected = [step.run(alone) for step in steps]

    def train(number):
        device = twin_of(built)
        results[number] = [step.run(device) for step in steps]
        device.machine.close()

    threads = [threading.Thread(target=train, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [results[number] for number in range(4)] == [expected] * 4


def test_close_gives_its_memory_back():
    built = built_of("mlp", "full", MOMENTUM)

    def loaded():
        return Path("/proc/self/maps").read_text().count("native_twin")

    before = loaded()
    devices = [twin_of(built) for _ in range(3)]
    assert loaded() > before
    for device in devices:
        device.machine.close()
        device.machine.close()
    assert loaded() == before
    devices = [twin_of(built) for _ in range(3)]
    assert loaded() > before
    del devices, device  # as an error leaves them
    gc.collect()
    assert loaded() == before


def _losses_of(content, built, count):
    device = Device(native.Host(content), list(built.project.buffers), list(built.project.ops))
    return [step.run(device) for step in steps_for(built, count)]


def _in_process(queue, content, count):
    queue.put(_losses_of(content, built_of("mlp", "full", MOMENTUM), count))


def test_a_forked_process_has_one_of_its_own():
    built = built_of("mlp", "full", MOMENTUM)
    content = native.library(built.project.files)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=_in_process, args=(queue, content, 5))
    process.start()
    assert queue.get(timeout=60) == _losses_of(content, built, 5)
    process.join()


def test_a_thread_that_flushes_subnormal_numbers_to_zero_changes_no_bit(tmp_path):
    """As libraries linked with -ffast-math do to whoever loads them."""
    if "x86" not in native.compiler.version(native.host_compiler()):
        pytest.skip("the control register of x86 is meant")
    source, library = tmp_path / "mode.c", tmp_path / "mode.so"
    source.write_text(
        "unsigned get(void) { return __builtin_ia32_stmxcsr(); }\nvoid set(unsigned x) { __builtin_ia32_ldmxcsr(x); }\n"
    )
    subprocess.run([native.host_compiler(), "-shared", "-fPIC", source, "-o", library], check=True)
    mode = ctypes.CDLL(str(library))
    built = built_of("lenet", "last-2")
    tiny = [replace(step, lr=1e-37, lr_bias=1e-37) for step in steps_for(built, 5)]

    def states(of, mxcsr):
        device, found = of(built), []
        before = device.state()
        for step in tiny:
            device.restore({**before, **{name: bytes(len(bits)) for name, bits in before.items() if name[:2] == "p_"}})
            mode.set(mxcsr)
            device.feed(*step.batches[0])
            device.set_rates(step.lr, step.lr_bias)
            device.machine.call("wb_train_step")
            left = mode.get()
            mode.set(plain)
            assert left & 0x8040 == mxcsr & 0x8040  # the thread has its own mode back
            found.append(device.state())
        return found

    plain = mode.get()
    expected = states(device_of, plain)
    updated = np.concatenate(
        [np.frombuffer(bits, np.float32) for name, bits in expected[0].items() if name[:2] == "p_"]
    )
    assert (np.abs(updated[updated != 0]) < 1.17549435e-38).any()  # else nothing is tried
    assert states(twin_of, plain | 0x8040) == expected


def test_what_the_compiler_takes_for_granted_of_arrays_holds():
    """The arena begins where vectors may: clang's loops fault where it does not."""
    twin = twin_of(built_of("mlp", "full", MOMENTUM))
    assert twin.machine.elf.address("wb_arena") % 64 == 0


OF_THE_CORE = r"#if(def|) (defined\(|)(__(arm__|ARM_FP|ARM_FEATURE_(DSP|SAT))|WB_FPU)\b.*?#(else|endif)"


def test_no_statement_of_assembly_is_left_to_the_host():
    """But for empty ones, which only hide a value from the optimizer: each kernel has a portable form."""
    for kernel in Path(session.__file__).parents[1].glob("firmware_templates/kernels/*.h"):
        portable = re.sub(OF_THE_CORE, "", kernel.read_text(), flags=re.S)
        assert set(re.findall(r"__asm\w*[^(]*\(\"([^\"]*)\"", portable)) <= {""}, kernel.name
