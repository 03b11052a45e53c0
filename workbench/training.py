"""Train a built network on the emulated core, measure its first step, and record it all as a Run.

The first step is traced on a machine of its own (Unicorn stays slower once a memory hook has been on it); the training
itself runs untraced, and its first loss must be the traced one's, to the bit.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from hashlib import sha256
from itertools import chain, islice
from math import prod

import numpy as np

from workbench import verdict
from workbench.artifacts import Built
from workbench.boards import Board
from workbench.data import Data
from workbench.emulate.device import Device
from workbench.emulate.machine import Machine
from workbench.emulate.symbols import parse_elf
from workbench.emulate.timing import model_of
from workbench.engine import Engine
from workbench.epochs import Epochs
from workbench.errors import InternalError, RecordError
from workbench.evaluation import Figures, figures
from workbench.feeding import EMULATED, NATIVE, Step, Training, input_of, require_samples, step_count, steps_of
from workbench.ir.deltas import at_the_end, deltas_of, joined
from workbench.ir.graph import Graph
from workbench.ir.text import print_graph
from workbench.ir.types import NUMPY, TensorType
from workbench.measure import flash_measures, memory_measures
from workbench.options import recorded
from workbench.passes.permute_channels import Orders, restored
from workbench.passes.pipeline import pass_changes
from workbench.rate_search import at_best_rate
from workbench.rates import SEARCHED, rates_of
from workbench.record import Run
from workbench.record.profile_tables import Later
from workbench.schedule.tuned import kernels_record
from workbench.tables import BufferRow
from workbench.targets import told
from workbench.trace.flows import Flow
from workbench.trace.inspector import Inspector
from workbench.trace.profiled import step_tables
from workbench.trace.tracer import Tracer

Progress = Callable[[int, int, float], None]  # step done, steps in all, its loss
PATIENCE = 2.0  # seconds that held-out figures may take after an interrupted training
# keys of run.json that do not depend on the schedule
LEARNED = (
    "steps", "steps_asked", "interrupted", "epochs", "epochs_done", "best_epoch", "loss", "held_out_loss", "accuracy",
    "biases_saturated", "notes",
)  # fmt: skip


def train(
    built: Built,
    options: Training,
    progress: Progress | None = None,
    interrupted: Callable[[], bool] | None = None,
    like: Run | None = None,
) -> tuple[Run, Mapping[str, np.ndarray]]:
    """Train a built network; gives the Run and the weights at its end by name, in the model's own shapes.

    The host only feeds images and targets and reads loss and outputs. Held-out figures are those of wb_forward on the
    held-out samples, before and after, and after each epoch (see epochs). `interrupted()` is asked after each step:
    once it is true training ends, without held-out figures if these would take longer than PATIENCE.

    `like` is a run that trained the same way under another schedule, which gives the same bits: only the first step
    runs here, and the keys LEARNED are taken from that run. Raises InternalError where the loss of the first step, or
    the weights after it, differ.
    """
    if options.lr == SEARCHED:
        return at_best_rate(train, built, options, progress, interrupted, like)
    model, a_step = built.compiled.model, built.compiled.model.batch * built.compiled.optimizer.accumulate
    samples = require_samples(model, built.compiled.optimizer.accumulate, options)
    start = time.perf_counter()
    steps = steps_of(samples, model.batch, built.compiled.optimizer.accumulate, options)
    count = int(step_count(samples, a_step, options))
    if like is not None:
        options, count = replace(options, evaluate=False), 1
    first = next(steps)
    tracer, flow, first_loss = _traced_step(built, options, first)
    engine = engine_of(built, options.engine if like is None and not tracer.found else EMULATED, count)
    held_out = options.evaluate and len(samples.test_x) > 0
    measure = partial(_measured, built, engine)
    begin = time.perf_counter()
    before = measure(samples.test_x, samples.test_y) if held_out else Figures(None)
    patient = time.perf_counter() - begin <= PATIENCE
    epochs = Epochs(samples, a_step, options, engine, measure, held_out)
    losses, stopped = [], False
    ends = Ends(built)
    for step in islice(chain([first], steps), count):
        losses.append(engine.step(step))
        ends.see(engine.device)
        if len(losses) == 1:
            after_first = _digest(_weights(built, engine.device)[1])
        if progress:
            progress(len(losses), count, losses[-1])
        stopped = bool(interrupted and interrupted()) and len(losses) < count
        if like is None and (patient or not stopped):
            epochs.step_done(losses)
        if stopped or epochs.exhausted:
            break
    engine.finish()
    if epochs.best:
        engine.device.restore(epochs.best.state)
    after = epochs.known(len(losses))
    if after is None:
        after = measure(samples.test_x, samples.test_y) if held_out and (patient or not stopped) else Figures(None)
        epochs.learn(len(losses), after)
    agrees = first_loss is None or np.array_equal(first_loss, losses[0], equal_nan=True)
    if not agrees and not tracer.found:  # violations would explain it, and are told
        raise InternalError(f"the traced step's loss is {first_loss!r}, the untraced one's {losses[0]!r}")
    compiled, weights = _weights(built, engine.device)
    engine.close()
    broken = ["everything was emulated: the step broke the plan"] if tracer.found and options.engine == NATIVE else []
    findings = verdict.notes(built, options, samples, losses, (before, after), compiled, weights, ends.seen)
    notes = [*findings, *epochs.notes(len(losses), stopped), *engine.notes, *broken]
    seconds = {"emulate": time.perf_counter() - start - sum(engine.seconds.values()), **engine.seconds}
    of_data = None if verdict.made_up(built, options) else samples
    run = _record(built, options, of_data, engine, tracer, losses, count, (before, after), seconds, notes)
    run = replace(run, profiled=Later(step_tables(flow)) if flow else {})
    run.meta["interrupted"] = stopped
    run.meta.update(epochs_done=epochs.done, best_epoch=epochs.best and epochs.best.epoch)
    run.meta.update(verdict.guesses(built, samples))
    run.meta["weights_after_first_step"] = after_first
    if model.ending is not None:
        run.meta["ending"] = print_graph(model.ending).splitlines()
    if "bias_storage" in run.meta:
        run.meta["biases_saturated"] = int(sum(each.sum() for each in ends.seen.values()))
    learned: Mapping[str, np.ndarray] = weights
    if like is not None and _same_first_step(run, like.meta):
        run.meta.update({key: like.meta[key] for key in LEARNED if key in like.meta})
        run.meta["trained_by"] = {key: like.meta[key] for key in ("policy", "schedule", "passes_changed")}
        learned = like.weights
    return replace(run, weights=learned), learned


def _measured(built: Built, engine: Engine, x: np.ndarray, y: np.ndarray) -> Figures:
    """The figures of wb_forward's outputs for samples x and targets y, with the present weights."""
    objective = built.compiled.objective
    return figures(objective, engine.outputs(x), told(objective, x, y, input_of(built.compiled.model)))


