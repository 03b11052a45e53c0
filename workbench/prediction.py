"""Predictions of a firmware that was trained: the emulated wb_forward, with the weights it came to."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import prod
from pathlib import Path

import numpy as np
import pandas as pd

from workbench.autodiff import loss_nodes
from workbench.boards import Board
from workbench.emulate.device import Device
from workbench.emulate.machine import Machine
from workbench.emulate.symbols import parse_elf
from workbench.errors import DataError, ParseError, RecordError, shown
from workbench.ir.graph import Graph
from workbench.ir.text import parse_graph
from workbench.ir.types import NUMPY, TensorType, quantized
from workbench.passes.permute_channels import Orders, permuted
from workbench.record import Run
from workbench.tables import BufferRow, OpRow
from workbench.trace.inspector import Inspector


@dataclass(frozen=True)
class Firmware:
    """What predicts: an ELF, the board it was linked for, its graph, where its buffers lie, the stack it may need.

    `orders` tell where the channels of a parameter stand in memory (see passes/permute_channels).
    """

    elf: bytes = field(repr=False)
    board: Board
    graph: Graph
    buffers: list[BufferRow]
    ops: list[OpRow]
    stack_reserve: int
    orders: Orders

    @property
    def input(self) -> TensorType:
        return self.graph.types[self.graph.inputs[0]]

    @property
    def output(self) -> TensorType:
        """What the loss is computed of."""
        (loss,) = loss_nodes(self.graph)
        return self.graph.types[loss.operands[0]]

    def started(self, weights: Mapping[str, np.ndarray] | None = None) -> Device:
        """A machine with it; its faults are named. `weights`, in the model's own order, replace those it updates."""
        machine = Machine(parse_elf(self.elf, Path("firmware.elf")), self.board)
        device = Device(machine, self.buffers, self.ops, self.input.stored if self.input.layout else np.ravel)
        Inspector(machine, self.buffers, self.ops, reserve=self.stack_reserve)
        for name, values in permuted(weights or {}, self.orders).items():
            write_parameter(device, name, self.graph.types.get(name), values)
        return device


def predict(run: Run, elf: bytes | None, x) -> np.ndarray:
    """Scores of the samples x (n, …) by a run's firmware and trained weights (see session.Result.predict)."""
    firmware = _of_run(run, elf)
    samples = stored(firmware.input, x)
    scores = outputs(firmware.started(run.weights), samples, firmware.input.shape[0])
    return scores.reshape(len(samples), *firmware.output.shape[1:])


def stored(kind: TensorType, x) -> np.ndarray:
    """Samples (n, …) as the network's input stores them. Raises DataError for what does not fit."""
    try:
        values = np.asarray(x)
    except ValueError:
        raise DataError("samples are one array (n, …); these are of different shapes") from None
    shape = kind.shape[1:]
    if values.dtype.kind not in "fiub" or not values.ndim or values[:1].size != prod(shape):
        raise DataError(f"samples are numbers (n, {', '.join(map(str, shape))}); got {shown(x)}")
    with np.errstate(over="ignore"):
        values = values.reshape(-1, *shape).astype(np.float32)
    if not np.isfinite(values).all():
        where = int(np.argwhere(~np.isfinite(values))[0, 0])
        raise DataError(
            f"samples are finite numbers; sample {where} holds {values[where][~np.isfinite(values[where])][0]}"
        )
    return quantized(values, kind)


def _of_run(run: Run, elf: bytes | None) -> Firmware:
    if elf is None or not run.weights:
        raise RecordError(f"{run.title}: its firmware and weights were not kept", "run it again")
    meta = run.meta
    try:
        board = Board(**meta["linked_for"])
        orders = {
            name: {int(axis): np.asarray(order) for axis, order in axes.items()}
            for name, axes in meta["channel_orders"].items()
        }
        graph = parse_graph(run.graph)
        return Firmware(elf, board, graph, rows_of(run.buffers, BufferRow), rows_of(run.ops, OpRow),
                        meta["memory"]["stack_reserve"], orders)  # fmt: skip
    except (ParseError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecordError(f"{run.title}: it does not tell its firmware: {error}", "run it again") from None


def write_parameter(device: Device, name: str, kind: TensorType | None, values: np.ndarray) -> None:
    """What of a parameter lies in SRAM; channels in the order in which they were compiled."""
    for row in device.buffers:
        if row.role != "parameter" or row.parameter != name or row.storage != "sram":
            continue
        if row.axis is None:
            stored = kind.stored(values)
        else:
            stored = np.take(values, np.arange(row.begin, row.end), axis=row.axis).reshape(-1)
        device.machine.write_array(device.address(row), stored.astype(NUMPY[kind.dtype]))


def outputs(device: Device, inputs: np.ndarray, batch: int) -> np.ndarray:
    """What wb_forward gives for each of the inputs (n, …) as they are stored, float32 (n, values); the last batch is
    padded."""
    given = []
    for start in range(0, len(inputs), batch):
        part = inputs[start : start + batch]
        padded = np.concatenate([part, np.zeros((batch - len(part), *part.shape[1:]), part.dtype)])
        given.append(device.forward(padded)[: len(part)])
    return np.concatenate(given)


def rows_of(table: pd.DataFrame, kind: type) -> list:
    """The rows of a run's table as those of the plan, BufferRow or OpRow."""
    parse = {
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
