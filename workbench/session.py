"""Compile, build, run: the one driver that the command line, notebooks and studies share.

compiled = compile(load("lenet"), policy="last-2", schedule="reordered")
built = build(compiled, board=boards.get("nrf52840"))      folder=... keeps the C project and the ELF
run = train(built, Training(epochs=5))              or all three: run("lenet", policy="last-2", epochs=5)
"""

import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from workbench import boards, compiled_cache, frontends, prediction, record
from workbench.artifacts import Built, Compiled
from workbench.autodiff import require_applicable, training_step
from workbench.baseline import BASELINES
from workbench.boards import Board, virtual_twin
from workbench.codegen import Project, generate
from workbench.codegen.conventional import generate_conventional
from workbench.errors import BudgetError, ModelError, PolicyError
from workbench.feeding import Training, asked_options, objective_of
from workbench.frontends import Model, saving
from workbench.frontends.origin import Origin
from workbench.ir.graph import Graph
from workbench.measure import too_large
from workbench.objective import Objective
from workbench.on_board import on_board, with_less_scratch
from workbench.options import passes_for, takes
from workbench.passes.apply_policy import apply_policy, weighted_layers
from workbench.passes.input_rows import require_rows
from workbench.passes.permute_channels import largest_first, permuted
from workbench.passes.pipeline import PASSES, chosen_passes, pass_changes, run_forward_passes, run_passes_with
from workbench.plan.conventional import plan_step
from workbench.policy import PLAIN_SGD, Optimizer, UpdatePolicy
from workbench.preparation import prepared, with_weights  # noqa: F401  with_weights: asked for here
from workbench.rates import rates_of
from workbench.record.folder import filling, place_of, write_at_once
from workbench.report.view import Run
from workbench.schedule.tuned import Kernels, tuned_for
from workbench.toolchain import built_here, install, make_image
from workbench.training import Progress, train
from workbench.units import size


@dataclass(frozen=True, repr=False)
class Result(Run):
    """A Run that can predict with its firmware. `weights`: at the end of the training. `elf`: the firmware (None: not
    kept). `files`: the C project's, by name, for the native twin (None: not kept, or not built on this machine).
    `origin`: the file or module that the network came from (None: none, or the run was loaded).
    """

    elf: bytes | None = field(default=None, repr=False)
    files: Mapping[str, str] | None = field(default=None, repr=False)
    origin: Origin | None = field(default=None, repr=False)

    def predict(self, x) -> np.ndarray:
        """What the trained network gives, float32 (n, classes) or (n, …), of samples (n, …) as `data` took them.

        The samples are read and normalized as the run's own data. wb_forward computes the scores with the trained
        weights: emulated, and natively too where emulation would take long. A softmax, log-softmax or sigmoid at the
        end of an imported network, which training left to the loss, is behind them here, computed on this machine;
        `scores` is without. Samples lie as those of the network do: NCHW, of a .tflite file NHWC. Raises DataError for
        samples that do not fit, RecordError where the firmware was not kept.
        """
        return prediction.predict_run(self, self.elf, x, files=self.files).outputs

    def scores(self, x) -> np.ndarray:
        """What the loss is computed of: `predict` without the softmax or sigmoid at the end of an imported network."""
        return prediction.predict_run(self, self.elf, x, files=self.files).scores

    def state_dict(self) -> dict[str, Any]:
        """The trained weights as what the network came from has them, under its own names.

        Of a PyTorch module: torch tensors, every entry of its state dict, so that `module.load_state_dict` takes them.
        Of an .onnx or .tflite file: arrays, the tensors that parameters were made of. Raises ModelError for a network
        of another origin.
        """
        return saving.state_dict_of(self._origin(), self.weights)

    def model(self) -> Any:
        """What the network came from with the trained weights: a copy of the PyTorch module, for a .pt2 file the
        exported program, for an .onnx or .tflite file its bytes, but for the trained tensors the same.

        The module that was given is left as it was, and the copy has its weights from when it was imported.
        """
        return saving.model_of(self._origin(), self.weights)

    def save_weights(self, path: str | Path) -> None:
        """Write the trained weights; the ending says how: .npz, or .pt, .pt2, .onnx or .tflite, as the network came."""
        origin, name = self.origin, self.meta["model"]
        write = saving.writer(path, name, origin, origin.changed(self.weights) if origin else ())
        write_at_once(path, write(self.weights))

    def _origin(self) -> Origin:
        if self.origin is None:
            raise ModelError(f"{self.meta['model']} is not known to come from a module or file",
                             "`weights` holds arrays by the network's own names")  # fmt: skip
        return self.origin

    def save(self, folder: str | Path) -> None:
        """As Run.save; with the ELF, so that the saved run can predict."""
        with filling(folder) as new:
            if self.elf is not None and not (new / record.ELF).exists():
                (new / record.ELF).parent.mkdir(parents=True, exist_ok=True)
                (new / record.ELF).write_bytes(self.elf)
            super().save(new)


