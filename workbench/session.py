"""Compile, build, run: the one driver that the command line, notebooks and studies share.

compiled = compile(load("lenet"), policy="last-2", schedule="reordered")
built = build(compiled, board=boards.get("nrf52840"), folder=...)
run = train(built, Training(epochs=5))              or all three: run("lenet", policy="last-2", epochs=5)
"""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from workbench import boards, frontends, record
from workbench.autodiff import training_step
from workbench.boards import Board, virtual_twin
from workbench.codegen import Project, generate
from workbench.errors import BudgetError, ModelError, PolicyError
from workbench.frontends import Model
from workbench.ir.graph import Graph
from workbench.ir.liveness import scratch_bytes, storage_roots
from workbench.measure import sram_planned, too_large
from workbench.passes.apply_policy import apply_policy
from workbench.passes.pipeline import Applied, run_schedule
from workbench.plan.memory import MemoryPlan, plan_memory
from workbench.policy import PLAIN_SGD, Optimizer, UpdatePolicy, parse_policy
from workbench.report.view import Run
from workbench.toolchain import Image, install, make_image
from workbench.training import Progress, Training, train
from workbench.units import size


@dataclass(frozen=True)
class Compiled:
    """A network's training step: the scheduled graph, its memory plan, what each pass did, and the seconds it took."""

    model: Model
    policy: UpdatePolicy
    optimizer: Optimizer
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


def load_run(folder: str | Path) -> Run:
    """A run saved by Run.save or the command line."""
    return Run.of(record.load(Path(folder)))


def compile(
    model: Model,
    policy: str | UpdatePolicy = "full",
    schedule: str = "optimized",
    optimizer: Optimizer = PLAIN_SGD,
) -> Compiled:
    """Differentiate, schedule and plan. Raises PolicyError, or ModelError for a network without class scores."""
    start = time.perf_counter()
    policy = parse_policy(policy) if isinstance(policy, str) else policy
    if not model.classifies:
        raise ModelError(
            f"{model.name} gives {model.graph.types[model.graph.outputs[0]]}, not class scores: it cannot be trained",
            f"`workbench show {model.name} --stage backward` prints its gradients",
        )
    _require_all_read(model)
    step = training_step(apply_policy(model.graph, policy), optimizer)
    graph, applied = run_schedule(step, schedule)
    memory = plan_memory(graph, scratch_bytes(graph))
    return Compiled(model, policy, optimizer, schedule, graph, memory, applied, time.perf_counter() - start)


def _require_all_read(model: Model) -> None:
    read = {name for node in model.graph.nodes for name in node.operands}
    unread = [name for name in model.graph.arguments if name not in read]
    if unread:
        raise ModelError(f"{model.name}: nothing reads {', '.join(unread)}", "leave out what the network does not use")


def build(compiled: Compiled, board: Board, folder: str | Path, virtual: bool = True) -> Built:
    """Generate the C project, compile it, and write both into `folder`.

    What does not fit is linked for the board's virtual twin, or raises BudgetError where `virtual` is False.
    """
    start = time.perf_counter()
    project = generate(compiled.graph, compiled.memory, compiled.model.weights, board)
    image = make_image(project, board, compiled.memory.plan.bytes)
    built = Built(compiled, board, project, image, time.perf_counter() - start)
    if not virtual:
        require_fit(built)
    return replace(built, image=install(project, image, Path(folder)))


def run(
    model: str | Model,
    *,
    policy: str | UpdatePolicy = "full",
    schedule: str = "optimized",
    board: str | Board = boards.DEFAULT,
    sram: int | None = None,
    batch: int = 1,
    optimizer: Optimizer = PLAIN_SGD,
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
    board = board if sram is None else board.with_sram(sram)
    with tempfile.TemporaryDirectory() as scratch:
        built = build(compile(model, policy, schedule, optimizer), board, folder or scratch, virtual)
        return Run.of(train(built, options, progress)[0])


def require_fit(built: Built) -> None:
    """Raise BudgetError if the firmware needs more memory than its board has, with choices that would fit."""
    if sram_planned(built) > built.board.sram_size:
        raise too_large(built, _what_would_fit(built))
    if built.image.flash > built.board.flash_size:
        raise BudgetError(
            f"{built.compiled.model.name} needs {size(built.image.flash)} of flash; "
            f"{built.board.name} has {size(built.board.flash_size)}",
            f"--board {virtual_twin(built.board).name} has room",
        )


def _what_would_fit(built: Built) -> str:
    """Other schedules, batches and policies that fit, by their plans; the virtual twin where none does."""
    compiled, choices = built.compiled, []
    tried = [("--schedule optimized", {"schedule": "optimized"})] if compiled.schedule != "optimized" else []
    if compiled.model.batch > 1 and compiled.model.name in frontends.names():
        tried.append(("--batch 1", {"model": frontends.load(compiled.model.name)}))
    tried += [(f"--policy {name}", {"policy": name}) for name in ("last-2", "last-1", "bias-only")]
    for option, change in tried:
        chosen = {"model": compiled.model, "policy": compiled.policy, "schedule": compiled.schedule} | change
        try:
            other = compile(**chosen, optimizer=compiled.optimizer)
        except PolicyError:
            continue
        needed = sram_planned(built) - _sram_of(compiled) + _sram_of(other)
        if needed <= built.board.sram_size:
            choices.append(f"{option} needs {size(needed)}")
    return "; ".join(choices[:3]) or f"no smaller policy fits; --board {virtual_twin(built.board).name} has room"


def _sram_of(compiled: Compiled) -> int:
    """Bytes of SRAM that depend on what is compiled: the arena, what is updated, and state beside it."""
    root = storage_roots(compiled.graph)
    written = {root[name] for node in compiled.graph.nodes for name in node.overwrites}
    kept = written.intersection(compiled.graph.persistent)
    return compiled.memory.plan.bytes + sum(compiled.graph.types[name].bytes for name in kept)


def with_weights(model: Model, weights: Mapping[str, np.ndarray]) -> Model:
    """The model with other values. Raises ModelError for a parameter that is missing or has another shape."""
    for name in model.graph.parameters:
        shape = model.graph.types[name].shape
        if name not in weights or np.shape(weights[name]) != shape:
            found = f"has shape {np.shape(weights[name])}" if name in weights else "is missing"
            raise ModelError(f"weights for {model.name}: {name} {found}; it needs {shape}")
    return replace(model, weights={name: np.asarray(weights[name], np.float32) for name in model.graph.parameters})
