"""Every sample of every operator, and one firmware that runs them all."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

import workbench.schedule  # noqa: F401  registers the operators
from workbench import boards
from workbench.boards import Board
from workbench.codegen import Project, generate
from workbench.emulate.machine import Machine
from workbench.ir.build import Builder, Value
from workbench.ir.graph import Graph
from workbench.ir.liveness import liveness
from workbench.ir.op import Op, Sample, registered
from workbench.ir.types import NUMPY, TensorType
from workbench.ir.verify import verify
from workbench.kernels.instances import included
from workbench.plan.memory import MemoryPlan, plan_memory, scratch_id
from workbench.plan.problem import Placed, plan_of
from workbench.toolchain import build

SEED = 7
ONLY = ""  # a part of the names of operators (pytest --operator)


def every_sample(nth: int = 1) -> list[tuple[str, Op, Sample]]:
    """(id, operator, sample) of all operators; the sample's attributes are complete. `nth`: of each operator the first
    sample and every so-many-th after it."""
    cases = []
    for op in (op for op in registered().values() if ONLY in op.name):
        for number, sample in list(enumerate(op.samples(np.random.default_rng(SEED))))[::nth]:
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


def whole_numbers(array):
    """Of whose products and sums, which stay below 2^24, no bit is lost; scales as powers of two."""
    if array.dtype == np.int8:
        return array // 16
    if array.dtype != float:
        return array
    return np.rint(3 * array) if array.ndim > 1 else np.where(array > 0.25, 0.5, 1.0)


def with_no_numbers(op: Op, sample: Sample) -> Sample:
    """The sample with NaN, infinity and minus infinity in its first real operand that is no weight; as it is, where
    there is none.

    Where a gradient meets padding, numpy says 0 · NaN and the kernels leave the tap out: there x takes them, not dy.
    """
    inner = [node.op for node in sample.attrs["body"].nodes] if op.name == "region" else [op.name]
    by_weight = any("backward_weight" in name for name in inner)
    if by_weight and op.name == "region":
        return sample
    written = set(op.taken(sample.attrs))
    free = [at for at, array in enumerate(sample.operands) if at not in written and np.ndim(array)]
    free = free[1:] if by_weight else free
    at = free[0] if free else None
    if at is None or not np.issubdtype(sample.operands[at].dtype, np.floating) or op.name == "qnn.requantization":
        return sample
    array = sample.operands[at].copy()
    array.reshape(-1)[[-1, array.size // 3, array.size // 2]] = -np.inf, np.inf, np.nan
    return replace(sample, operands=(*sample.operands[:at], array, *sample.operands[at + 1 :]))


def one_graph(cases) -> tuple[Graph, dict[str, np.ndarray], dict[str, tuple[Value, ...]]]:
    """Every sample in one graph, what to feed it, and case id -> its results; views have no kernel and are left out."""
    builder, feeds, made, outputs = Builder(), {}, {}, []
    for case, op, sample in cases:
        if not op.runs_alone:
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
    return verify(builder.graph(*outputs)), feeds, made


def one_project(
    board: Board, one_arena: bool = False, nth: int = 1, inline: bool = False, cases=None, loops: str = ""
) -> tuple[Project, Callable[[Machine, list], dict[str, list[np.ndarray]]]]:
    """The C of every sample (`nth`: see every_sample), or of these `cases`, and what runs it with them, or with such as
    differ in values that are fed alone: case id -> what each kernel gave for each of its results, flat. `loops`: naive
    ones in the place of kernels.

    Each array is an arena of its own, in which it lies at offset 0 and beyond which there is nothing. With `one_arena`
    they lie side by side. `inline`: an instance is part of each operator that calls it, not a function, so that gcc's
    -Warray-bounds sees the arrays.
    """
    graph, values, made = one_graph(every_sample(nth) if cases is None else cases)
    project = generate(graph, side_by_side(graph), values, board, loops=loops)
    place = {value: row for row in project.buffers for value in row.values}

    def run(machine: Machine, cases) -> dict[str, list[np.ndarray]]:
        _, feeds, _ = one_graph(cases)

        def address(value: str) -> int:
            row = place[value]
            own = row.storage == "arena" and not one_arena
            return machine.elf.address(_own(row.offset)) if own else machine.elf.address(row.symbol) + row.offset

        machine.start()
        for name in graph.inputs:
            machine.write_array(address(name), packed(feeds[name]))
        machine.call("wb_train_step")
        return {case: [read(machine, address(v.name), v.type) for v in values] for case, values in made.items()}

    project = project if one_arena else _each_its_own(project)
    return _inlined(project) if inline else project, run


def side_by_side(graph: Graph) -> MemoryPlan:
    """A plan in no time: nothing shares a byte."""
    scratch = {name: -(-size // 4) * 4 for name, size in graph.analysis.scratch.items() if size}
    living, placed, offset = liveness(graph, scratch, 4), [], 0
    living = replace(living, arena=tuple(storage.whole() for storage in living.arena))
    for name, size in [*((s.name, s.bytes) for s in living.arena), *((scratch_id(n), b) for n, b in scratch.items())]:
        placed.append(Placed(name, 0, 1, max(size, 1), offset))
        offset += -(-max(size, 1) // 8) * 8
    return MemoryPlan(living, plan_of(placed, offset, "side by side"), scratch)


def _own(offset: int) -> str:
    return f"wb_own_{offset}"


def _each_its_own(project: Project) -> Project:
    """The same C with an array a buffer instead of one arena."""
    own = {row.offset: row.size for row in project.buffers if row.storage == "arena"}
    arrays = [f"uint8_t {_own(offset)}[{size}]" for offset, size in own.items()]
    files = dict(project.files)
    for name, text in files.items():
        if re.fullmatch(r"ops_\d+\.c", name):
            text = re.sub(r"\(wb_arena, (\d+)\)", r"(wb_own_\1, 0)", text)
            files[name] = re.sub(r"\bwb_arena \+ (\d+)\b", r"wb_own_\1", text)
    files["model.h"] = files["model.h"].replace(
        "void wb_forward(void);", "".join(f"extern {array};\n" for array in arrays) + "void wb_forward(void);"
    )
    files["schedule.c"] += "".join(
        f'__attribute__((section(".bss..arena"), aligned(8))) {array};\n' for array in arrays
    )
    files["model.h"] = re.sub(r"(extern uint8_t wb_arena)\[\d+\]", r"\1[8]", files["model.h"])
    return replace(project, files=files)


def _inlined(project: Project) -> Project:
    declared, files = '#include "instances.h"\n', dict(project.files)
    kernels = [name for name in files if re.fullmatch(r"instances_\d+\.c", name)]
    known = {each: op.kernel.header for op in registered().values() if op.kernel for each in op.kernel.functions}
    found = re.findall(r"^WB_INSTANCE (void (k_(\w+)_\d+)\(.*?^}\n)", "".join(map(files.get, kernels)), re.M | re.S)

    def defined(text: str) -> str:  # the instances that it calls
        called = set(re.findall(r"\bk_\w+(?=\()", text))
        used = [(function, whole) for whole, name, function in found if name in called]
        return included(known[function] for function, _ in used) + "".join(f"WB_KERNEL {whole}" for _, whole in used)

    files |= {name: text.replace(declared, defined(text)) for name, text in files.items() if name.startswith("ops_")}
    return replace(project, files=files | dict.fromkeys(kernels, declared))


def parameters_after(graph: Graph, values: Mapping[str, np.ndarray], folder: Path) -> dict[str, np.ndarray]:
    """Parameter -> the values of its part that is updated after one emulated step of `graph`, flat."""
    board, memory = boards.get("nrf52840"), plan_memory(graph, graph.analysis.scratch)
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
    board, memory = boards.get("nrf52840"), plan_memory(graph, graph.analysis.scratch)
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