def load_run(folder: str | Path) -> Result:
    """A run saved by Run.save or the command line."""
    run, elf = record.load_with_elf(folder)
    return Result(**vars(run), elf=elf, files=built_here(Path(folder, record.ELF).parent, elf) if elf else None)


def compile(
    model: str | Path | Model,
    policy: str | UpdatePolicy = "full",
    schedule: str = "optimized",
    optimizer: Optimizer = PLAIN_SGD,
    passes: str = "",
    objective: Objective | None = None,
) -> Compiled:
    """Differentiate, schedule and plan. `objective`: what is minimized (None: what the network is for, see
    Model.objective). Raises PolicyError, or ModelError for a network that cannot be trained so.

    A step that was compiled before, by these very sources, is read from the cache (compiled_cache.py).

    `passes` changes those of the schedule: "in-place,-early-update" adds the one and leaves out the other;
    "input-rows" has the image handed over row by row (ModelError where something needs it as a whole).
    """
    start = time.perf_counter()
    model = frontends.network(model)
    policy = model.policy(policy)
    objective = objective or model.objective()
    _require_all_read(model)
    marked = apply_policy(model.graph, policy)
    names = chosen_passes(schedule, passes)
    key = compiled_cache.key_of(model, policy, optimizer, schedule, names, objective)
    compiled = compiled_cache.kept(key, model, policy, optimizer, schedule, objective)
    found = compiled is not None
    if compiled is None:
        orders = largest_first(marked, model.weights) if policy.channels == "largest" else {}
        marked, own, first = run_forward_passes(marked, permuted(model.weights, orders), names)
        step = training_step(marked, optimizer, orders, objective, own)
        graph, weights, applied = run_passes_with(step, own, [name for name in names if not PASSES[name].forward])
        _require_rows(graph, schedule)
        memory = plan_step(graph, graph.analysis.scratch, schedule)
        compiled = Compiled(
            model, policy, optimizer, schedule, graph, memory, (*first, *applied), weights, orders, 0.0, objective
        )
        compiled_cache.keep(key, compiled)
    return replace(compiled, seconds=time.perf_counter() - start, kept=found)


def _require_rows(graph: Graph, schedule: str) -> None:
    try:
        require_rows(graph)
    except ModelError as error:
        raise ModelError(f"schedule {schedule}: {error.message}", error.hint) from None


def _require_all_read(model: Model) -> None:
    unread = [name for name in model.graph.arguments if not model.graph.analysis.readers[name]]
    if unread:
        raise ModelError(f"{model.name}: nothing reads {', '.join(unread)}", "leave out what the network does not use")


def build(
    compiled: Compiled,
    board: Board,
    folder: str | Path | None = None,
    virtual: bool = True,
    lr: float | str = Training.lr,
    lr_bias: float | None = None,
    kernels: Kernels = None,
) -> Built:
    """Generate the C project and compile it; `folder` keeps both, in the place of what was written there before. The
    graph of the step is then that of the board: its sums are fused where that pays (see passes/arithmetic), and its
    kernels run as was found best for the core: `kernels` is a file that `workbench tune` wrote, "rule" for none, or
    None for what ships with the package (see schedule/tuned); then what would not fit otherwise takes less scratch.
    "naive" and "naive-shapes" put naive loops in the place of kernels, to compare with (see kernels/naive).

    What does not fit is linked for the board's virtual twin, or raises BudgetError where `virtual` is False. `lr` and
    `lr_bias` (None: `lr`) are the rates that the firmware starts with; a host that trains it writes its own.
    """
    start = time.perf_counter()
    started = Training(lr=lr, lr_bias=lr_bias)  # raises DataError for what is no rate
    rates = dict(zip(("lr", "lr_bias"), rates_of(started), strict=True))
    tuned = tuned_for(board.core, kernels)
    compiled = on_board(compiled, board, tuned)
    project = _project(compiled, board, rates, tuned.loops)
    room = board.sram_size - project.static
    if tuned.by_default and (less := with_less_scratch(compiled, room)):
        compiled, project = less, _project(less, board, rates)
    if not virtual:
        _require(compiled, board, project, project.constant, project.static)
    image = make_image(project, board, compiled.memory.plan.bytes)
    for _ in range(2):  # other kernels may need more stack
        room = min(room, board.sram_size - image.static - image.stack_reserve)
        less = with_less_scratch(compiled, room) if tuned.by_default else None
        if less is None:
            break
        compiled, project = less, _project(less, board, rates)
        image = make_image(project, board, compiled.memory.plan.bytes)
    built = Built(compiled, board, project, image, time.perf_counter() - start, tuned)
    if not virtual:
        require_fit(built)
    return built if folder is None else kept(built, folder)


