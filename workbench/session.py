"""Compile, build, run: the one driver that the command line, notebooks and studies share.

compiled = compile(load("lenet"), policy="last-2", schedule="reordered")
built = build(compiled, board=boards.get("nrf52840"), folder=...)
run = train(built, Training(epochs=5))              or all three: run("lenet", policy="last-2", epochs=5)
"""

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from workbench import boards, data, frontends
from workbench.autodiff import training_step
from workbench.boards import Board
from workbench.codegen import Project, generate
from workbench.codegen.layout import scratch_bytes
from workbench.emulate.device import Device
from workbench.emulate.machine import Machine
from workbench.emulate.timing import model_of
from workbench.errors import DataError, FirmwareFault, ModelError
from workbench.frontends import Model
from workbench.ir.graph import Graph
from workbench.ir.text import print_graph
from workbench.measure import memory_measures, require_fit
from workbench.passes.apply_policy import apply_policy
from workbench.passes.pipeline import Applied, run_schedule
from workbench.plan.memory import MemoryPlan, plan_memory
from workbench.policy import UpdatePolicy, parse_policy
from workbench.record import Run
from workbench.toolchain import Image
from workbench.toolchain import build as make
from workbench.trace.tracer import Tracer

Progress = Callable[[int, int, float], None]  # step done, steps in all, its loss


@dataclass(frozen=True)
class Compiled:
    """A network's training step: the scheduled graph, its memory plan, what each pass did, and the seconds it took."""

    model: Model
    policy: UpdatePolicy
    schedule: str
    graph: Graph
    memory: MemoryPlan
    passes: tuple[Applied, ...]
    seconds: float


@dataclass(frozen=True)
class Built:
    """A compiled network as firmware: `board` is the one asked for, `image.board` the one it was linked for."""

    compiled: Compiled
    board: Board
    project: Project
    image: Image
    seconds: float


@dataclass(frozen=True)
class Training:
    """How to train. `lr_bias` None means `lr`; `lr_decay` is a factor an epoch on both; `epochs` overrides `steps`."""

    steps: int = 50
    epochs: int | None = None
    lr: float = 0.02
    lr_bias: float | None = None
    lr_decay: float = 1.0
    seed: int = 0
    data: str | None = None
    trace: str = "ops"


def load_run(folder: str | Path) -> Run:
    """A run saved by Run.save or the command line."""
    from workbench import record

    return record.load(Path(folder))


def compile(model: Model, policy: str | UpdatePolicy = "full", schedule: str = "optimized") -> Compiled:
    """Differentiate, schedule and plan. Raises PolicyError, or ModelError for a network without class scores."""
    start = time.perf_counter()
    policy = parse_policy(policy) if isinstance(policy, str) else policy
    if not model.classifies:
        raise ModelError(
            f"{model.name} gives {model.graph.types[model.graph.outputs[0]]}, not class scores: it cannot be trained",
            f"`workbench show {model.name} --stage backward` prints its gradients",
        )
    step = training_step(apply_policy(model.graph, policy))
    graph, applied = run_schedule(step, schedule)
    memory = plan_memory(graph, scratch_bytes(graph))
    return Compiled(model, policy, schedule, graph, memory, applied, time.perf_counter() - start)


def build(compiled: Compiled, board: Board, folder: str | Path) -> Built:
    """Generate the C project in `folder` and compile it. What does not fit is linked for the board's virtual twin."""
    start = time.perf_counter()
    project = generate(compiled.graph, compiled.memory, compiled.model.weights, board)
    image = make(project, board, Path(folder), compiled.memory.plan.bytes)
    return Built(compiled, board, project, image, time.perf_counter() - start)


def run(
    model: str | Model,
    *,
    policy: str | UpdatePolicy = "full",
    schedule: str = "optimized",
    board: str | Board = boards.DEFAULT,
    sram: int | None = None,
    batch: int = 1,
    weights: Mapping[str, np.ndarray] | None = None,
    folder: str | Path | None = None,
    virtual: bool = False,
    progress: Progress | None = None,
    **training,
) -> Run:
    """Compile, build and train in one call. `sram`: another limit in bytes; `weights`: start from these.

    `folder` keeps the firmware. What does not fit raises BudgetError, unless `virtual` lets it run on the twin.
    Further keywords are those of Training.
    """
    options = Training(**training)
    model = frontends.load(model, batch, options.seed) if isinstance(model, str) else model
    if weights is not None:
        model = with_weights(model, weights)
    board = boards.get(board) if isinstance(board, str) else board
    board = board.with_sram(sram) if sram else board
    with tempfile.TemporaryDirectory() as scratch:
        built = build(compile(model, policy, schedule), board, folder or scratch)
        if not virtual:
            require_fit(built)
        return train(built, options, progress)


def train(built: Built, options: Training, progress: Progress | None = None) -> Run:
    """Train on the emulated core; the host only feeds images and labels and reads loss and logits.

    The first step is traced at `options.trace`; the others run at full speed. Accuracy is that of wb_forward on the
    held-out samples, before and after.
    """
    run, _ = train_and_keep(built, options, progress)
    return run


