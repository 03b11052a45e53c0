"""The firmware's protocol: feed inputs and targets, run wb_forward or wb_train_step, read loss, logits and parameters.

All it knows of the network are the plan tables, so any firmware with such tables can be driven.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Generic, TypeVar

import numpy as np

from workbench.emulate.machine import Machine
from workbench.emulate.memory import Target
from workbench.errors import RecordError
from workbench.tables import BufferRow, OpRow

STEPS_DONE = "wb_step"


M = TypeVar("M", bound=Target)


class Device(Generic[M]):
    """A started machine with the tables of its training step. `wrote(symbol + offset, bytes)` hears of host writes.

    `stored(inputs)` are a batch's inputs in the order in which they lie in memory.
    """

    def __init__(self, machine: M, buffers: list[BufferRow], ops: list[OpRow], stored=np.ravel):
        self.machine, self.buffers, self.ops, self.stored = machine, buffers, ops, stored
        self.input = None if machine.takes_rows else _only(buffers, "input")
        self.target = _only(buffers, "label") if any(row.role == "label" for row in buffers) else None  # else the input
        loss = next((op for op in ops if op.phase == "loss"), None)
        if loss is None:
            raise RecordError("ops.csv has no operator of phase loss")
        target = "label" if self.target else "input"
        self.logits = next(row for row in buffers if row.id in loss.reads and row.role != target)
        self.wrote: Callable[[int, int], None] = lambda address, size: None
        machine.start()
        machine.paint_stack()

    def address(self, row: BufferRow) -> int:
        return self.machine.elf.address(row.symbol) + row.offset

    def set_rates(self, lr: float, lr_bias: float) -> None:
        """Write the learning rates; a firmware that updates no biases has no wb_lr_bias, and the reverse."""
        for symbol, rate in (("wb_lr", lr), ("wb_lr_bias", lr_bias)):
            if self.machine.elf.has(symbol):
                self.machine.write_f32(symbol, rate)

    def set_seed(self, seed: int) -> None:
        """Write the seed of stochastic rounding, where there is such."""
        if self.machine.elf.has("wb_seed"):
            self.machine.write_array("wb_seed", np.array([seed], np.uint64).astype(np.uint32))

    def forward(self, inputs: np.ndarray) -> np.ndarray:
        """The network's outputs, such as logits, for inputs (batch, …): float32 (batch, values)."""
        self.feed_inputs(inputs)
        self.machine.call("wb_forward")
        count = self.logits.size // 4
        return self.machine.read_array(self.address(self.logits), np.float32, count).reshape(len(inputs), -1)

    def feed(self, inputs: np.ndarray, targets: np.ndarray) -> None:
        """Write a batch's inputs and, unless they are the targets, its targets: int32 labels, or float32 numbers."""
        self.feed_inputs(inputs)
        if self.target:
            targets = np.asarray(targets)
            self._feed(self.target, targets.astype(np.float32 if targets.dtype.kind == "f" else np.int32))

    def train_step(self, inputs: np.ndarray, targets: np.ndarray) -> float:
        """One training step; gives its batch's mean loss, computed before the update."""
        self.feed(inputs, targets)
        self.machine.call("wb_train_step")
        return self.loss

    def accumulate(self, inputs: np.ndarray, targets: np.ndarray) -> float:
        """Accumulate a batch's gradients, without an update; gives its mean loss."""
        self.feed(inputs, targets)
        self.machine.call("wb_accumulate")
        return self.loss

    def train_step_by_operator(self: "Device[Machine]", inputs: np.ndarray, targets: np.ndarray) -> Iterator[OpRow]:
        """One training step that pauses after each operator, whose results can then be read with `read`."""
        self.feed(inputs, targets)
        return self._by_operator("wb_train_step", self.ops)

    def accumulate_by_operator(self: "Device[Machine]", inputs: np.ndarray, targets: np.ndarray) -> Iterator[OpRow]:
        """`accumulate`, pausing after each operator."""
        self.feed(inputs, targets)
        return self._by_operator("wb_accumulate", [op for op in self.ops if op.phase != "update"])

    def _by_operator(self: "Device[Machine]", entry: str, ops: list[OpRow]) -> Iterator[OpRow]:
        addresses = [self.machine.elf.address(op.symbol) for op in ops]
        for index in self.machine.calls_by_operator(entry, addresses):
            if index:
                yield ops[index - 1]
        yield ops[-1]

    @property
    def loss(self) -> float:
        return self.machine.read_f32("wb_loss")

    def read(self, row: BufferRow, dtype=np.float32) -> np.ndarray:
        """A buffer's bytes as a flat array."""
        return self.machine.read_array(self.address(row), dtype, row.size // np.dtype(dtype).itemsize)

    def parameters(self) -> dict[str, np.ndarray]:
        """Every parameter as it now stands, flat, by name; the parts of a split one by the names of their rows."""
        rows = [row for row in self.buffers if row.role == "parameter"]
        return {row.parameter if row.axis is None else row.name: self.read(row) for row in rows}

    def state(self) -> dict[str, bytes]:
        """All that one step leaves to the next, by symbol: updated parameters, momentum, sums of gradients, scalars."""
        return {symbol: self.machine.read(symbol, size) for symbol, size in self._lasting.items()}

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Put back what `state` gave, of this device or of another of the same tables. Raises RecordError."""
        if (lasting := self._lasting) != {symbol: len(data) for symbol, data in state.items()}:
            odd = sorted({symbol for symbol, _ in lasting.items() ^ ((key, len(data)) for key, data in state.items())})
            raise RecordError(f"a state of other tables cannot be put back: {', '.join(odd)} differ")
        for symbol, data in state.items():
            self.machine.write(symbol, data)

    @cached_property
    def _lasting(self) -> dict[str, int]:
        """Symbol -> bytes. The tables have a row for the steps done only where the network reads them."""
        rows = {row.symbol: row.size for row in self.buffers if row.storage == "sram"}
        return rows | ({STEPS_DONE: 4} if self.machine.elf.has(STEPS_DONE) else {})

    def outputs(self, inputs: np.ndarray) -> np.ndarray:
        """What wb_forward gives for any number of inputs, float32 (samples, values); a last batch is padded."""
        batch, results = self.batch_of(inputs), []
        for start in range(0, len(inputs), batch):
            part = inputs[start : start + batch]
            padded = np.concatenate([part, np.zeros((batch - len(part), *part.shape[1:]), part.dtype)])
            results.append(self.forward(padded)[: len(part)])
        return np.concatenate(results)

    def batch_of(self, inputs: np.ndarray) -> int:
        """How many of these inputs (samples, …) wb_forward takes at once."""
        return self.input.size // inputs[0].nbytes if self.input else 1

    def feed_inputs(self, inputs: np.ndarray) -> None:
        """Write inputs, or hand them over to firmware that asks for them row by row."""
        if self.input:
            self._feed(self.input, self.stored(inputs))
        else:
            self.machine.feed_image(self.stored(inputs).tobytes())

    def _feed(self, row: BufferRow, values: np.ndarray) -> None:
        if values.nbytes > row.size or values.nbytes <= row.size - 4:
            raise RecordError(f"{row.name} holds {row.size} bytes; got {values.nbytes}")
        address = self.address(row)
        self.machine.write_array(address, values)
        self.wrote(address, values.nbytes)


def _only(buffers: list[BufferRow], role: str) -> BufferRow:
    """The one buffer of a role; its size includes the tails behind it, which hold no value of their own."""
    parts = [row for row in buffers if row.role == role]
    rows = [row for row in parts if row.values or len(parts) == 1]
    if len(rows) != 1:
        raise RecordError(f"buffers.csv needs one buffer of role {role}; it has {len(rows)}")
    return replace(rows[0], size=sum(row.size for row in parts))