def _same_first_step(run: Run, like: Mapping) -> bool:
    """Whether loss and weights after the first step equal the other run's, to the bit.

    Raises InternalError where they differ without violations of the plan, which would explain it and are reported.
    """
    own = run.meta
    key = "weights_after_first_step"
    if own["loss"][0] == like["loss"][0] and own[key] == like[key]:
        return True
    if len(run.violations):
        return False
    what = "weights after" if own["loss"][0] == like["loss"][0] else "losses of"
    raise InternalError(
        f"{own['policy']}: the {what} the first step under {own['schedule']} and {like['schedule']} are not equal to "
        "the bit"
    )


def _weights(built: Built, device: Device) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The present parameters, twice: as compiled, and by the model's own names, shapes and order."""
    graph, model = built.compiled.graph, built.compiled.model
    compiled = read_weights(device, graph)
    own = restored(compiled, built.compiled.orders)  # what the graph lacks was folded into others: frozen
    return compiled, {name: own.get(name, model.weights[name]) for name in model.graph.parameters}


def _digest(weights: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of the weights' bits; all NaNs count as equal."""
    bits = sha256()
    for name, values in sorted(weights.items()):
        bits.update(name.encode())
        bits.update(np.where(np.isnan(values), np.float32("nan"), values).astype(values.dtype).tobytes())
    return bits.hexdigest()


def engine_of(built: Built, asked: str, steps: int) -> Engine:
    """The engine that runs the steps of a built network."""
    kinds = built.compiled.graph.types
    integers = {
        row.symbol: kinds[name].dtype
        for row in built.project.buffers
        for name in (*row.values, row.parameter)[:1]
        if row.storage == "sram" and name and kinds[name].dtype != "float32"
    }
    return Engine(asked, device_of(built), built.project.files, integers, steps)


def device_of(built: Built) -> Device[Machine]:
    """A started machine with a built network's firmware; its faults name operator and buffer."""
    machine = Machine(parse_elf(built.image.content, built.image.elf), built.image.board)
    image = built.compiled.graph.types[built.compiled.model.graph.inputs[0]]
    stored = image.stored if image.layout else np.ravel
    device = Device(machine, list(built.project.buffers), list(built.project.ops), stored)
    Inspector(machine, device.buffers, device.ops, reserve=built.image.stack_reserve)
    return device


def read_weights(device: Device, graph: Graph) -> dict[str, np.ndarray]:
    """The present parameters, biases and their deltas joined; channels in the compiled order."""
    values = {name: read_parameter(device, name, graph.types[name]) for name in graph.parameters}
    states = [delta.state for delta in deltas_of(graph).values()]
    changes = {name: device.read(state_row(device.buffers, name), np.int16) for name in states}
    return joined(graph, values | changes)


def state_row(buffers: Sequence[BufferRow], name: str) -> BufferRow:
    """The row of a state."""
    return next(row for row in buffers if name in row.values)


class Ends:
    """Which channels of the biases kept as deltas have changed as far as these hold, after some step.

    `seen`: bias -> a truth value a channel. One that came back from there stays seen: an int32 bias would have gone on.
    """

    def __init__(self, built: Built):
        graph, rows = built.compiled.graph, built.project.buffers
        deltas = deltas_of(graph)
        self._stored = {name: (state_row(rows, delta.state), delta.wide) for name, delta in deltas.items()}
        self.seen = {name: np.zeros(graph.types[name].shape, bool) for name in deltas}

    def see(self, device: Device) -> None:
        """Look after each step."""
        for name, (row, wide) in self._stored.items():
            self.seen[name] |= at_the_end(device.read(row, np.int16), wide)


def read_parameter(device: Device, name: str, kind: TensorType) -> np.ndarray:
    """A parameter's present values, its parts joined, without its delta; channels in the compiled order."""
    rows = [row for row in device.buffers if row.role == "parameter" and row.parameter == name]
    if len(rows) == 1:
        return kind.logical(device.read(rows[0], NUMPY[kind.dtype]))
    axis = rows[0].axis
    if axis is None:
        raise RecordError(f"{name} lies in {len(rows)} buffers that tell no axis")
    ends = [(row.begin or 0, row.end or 0) for row in rows]
    shapes = [(*kind.shape[:axis], end - begin, *kind.shape[axis + 1 :]) for begin, end in ends]
    parts = [
        device.read(row, NUMPY[kind.dtype])[: prod(shape)].reshape(shape)
        for row, shape in zip(rows, shapes, strict=True)
    ]
    return np.concatenate(parts, axis=axis)


def _traced_step(built: Built, options: Training, step: Step) -> tuple[Tracer, Flow | None, float | None]:
    """The tracer that watched one step, the flow that counted its calls at the same time, and its loss; at level `off`
    nothing runs."""
    device = device_of(built)
    tracer = Tracer(device.machine, device.buffers, device.ops, options.trace)
    if options.trace == "off":
        return tracer, None, None
    flow = Flow(device.machine, tracer.timing, code=tracer.code)
    device.wrote = tracer.host_wrote
    flow.attach()
    tracer.attach()
    loss = step.run(device, before_call=tracer.begin_call)
    flow.detach()
    return tracer, flow, loss


def _board_in_json(board: Board) -> dict:
    return asdict(board) | {"regions": [asdict(region) for region in board.regions]}


def _in_json(orders: Orders) -> dict[str, dict[str, list[int]]]:
    return {name: {str(axis): order.tolist() for axis, order in axes.items()} for name, axes in orders.items()}


def _updates_integers(graph: Graph) -> bool:
    """Whether an int8 or int32 parameter is updated."""
    return any(graph.types[name].needs_grad and graph.types[name].dtype != "float32" for name in graph.parameters)


def _both(before: float | None, after: float | None) -> dict | None:
    return None if before is None and after is None else {"before": before, "after": after}


def _record(
    built: Built,
    options: Training,
    samples: Data | None,
    engine: Engine,
    tracer: Tracer,
    losses: list[float],
    asked: int,
    held_out: tuple[Figures, Figures],
    seconds: Mapping[str, float],
    notes: list[str],
) -> Run:
    """`samples` None: they were random."""
    import pandas as pd

    compiled, board, device = built.compiled, built.board, engine.emulated
    model, graph = compiled.model, compiled.graph
    step = tracer.totals()
    ops = pd.DataFrame(
        {name: " ".join(map(str, cell)) if isinstance(cell, tuple) else cell for name, cell in vars(op).items()}
        for op in device.ops
    )
    buffers = pd.DataFrame(
        {**vars(row), "values": " ".join(row.values), "shape": " ".join(map(str, row.shape))} for row in device.buffers
    )
    buffers = buffers.astype(dict.fromkeys(("lower", "upper", "axis", "begin", "end"), "Int64"))
    buffers = buffers.merge(tracer.buffer_profile(), on="id", how="left")
    symbols = pd.DataFrame([vars(symbol) for symbol in device.machine.elf.symbols])
    passes = [applied.name for applied in compiled.passes]
    updated = [graph.types[name].updated.elements for name in graph.parameters if graph.types[name].needs_grad]
    cycles = step.cycles
    lr, lr_bias = rates_of(options)
    meta = {
        "model": model.name, "policy": compiled.policy.name, "schedule": compiled.schedule,
        "arithmetic": "fused multiply-add" if board.fuses else "multiply, then add",
        "kernels": kernels_record(built.tuned, graph),
        "passes": passes, "passes_changed": list(pass_changes(compiled.schedule, passes)),
        "declined": {applied.name: applied.declined for applied in compiled.passes if applied.declined},
        "board": board.name, "core": board.core, "linked_for": _board_in_json(built.image.board),
        "input": "rows" if device.machine.takes_rows else "whole", "batch": model.batch,
        **recorded(compiled.optimizer, _updates_integers(graph)), **recorded(options),
        "steps": len(losses), "steps_asked": asked,
        "engine": {"asked": options.engine, **engine.record()}, "trained_by": None,
        "lr": float(lr), "lr_bias": float(lr_bias),
        "validation": options.set_aside and float(options.set_aside),
        "channels_last": model.wanted.nhwc, "trace": options.trace,
        "weights_from": model.weights_from, "pretrained": model.pretrained,
        "nodes": len(device.ops), "macs": model.macs // model.batch, "parameters": model.parameter_count,
        "parameters_updated": int(sum(updated)), "channel_orders": _in_json(compiled.orders),
        "data": samples and samples.record(),
        "loss": [loss if np.isfinite(loss) else None for loss in losses],  # JSON knows no NaN
        "loss_function": compiled.objective.loss, "target": compiled.objective.target,
        "classes": list(samples.names if samples else ())
        or verdict.class_count(built) or (samples and samples.classes),
        "notes": notes, "held_out_loss": _both(*(each.loss for each in held_out)),
        "accuracy": _both(*(each.accuracy for each in held_out)),
        "instructions_per_step": step.instructions, "modelled_cycles_per_step": cycles,
        "milliseconds_per_step": None if cycles is None else 1000 * cycles / board.clock_hz,
        "timing_model": model_of(board).name,
        "memory": memory_measures(built, buffers, step.arena_touched, device.machine.stack_peak()),
        "flash": flash_measures(built, device.machine.elf),
        "seconds": {"compile": compiled.seconds, "build": built.seconds, **seconds},
        "artifacts": {},
    }  # fmt: skip
    return Run(
        meta=meta,
        graph=print_graph(graph),
        ops=ops.merge(tracer.op_profile(), on="position", how="left"),
        buffers=buffers,
        accesses=tracer.accesses(),
        violations=device.machine.inspector.violations(tracer.violations()),
        symbols=symbols,
    )