def train_and_keep(
    built: Built, options: Training, progress: Progress | None = None
) -> tuple[Run, dict[str, np.ndarray]]:
    """`train`, and the weights at its end by name, in the model's own shapes."""
    model = built.compiled.model
    samples = _samples(model, options)
    start = time.perf_counter()
    device = Device(Machine(built.image.elf, built.image.board), list(built.project.buffers), list(built.project.ops))
    tracer = Tracer(device.machine, device.buffers, device.ops, options.trace)
    held_out = model.data is not None or options.data is not None
    try:
        before = device.accuracy(samples.test_x, samples.test_y) if held_out else None
        losses = _train_steps(device, tracer, samples, model.batch, options, progress)
        after = device.accuracy(samples.test_x, samples.test_y) if held_out else None
    except FirmwareFault as error:
        raise _located(error, tracer, device) from None
    seconds = time.perf_counter() - start
    weights = {name: values.reshape(model.graph.types[name].shape) for name, values in device.parameters().items()}
    return _record(built, options, device, tracer, losses, (before, after), seconds), weights


def with_weights(model: Model, weights: Mapping[str, np.ndarray]) -> Model:
    """The model with other values. Raises ModelError for a parameter that is missing or has another shape."""
    for name in model.graph.parameters:
        shape = model.graph.types[name].shape
        if name not in weights or np.shape(weights[name]) != shape:
            found = f"has shape {np.shape(weights[name])}" if name in weights else "is missing"
            raise ModelError(f"weights for {model.name}: {name} {found}; it needs {shape}")
    return replace(model, weights={name: np.asarray(weights[name], np.float32) for name in model.graph.parameters})


def _samples(model: Model, options: Training) -> data.Data:
    shape = model.graph.types[model.graph.inputs[0]].shape[1:]
    classes = model.graph.types[model.graph.outputs[0]].shape[1]
    name = options.data or model.data
    if name:
        return data.load(name).shaped(shape, classes)
    rng = np.random.default_rng(options.seed)
    count = 16 * model.batch
    x, y = rng.random((count, *shape), np.float32), rng.integers(0, classes, count, dtype=np.int32)
    return data.Data("random", x, y, x[:0], y[:0], classes)


def _train_steps(device: Device, tracer: Tracer, samples, batch: int, options: Training, progress) -> list[float]:
    steps = options.steps if options.epochs is None else options.epochs * (len(samples.train_x) // batch)
    if steps < 1:
        raise DataError("at least one training step is needed", "give --steps 1 or more")
    losses, current = [], None
    for step, (epoch, chosen) in enumerate(data.batches(len(samples.train_x), batch, options.seed)):
        if step == steps:
            break
        if epoch != current:
            current, decay = epoch, options.lr_decay**epoch
            device.set_rates(options.lr * decay, (options.lr if options.lr_bias is None else options.lr_bias) * decay)
        if step == 0:
            device.wrote = tracer.host_wrote
            tracer.attach()
            tracer.begin_call()
        losses.append(device.train_step(samples.train_x[chosen], samples.train_y[chosen]))
        if step == 0:
            tracer.detach()
            device.wrote = lambda address, size: None
        if progress:
            progress(step + 1, steps, losses[-1])
    return losses


def _located(error: FirmwareFault, tracer: Tracer, device: Device) -> FirmwareFault:
    """The fault with the operator that was running, where the trace knows it."""
    position = tracer.position
    if position < 0:
        return error
    op = next(op for op in device.ops if op.position == position)
    return FirmwareFault(
        f"{error.message}, {op.symbol} ({op.node})", error.hint,
        kind=error.kind, pc=error.pc, address=error.address, symbol=error.symbol,
    )  # fmt: skip


def _record(built: Built, options: Training, device: Device, tracer: Tracer, losses, accuracy, seconds: float) -> Run:
    compiled, board = built.compiled, built.board
    model, graph = compiled.model, compiled.graph
    step = tracer.totals()
    ops = pd.DataFrame([vars(op) for op in device.ops]).drop(columns=["reads", "writes", "scratch"])
    for column in ("reads", "writes", "scratch"):
        ops[column] = [" ".join(map(str, getattr(op, column))) for op in device.ops]
    buffers = pd.DataFrame([{**vars(row), "values": " ".join(row.values)} for row in device.buffers])
    buffers = buffers.astype(dict.fromkeys(("lower", "upper", "axis", "begin", "end"), "Int64"))
    buffers = buffers.merge(tracer.buffer_profile(), on="id", how="left")
    symbols = pd.DataFrame([vars(symbol) for symbol in device.machine.elf.symbols])
    updated = [
        graph.types[row.parameter].elements
        for row in device.buffers
        if row.role == "parameter" and row.storage == "sram"
    ]
    cycles = step.cycles
    meta = {
        "model": model.name, "policy": compiled.policy.name, "schedule": compiled.schedule,
        "passes": [applied.name for applied in compiled.passes], "board": board.name, "core": board.core,
        "batch": model.batch, "accumulate": 1, "seed": options.seed, "steps": len(losses), "trace": options.trace,
        "nodes": len(device.ops), "macs": model.macs // model.batch, "parameters": model.parameter_count,
        "parameters_updated": int(sum(updated)), "data": options.data or model.data,
        "loss": losses, "accuracy": {"before": accuracy[0], "after": accuracy[1]},
        "instructions_per_step": step.instructions, "modelled_cycles_per_step": cycles,
        "milliseconds_per_step": None if cycles is None else 1000 * cycles / board.clock_hz,
        "timing_model": model_of(board.core).name,
        "memory": memory_measures(built, buffers, step.arena_touched, device.machine.stack_peak()),
        "flash": {"total": built.image.flash},
        "seconds": {"compile": compiled.seconds, "build": built.seconds, "emulate": seconds},
        "artifacts": {},
    }  # fmt: skip
    return Run(
        meta=meta,
        graph=print_graph(graph),
        ops=ops.merge(tracer.op_profile(), on="position", how="left"),
        buffers=buffers,
        accesses=tracer.accesses(),
        violations=tracer.violations(),
        symbols=symbols,
    )
