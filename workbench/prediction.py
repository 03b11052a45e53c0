"""Predictions: wb_forward of a firmware, with the weights that a training came to, for any samples.

given ── as the run's data was read and normalized ──► samples ── wb_forward ──► scores ── beside targets ──► figures
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.artifacts import Built
from workbench.autodiff import loss_nodes
from workbench.boards import Board
from workbench.data import Data, Network, Reading, as_seen, resolved
from workbench.data.own import AS_IT_IS
from workbench.emulate.device import Device
from workbench.emulate.machine import Machine
from workbench.emulate.symbols import parse_elf
from workbench.engine import Engine
from workbench.errors import DataError, RecordError, WorkbenchError
from workbench.evaluation import Figures, figures
from workbench.feeding import AUTO
from workbench.ir import op as operators
from workbench.ir.deltas import Delta, change_of, deltas_of, stored_of
from workbench.ir.graph import Graph
from workbench.ir.interpret import interpret
from workbench.ir.text import parse_graph
from workbench.ir.types import NUMPY, TensorType, quantized
from workbench.objective import BCE, INPUT, LABELS, Objective
from workbench.passes.permute_channels import Orders, permuted
from workbench.plain import printable
from workbench.record import Run
from workbench.tables import BufferRow, OpRow
from workbench.targets import real, told
from workbench.trace.inspector import Inspector
from workbench.training import read_parameter, state_row

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Firmware:
    """All that predicting needs: an ELF, its board, graph and plan tables, and the stack reserve.

    `orders`: the compiled order of a parameter's channels (see passes/permute_channels); `network`: what samples must
    fit; `objective`: what outputs are held against; `files`: its C project (None: not generated on this machine);
    `ending`: the softmax or sigmoid of the network that training does without (None: it has none).
    """

    elf: bytes = field(repr=False)
    board: Board
    graph: Graph
    buffers: list[BufferRow]
    ops: list[OpRow]
    stack_reserve: int
    orders: Orders
    network: Network
    objective: Objective
    files: Mapping[str, str] | None = field(default=None, repr=False)
    ending: Graph | None = None

    def scores(
        self, x: np.ndarray, weights: Mapping[str, np.ndarray] | None = None, asked: str = AUTO
    ) -> tuple[np.ndarray, Engine]:
        """Scores, float32 (n, …), of real samples x (n, …), and the engine that computed them (see workbench.engine).

        `weights`, in the model's own order, replace those in SRAM.
        """
        device = self.started(weights or {})
        with closing(device.machine), closing(Engine(asked, device, self.files)) as engine:
            scores = engine.outputs(quantized(x, self.network.input))
        scores = scores.reshape(len(x), *self.network.output)
        return np.moveaxis(scores, 1, -1) if self.network.nhwc and scores.ndim == 4 else scores, engine

    def started(self, weights: Mapping[str, np.ndarray]) -> Device[Machine]:
        """A started machine with this firmware; its faults name operator and buffer."""
        machine, image = Machine(parse_elf(self.elf, Path("firmware.elf")), self.board), self.network.input
        device = Device(machine, self.buffers, self.ops, image.stored if image.layout else np.ravel)
        Inspector(machine, self.buffers, self.ops, reserve=self.stack_reserve)
        deltas = deltas_of(self.graph)
        for name, values in permuted(weights, self.orders).items():
            kind = self.graph.types.get(name)  # None: it was folded into others
            if kind and name in deltas:
                write_delta(device, name, kind, values, deltas[name])
            elif kind:
                write_parameter(device, name, kind, values)
        return device


@dataclass(frozen=True)
class Predictions:
    """`scores` (n, …) in the layout of the network's file, and `data`, the samples, all of them held out.

    `classes` are the names of the classes, numbers where they have none; empty where the network tells no classes.
    `channels_last`: the layout is NHWC. `engine`: the entry of run.json of this name. `ending`: see Firmware.
    """

    scores: np.ndarray
    data: Data
    objective: Objective
    input: TensorType
    classes: tuple[str, ...] = ()
    channels_last: bool = False
    engine: Mapping = field(default_factory=dict)
    ending: Graph | None = None

    @cached_property
    def outputs(self) -> np.ndarray:
        """What the network itself gives, float32 (n, …): `scores`, or what its softmax or sigmoid makes of them."""
        if self.ending is None:
            return self.scores
        (name,), (result,) = self.ending.inputs, self.ending.outputs
        source, kind = self.ending.types[name], self.ending.types[result]
        batch, parts = source.shape[0], []
        for begin in range(0, len(self.scores), batch):
            part = self.scores[begin : begin + batch]
            padded = np.concatenate([part, np.zeros((batch - len(part), *part.shape[1:]), np.float32)])
            given = quantized(padded.reshape(source.shape), source)
            parts.append(real(interpret(self.ending, {name: given})[result], kind)[: len(part)])
        outputs = np.concatenate(parts)
        return np.moveaxis(outputs, 1, -1) if self.channels_last and outputs.ndim == 4 else outputs

    @property
    def has_targets(self) -> bool:
        """Whether it is known what the outputs should be."""
        return self.data.target == self.objective.target

    @cached_property
    def predicted(self) -> np.ndarray | None:
        """The predicted class of each sample, int64 (n,): that of the largest score, or by the sign of a single one."""
        if not self.classes:
            return None
        return self.scores.argmax(axis=1) if self.scores.shape[1] > 1 else (self.scores[:, 0] > 0).astype(np.int64)

    @cached_property
    def figures(self) -> Figures:
        """Mean loss and accuracy over the samples; None where no targets are known."""
        return self._figures(slice(None)) if self.has_targets else Figures(None)

    @cached_property
    def losses(self) -> list[float | None]:
        """The loss of each sample; under an autoencoder it says how unusual the sample is."""
        count = len(self.scores) if self.has_targets else 0
        return [self._figures(slice(index, index + 1)).loss for index in range(count)]

    @property
    def errors(self) -> np.ndarray:
        """How far each output is from its target, float64 (n, …), where targets are numbers."""
        return np.abs(self.scores.astype(np.float64) - self.data.test_y.reshape(self.scores.shape))

    @cached_property
    def confusion(self) -> np.ndarray | None:
        """Samples of each class (rows) by predicted class (columns)."""
        from workbench.report.confusion import confusion  # it draws too, by matplotlib

        if not self.classes or not self.has_targets:
            return None
        return confusion(self.actual, np.asarray(self.predicted), len(self.classes))

    @property
    def actual(self) -> np.ndarray:
        """The class of each sample, int64 (n,), where it is known."""
        return self.data.test_y.reshape(-1).astype(np.int64)

    def _figures(self, part: slice) -> Figures:
        x = quantized(self.data.test_x[part], self.input)
        return figures(
            self.objective, self._own_layout[part], told(self.objective, x, self.data.test_y[part], self.input)
        )

    @cached_property
    def _own_layout(self) -> np.ndarray:
        return np.moveaxis(self.scores, -1, 1) if self.channels_last and self.scores.ndim == 4 else self.scores


def of_run(run: Run, elf: bytes | None, files: Mapping[str, str] | None = None) -> Firmware:
    """The firmware of a run, with its C project's `files`. Raises RecordError where it was not kept."""
    if elf is None or not run.weights:
        raise RecordError(f"{run.title}: its firmware and weights were not kept", "run it again")
    meta = run.meta
    try:
        graph = parse_graph(run.graph)
        (loss,) = loss_nodes(graph)
        output = graph.types[loss.operands[0]].shape[1:]
        orders = {
            name: {int(axis): np.asarray(order) for axis, order in axes.items()}
            for name, axes in meta["channel_orders"].items()
        }
        source = graph.types[graph.inputs[0]]
        network = Network(meta["model"], source, output, meta["channels_last"], meta["target"] == INPUT)
        firmware = Firmware(
            elf, Board.of_plain(meta["linked_for"]), graph, rows_of(run.buffers, BufferRow), rows_of(run.ops, OpRow),
            meta["memory"]["stack_reserve"], orders,
            network, Objective(meta["loss_function"], meta["target"]), files,
            _ending(meta["ending"], output) if meta.get("ending") else None,
        )  # fmt: skip
        _require_whole(firmware, run.weights, loss.op)
    except (WorkbenchError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = error.message if isinstance(error, WorkbenchError) else error
        raise RecordError(f"{run.title}: it does not tell its firmware: {reason}", "run it again") from None
    return firmware


def _ending(lines: list[str], output: tuple[int, ...]) -> Graph:
    """The graph in run.json. Raises RecordError where it does not begin at such scores."""
    ending = parse_graph("\n".join([*lines, ""]))
    if len(ending.arguments) != 1 or len(ending.outputs) != 1 or ending.types[ending.inputs[0]].shape[1:] != output:
        raise RecordError("its ending does not read its scores")
    return ending


def _require_whole(firmware: Firmware, weights: Mapping[str, np.ndarray], loss: str) -> None:
    """Raise RecordError for a run whose parts do not belong together: joined from several runs, or edited by hand."""
    graph, objective = firmware.graph, firmware.objective
    if operators.of_loss(objective.loss).name != loss:
        raise RecordError(f"its loss is {objective.loss}; the operator is {loss}")
    if objective.target == INPUT and prod(firmware.network.output) != prod(firmware.network.shape):
        raise RecordError("its target is the input, which its output is not like")
    for name, values in weights.items():
        kind = graph.types.get(name)  # None: it was folded into others
        if kind and (values.shape, values.dtype) != (kind.shape, NUMPY[kind.dtype]):
            raise RecordError(f"{name} is {kind}, its weights {values.dtype} {values.shape}")
    for name, axes in firmware.orders.items():
        for axis, order in axes.items():
            size = weights[name].shape[axis] if name in weights and 0 <= axis < weights[name].ndim else 0
            if order.shape != (size,) or not np.array_equal(np.sort(order), np.arange(size)):
                raise RecordError(f"the channels of {name} have no such order")
    large = [row.name for row in firmware.buffers if row.size > firmware.board.sram_size and row.storage != "flash"]
    if large:
        raise RecordError(f"{large[0]} does not fit its board")


def of_built(built: Built) -> Firmware:
    """The firmware of a built network, with the weights that it was compiled with."""
    compiled, image = built.compiled, built.image
    return Firmware(image.content, image.board, compiled.graph, list(built.project.buffers), list(built.project.ops),
                    image.stack_reserve, compiled.orders, compiled.model.wanted, compiled.objective,
                    built.project.files, compiled.model.ending)  # fmt: skip


def predict_run(
    run: Run,
    elf: bytes | None,
    given=None,
    reading: Reading = AS_IT_IS,
    files: Mapping[str, str] | None = None,
    engine: str = AUTO,
) -> Predictions:
    """Predictions of a run's firmware, or of its native twin, for the samples `given` (None: those that it held out).

    Samples are read and normalized as the run's data was, but for what `reading` asks. `files`: see Firmware. Raises
    DataError for samples that do not fit, or where the held-out ones are gone.
    """
    firmware, record = of_run(run, elf, files), _record(run)
    names = run.meta["classes"] if isinstance(run.meta.get("classes"), list) else ()
    if len(names) > max(firmware.network.output[-1], 2):
        raise RecordError(
            f"{run.title}: it names {len(names)} classes of {firmware.network.output[-1]}", "run it again"
        )
    if given is None:
        reading.refuse(run.title, *reading.asked, why="what it held out is read as it was then")
        data = _held_out(run, record, firmware.network)
    else:
        data = as_seen(given, firmware.network, record, tuple(names), reading, run.meta["loss_function"])
        data = replace(data, notes=(*data.notes, *_known(run, record, firmware.network, given)))
    try:
        return _predictions(firmware, data, run.weights, run.meta.get("classes"), engine)
    except (LookupError, ArithmeticError, TypeError, ValueError, StopIteration) as error:
        raise RecordError(f"{run.title}: its tables do not fit its firmware", "run it again") from error


def _known(run: Run, record: Mapping, network: Network, given) -> list[str]:
    """A note where the run was trained on the file that is given."""
    if not isinstance(given, str | Path) or record.get("source") != printable(str(given)) or record["split"] is None:
        return []
    with suppress(DataError):
        _held_out(run, record, network)
        taught = f"{record['train']:,} of these samples trained the run"
        return [f"{taught}: without --data, the {record['test']:,} that it held out are told alone"]
    return []


def predict_built(built: Built, given, reading: Reading, engine: str = AUTO) -> Predictions:
    """Predictions of a network that was not trained here, for the samples `given` (see data.own.as_seen)."""
    firmware = of_built(built)
    data = as_seen(given, firmware.network, None, (), reading, firmware.objective.loss)
    return _predictions(firmware, data, {}, data.classes, engine)


def _predictions(
    firmware: Firmware, data: Data, weights: Mapping[str, np.ndarray], classes=None, asked: str = AUTO
) -> Predictions:
    aim, outputs = firmware.objective, firmware.network.output[-1] if firmware.network.output else 0
    count = outputs if aim.target == LABELS else 2 if aim.loss == BCE and outputs == 1 and classes else 0
    classes = tuple(list(data.names) + [str(number) for number in range(len(data.names), count)]) if count else ()
    scores, engine = firmware.scores(data.test_x, weights, asked)
    network, done_by = firmware.network, {"asked": asked, **engine.record()}
    data = replace(data, notes=(*data.notes, *engine.notes))
    return Predictions(scores, data, firmware.objective, network.input, classes, network.nhwc, done_by,
                       firmware.ending)  # fmt: skip


def _record(run: Run) -> Mapping:
    """The entry `data` of run.json, {} for random samples. Raises RecordError for one that no run writes."""
    record = run.meta.get("data") or {}
    kinds = {"source": str, "test": int, "reading": dict, "digest": str, "normalize": dict}
    if record and not (isinstance(record, dict) and all(isinstance(record.get(key), kinds[key]) for key in kinds)):
        raise RecordError(f"{run.title}: it does not tell its data", "run it again")
    return record


def _held_out(run: Run, record: Mapping, network: Network) -> Data:
    """The samples that a run held out, read again. Raises DataError where the source is gone or has changed."""
    source, hint = record.get("source"), "--data names samples to predict"
    if not record:
        raise DataError(f"{run.title} was trained on random samples: none is held out", hint)
    if not record["test"]:
        raise DataError(f"{run.title} held out no samples", hint)
    try:
        again = resolved(source, network, Reading.of_plain(record["reading"]), run.meta["loss_function"])
    except DataError as error:
        raise DataError(f"{run.title}: the samples it held out are not there: {error.message}", hint) from None
    if again.digest != record["digest"]:
        raise DataError(f"{run.title}: {source} holds other samples than it was trained on", hint)
    return again


def write_parameter(device: Device, name: str, kind: TensorType, values: np.ndarray) -> None:
    """Write the part of a parameter that lies in SRAM; `values` have channels in the compiled order."""
    for row in device.buffers:
        if row.role != "parameter" or row.parameter != name or row.storage != "sram":
            continue
        if row.axis is None or row.begin is None or row.end is None:
            stored = kind.stored(values)
        else:
            stored = np.take(values, np.arange(row.begin, row.end), axis=row.axis).reshape(-1)
        device.machine.write_array(device.address(row), stored.astype(NUMPY[kind.dtype]))


def write_delta(device: Device, name: str, kind: TensorType, values: np.ndarray, delta: Delta) -> None:
    """Write how far the `values` of a bias are from those in flash. Raises RecordError where that cannot be stored."""
    change = values.astype(np.int64) - read_parameter(device, name, kind)
    stored = stored_of(change, delta.wide)
    if not np.array_equal(change_of(stored, delta.wide), change):
        raise RecordError(f"{name} is further from its first values than its delta can hold")
    device.machine.write_array(device.address(state_row(device.buffers, delta.state)), stored)


def rows_of(table: pd.DataFrame, kind: type) -> list:
    """The rows of a run's table as BufferRow or OpRow (`kind`)."""
    import pandas as pd

    parse: dict[Any, Callable[[Any], Any]] = {
        str: str,
        tuple[str, ...]: lambda text: tuple(str(text).split()),
        tuple[int, ...]: lambda text: tuple(map(int, str(text).split())),
    }
    columns = {
        own.name: [parse.get(own.type, lambda value: None if pd.isna(value) else int(value))(value)
                   for value in table[own.name]]
        for own in fields(kind)
    }  # fmt: skip
    return [kind(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]
