"""Every sample of every operator, and one firmware that runs them all."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

import workbench.ops  # noqa: F401  registers the operators
from workbench import boards
from workbench.codegen import generate
from workbench.emulate.machine import Machine
from workbench.ir.build import Builder
from workbench.ir.graph import Graph
from workbench.ir.liveness import scratch_bytes
from workbench.ir.op import Op, Sample, registered
from workbench.ir.types import NUMPY, TensorType
from workbench.ir.verify import verify
from workbench.plan.memory import plan_memory
from workbench.toolchain import build

SEED = 7


def every_sample() -> list[tuple[str, Op, Sample]]:
    """(id, operator, sample) of all operators; the sample's attributes are complete."""
    cases = []
    for op in registered().values():
        for number, sample in enumerate(op.samples(np.random.default_rng(SEED))):
            cases.append((f"{op.name}-{number}", op, replace(sample, attrs=op.complete(sample.attrs))))
    return cases


def in_dtype(operands, dtype):
    """Float operands in `dtype`, the others as they are."""
    return [a.astype(dtype) if np.issubdtype(np.asarray(a).dtype, np.floating) else np.asarray(a) for a in operands]


def dtype_name(array) -> str:
    if array.dtype == bool:
        return "bit"
    return "float32" if np.issubdtype(array.dtype, np.floating) else str(array.dtype)


def evaluate(op: Op, sample: Sample, dtype=np.float32) -> tuple[np.ndarray, ...]:
    results = op.evaluate(*in_dtype(sample.operands, dtype), **sample.attrs)
    return results if isinstance(results, tuple) else (results,)


def run_every_kernel(board_name: str, folder: Path) -> dict[str, list[np.ndarray]]:
    """Case id -> what the emulated kernel gave for each of its results, flat; views have no kernel and are left out."""
    builder, feeds, made, outputs = Builder(), {}, {}, []
    for case, op, sample in every_sample():
        if op.kernel is None:
            continue
        operands, taken = [], op.taken(sample.attrs)
        for index, array in enumerate(in_dtype(sample.operands, np.float32)):
            declare = builder.parameter if index in taken else builder.input
            name = f"{case}.{index}"
            layout = {"layout": sample.layouts[index]} if index in sample.layouts else {}
            operands.append(declare(name, array.shape, dtype_name(array), **layout))
            feeds[name] = operands[-1].type.stored(array) if layout else array
        results = builder.op(op.name, *operands, **sample.attrs)
        made[case] = results if isinstance(results, tuple) else (results,)
        if sample.over:
            taken = {at: operands[index].name for at, index in sample.over.items()}
            over = tuple(taken.get(at, "") for at in range(len(made[case])))
            builder.nodes[-1] = replace(builder.nodes[-1], over=over)
        outputs += made[case]
    graph = verify(builder.graph(*outputs))
    memory = plan_memory(graph, scratch_bytes(graph))
    board = boards.get(board_name)
    project = generate(graph, memory, feeds, board)
    machine = Machine(build(project, board, folder, memory.plan.bytes).elf, board)
    machine.start()
    place = {value: machine.elf.address(row.symbol) + row.offset for row in project.buffers for value in row.values}
    for name in graph.inputs:
        machine.write_array(place[name], packed(feeds[name]))
    machine.call("wb_train_step")
    return {case: [read(machine, place[v.name], v.type) for v in values] for case, values in made.items()}


def parameters_after(graph: Graph, values: Mapping[str, np.ndarray], folder: Path) -> dict[str, np.ndarray]:
    """Parameter -> the values of its part that is updated after one emulated step of `graph`, flat."""
    board, memory = boards.get("nrf52840"), plan_memory(graph, scratch_bytes(graph))
    project = generate(graph, memory, values, board)
    machine = Machine(build(project, board, folder, memory.plan.bytes).elf, board)
    machine.start()
    rows = {value: row for row in project.buffers for value in row.values}
    place = {value: machine.elf.address(row.symbol) + row.offset for value, row in rows.items()}
    for name in graph.inputs:
        machine.write_array(place[name], values[name])
    machine.call("wb_train_step")
    return {name: read(machine, place[name], graph.types[name].updated) for name in graph.parameters}


def forward_emulated(graph: Graph, values: Mapping[str, np.ndarray], folder: Path) -> np.ndarray:
    """The output of a forward graph on the emulated board; `values` hold its input and its parameters."""
    (source,), (output,) = graph.inputs, graph.outputs
    board, memory = boards.get("nrf52840"), plan_memory(graph, scratch_bytes(graph))
    project = generate(graph, memory, values, board)
    machine = Machine(build(project, board, folder, memory.plan.bytes).elf, board)
    machine.start()
    place = {value: machine.elf.address(row.symbol) + row.offset for row in project.buffers for value in row.values}
    machine.write_array(place[source], graph.types[source].stored(values[source]))
    machine.call("wb_train_step")
    return read(machine, place[output], graph.types[output]).reshape(graph.types[output].shape)


def packed(array: np.ndarray) -> np.ndarray:
    """Bits as they are stored: lowest first, padded to whole 32-bit words."""
    if array.dtype != bool:
        return array
    bits = np.concatenate([array.reshape(-1), np.zeros(-array.size % 32, bool)])
    return np.packbits(bits, bitorder="little")


def read(machine: Machine, address: int, kind: TensorType) -> np.ndarray:
    """A value of the emulated memory in logical order, flat; the padding of bits must be zero."""
    if kind.dtype != "bit":
        return kind.logical(machine.read_array(address, NUMPY[kind.dtype], kind.elements)).reshape(-1)
    bits = np.unpackbits(np.frombuffer(machine.read(address, kind.bytes), np.uint8), bitorder="little").astype(bool)
    assert not bits[kind.elements :].any()
    return kind.logical(bits[: kind.elements]).reshape(-1)