def _project(compiled: Compiled, board: Board, rates: Mapping[str, float], loops: str = "") -> Project:
    step = compiled.graph, compiled.memory, compiled.weights, board, rates
    if compiled.schedule in BASELINES:
        if loops:
            raise ModelError(f"schedule {compiled.schedule} runs the library's kernels", "leave out --kernels")
        return generate_conventional(*step, BASELINES[compiled.schedule])
    return generate(*step, loops)


def kept(built: Built, folder: str | Path) -> Built:
    """The C project and the ELF written into `folder`, in the place of what was written there before."""
    with filling(folder) as new:
        image = install(built.project, built.image, new)
    return replace(built, image=replace(image, elf=place_of(image.elf)))


@takes(Optimizer, Training)
def run(
    model: str | Path | Model,
    *,
    policy: str | UpdatePolicy = "full",
    schedule: str = "optimized",
    board: str | Board = boards.DEFAULT,
    sram: int | str | None = None,
    batch: int | None = None,
    optimizer: Optimizer = PLAIN_SGD,
    classes: int | None = None,
    shape: str | Sequence[int] | None = None,
    weights: Mapping[str, np.ndarray] | None = None,
    pretrain=None,
    passes: str = "",
    input: str = "whole",
    kernels: Kernels = None,
    folder: str | Path | None = None,
    virtual: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Result:
    """Compile, build and train in one call. `sram`: another limit, in bytes or like "96K"; `weights`: start from these.
    `model`: a built-in network, a file, or one's own; `classes`: how many it has, where it leaves that open;
    `shape`: that of a sample, where an .onnx file does, (1, 28, 28) or "1x28x28".

    `data` and `pretrain` are the name of a data set, a file or folder, or samples such as (x, y) (see data.given).
    `pretrain` is trained on first, on the host (see pretraining.pretrain); `data` is adapted to.
    `passes` changes those of the schedule (see compile); `input` "rows" has the image handed over row by row; `kernels`
    are tuned schedules (see build); `folder` keeps the firmware. What does not fit raises BudgetError, unless `virtual`
    lets it run on the twin.
    Further keywords are those of Training, and those of Optimizer in the place of `optimizer`.
    """
    training, optimizer = asked_options(run.__kwdefaults__ or (), optimizer, options)
    passes, board = passes_for(passes, input), boards.chosen(board, sram)
    model, training = prepared(
        model, training, optimizer, batch=batch, classes=classes, shape=shape, weights=weights, pretrain=pretrain,
        check=lambda network: _require_step(network, policy, optimizer),
    )  # fmt: skip
    compiled = compile(model, policy, schedule, optimizer, passes, objective_of(model, training))
    built = build(compiled, board, folder, virtual, kernels=kernels)
    return Result(**vars(train(built, training, progress)[0]), elf=built.image.content, files=built.project.files,
                  origin=model.origin)  # fmt: skip


def _require_step(network: Model, policy: str | UpdatePolicy, optimizer: Optimizer) -> None:
    """Raise PolicyError, before any data is read, for layers the network lacks, and for an update it cannot have."""
    apply_policy(network.graph, network.policy(policy))
    require_applicable(network.graph, optimizer)


def require_fit(built: Built) -> None:
    """Raise BudgetError if the firmware needs more memory than its board has, with choices that would fit."""
    image = built.image
    _require(built.compiled, built.board, built.project, image.flash, image.static, image.stack_reserve)


def _require(
    compiled: Compiled, board: Board, project: Project, flash: int, static: int, stack: int | None = None
) -> None:
    """Raise BudgetError where these bytes are too many. `stack` None: nothing is compiled yet, so neither its stack nor
    its code is known; both come on top."""
    sram = static + compiled.memory.plan.bytes + (stack or 0)
    if flash > board.flash_size:
        code = ", and its code on top" if stack is None else ""
        more = f"\n  and {size(sram)} of SRAM; it has {size(board.sram_size)}" if sram > board.sram_size else ""
        needs = f"{compiled.model.name} needs {size(flash)} of flash{code}"
        raise BudgetError(
            f"{needs}; {board.name} has {size(board.flash_size)}{more}",
            f"--board {virtual_twin(board).name} has room",
        )
    if sram > board.sram_size:
        hint = _what_would_fit(compiled, board, sram) + ("; the stack comes on top" if stack is None else "")
        raise too_large(compiled, board, project, static, stack, hint)


def _what_would_fit(compiled: Compiled, board: Board, sram: int) -> str:
    """Other schedules, batches, boards and policies that fit, by their plans; the virtual twin where none does.

    `sram`: the bytes that `compiled` needs. Each choice takes a compilation, so few are tried: of policies, only the
    network's own, where it has some.
    """
    choices, known = [], {}
    changes = pass_changes(compiled.schedule, [applied.name for applied in compiled.passes])
    passes = ",".join(change.removeprefix("+") for change in changes)

    def needed(**change) -> float:
        key = change.get("policy"), change.get("schedule"), "model" in change
        if key not in known:
            known[key] = planned_with(change)
        return known[key]

    def planned_with(change: dict) -> float:
        chosen = {"model": compiled.model, "policy": compiled.policy, "schedule": compiled.schedule} | change
        try:
            other = compile(**chosen, optimizer=compiled.optimizer, passes=passes, objective=compiled.objective)
        except (PolicyError, ModelError):
            return inf  # no such step
        return sram - _sram_of(compiled) + _sram_of(other)

    def offer(option: str, **change) -> None:
        if needed(**change) <= board.sram_size:
            choices.append(
                f"{option} needs about {size(int(needed(**change)))}"
            )  # this stack, which may become smaller

    if compiled.schedule != "optimized":
        offer("--schedule optimized", schedule="optimized")
    single = {"model": compiled.model.with_batch(1)} if _has_smaller_batch(compiled.model) else {}
    if single:
        offer("--batch 1", **single)
    if board == boards.BOARDS.get(board.name):
        larger = [other for other in boards.REAL if board.sram_size < sram <= other.sram_size]
        smallest = sorted(larger, key=lambda other: (other.sram_size, other.core != board.core))[:1]
        choices += [f"--board {other.name} has {size(other.sram_size)}" for other in smallest]
    for option, change in [("", {}), ("--batch 1 ", single)][: 2 if single else 1]:
        smaller = _smaller_policies(compiled)
        fits = bisect_left(smaller, True, key=lambda name: needed(policy=name, **change) > board.sram_size)
        others = ["last-1"] * (fits == 0) if compiled.model.published else ["bias-only+head", "bias-only"]
        for policy in smaller[:fits][-1:] + others:
            offer(f"{option}--policy {policy}", policy=policy, **change)
    return "; ".join(choices[:4]) or f"no smaller policy fits; --board {virtual_twin(board).name} has room"


def _has_smaller_batch(model: Model) -> bool:
    built_in = model.name.removesuffix(frontends.INT8) in frontends.names()
    return model.batch > 1 and (built_in or model.source is not None)


def _smaller_policies(compiled: Compiled) -> list[str]:
    """Policies that may need less, the smallest first: those published with the network, or last-1, last-2, …"""
    own = list(compiled.model.published)
    if own:
        return own[: own.index(compiled.policy.name)] if compiled.policy.name in own else own
    return [f"last-{count}" for count in range(1, _last_layers(compiled))]


def _last_layers(compiled: Compiled) -> int:
    """How many of the last layers have their weights updated: all under full, K under last-K, else 0."""
    layers = [part.layers for part in compiled.policy.weights]
    if layers == ["all"]:
        return len(weighted_layers(compiled.model.graph))
    return int(layers[0][5:]) if len(layers) == 1 and layers[0].startswith("last-") else 0


def _sram_of(compiled: Compiled) -> int:
    """Bytes of SRAM that depend on what is compiled: the arena, updated parameters, and the optimizer's state."""
    known = compiled.graph.analysis
    kept = known.written & known.persistent
    return compiled.memory.plan.bytes + sum(compiled.graph.types[name].updated.bytes for name in kept)
