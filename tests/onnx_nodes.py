"""ONNX's own tests of its operators, as networks: one of each, with what it is to give."""

import importlib
import pkgutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from samples import read, side_by_side

from workbench.boards import Board
from workbench.codegen import generate
from workbench.emulate.machine import Machine
from workbench.errors import WorkbenchError
from workbench.frontends.emitter import Operand
from workbench.frontends.onnx import file
from workbench.frontends.onnx.constants import FOLDED
from workbench.frontends.onnx.network import Reading
from workbench.frontends.onnx.operators import OPERATORS
from workbench.frontends.weight import Weight
from workbench.ir.build import Value
from workbench.ir.graph import Graph
from workbench.ir.interpret import interpret
from workbench.ir.verify import verify
from workbench.toolchain import build

CASES = "onnx.backend.test.case.node"
OF_CONSTANTS = ("Constant", "ConstantOfShape")
BOTH_GIVEN = {"Add", "Attention", "Concat", "Div", "MatMul", "Max", "Mean", "Min", "Mul", "Sub", "Sum"}
DTYPE, EMPTY, SEQUENCE, OPSET, RANDOM, INFINITE = (
    "dtype",
    "empty shape",
    "sequence type",
    "opset below 13",
    "random numbers",
    "infinite results",
)


@dataclass
class Case:
    """One test. `skipped`: why it is not run; `refused`: what the frontend says of it."""

    operator: str
    name: str
    model: onnx.ModelProto
    inputs: list[np.ndarray]
    wanted: list[np.ndarray]
    rtol: float
    skipped: str = ""
    refused: str = ""
    given: bool = False  # all real inputs are the network's, not the first alone
    graph: Graph | None = None
    feeds: dict[str, np.ndarray] = field(default_factory=dict)
    results: list[Operand] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.name.removeprefix("test_") + ("-given" if self.given else "")


@cache
def every_case(expanded: bool = False) -> tuple[Case, ...]:
    """The tests of the operators that are imported, each read once. `expanded`: those too in which ONNX wrote the
    operator out in others, where all of them are imported."""
    node = importlib.import_module(CASES)
    ours = {name.lower() for name in (*OPERATORS, *OF_CONSTANTS)}
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")  # of ONNX's own numpy
        if not expanded:
            patch.setattr(node, "function_testcase_helper", lambda *_, **__: ([], 0))  # it takes half a minute
        for module in pkgutil.iter_modules(node.__path__):
            if module.name.replace("_", "") in ours:
                importlib.import_module(f"{CASES}.{module.name}")
    kinds = {
        test.name: test.model.graph.node[0].op_type for test in node._NodeTestCases if len(test.model.graph.node) == 1
    }
    cases = []
    for test in node._NodeTestCases:
        name, _, written_out = test.name.partition("_expanded")
        operator, operators = kinds.get(name, ""), [(each.domain, each.op_type) for each in test.model.graph.node]
        if bool(written_out) or "_expanded" in test.name:
            if not expanded or not all(not domain and kind in (*OPERATORS, *FOLDED) for domain, kind in operators):
                continue
        elif operators[0] not in [("", each) for each in (*OPERATORS, *OF_CONSTANTS)]:
            continue
        inputs, outputs = test.data_sets[0]
        for given in (False, True) if operator in BOTH_GIVEN else (False,):
            cases.append(
                _read(Case(operator, test.name, test.model, list(inputs), list(outputs), test.rtol, given=given))
            )
    return tuple(cases)


def _read(case: Case) -> Case:
    case.skipped = _skipped(case)
    if case.skipped:
        return case
    model, names = onnx.ModelProto(), [each.name for each in case.model.graph.input]
    model.CopyFrom(case.model)
    real = [at for at, each in enumerate(case.inputs) if each.dtype == np.float32]
    ours = real if case.given else real[:1]
    for at, name in enumerate(names):
        if at not in ours:
            model.graph.initializer.append(numpy_helper.from_array(case.inputs[at], name))
    try:
        reading = Reading(file.network(model.SerializeToString(), f"{case.name}.onnx")).read()
        if reading.obstacles:
            case.refused = str(reading.obstacles[0])
            return case
        case.results = reading.outputs()
        outputs = [each for each in case.results if isinstance(each, Value)]
        if outputs:
            case.graph = verify(reading.emit.build.graph(*outputs))
            case.feeds = dict(reading.emit.weights)
            case.feeds |= {f"input{number}": case.inputs[at] for number, at in enumerate(ours)}
    except WorkbenchError as error:
        case.refused = error.message
    return case


def _skipped(case: Case) -> str:
    if case.model.opset_import[0].version < file.OLDEST:
        return OPSET
    if not all(isinstance(each, np.ndarray | np.generic | TensorProto) for each in (*case.inputs, *case.wanted)):
        return SEQUENCE
    kinds = [each.type.WhichOneof("value") for each in (*case.model.graph.input, *case.model.graph.output)]
    if any(kind != "tensor_type" for kind in kinds):
        return SEQUENCE
    of_inputs, of_outputs = ([each.type.tensor_type.elem_type for each in side]
                             for side in (case.model.graph.input, case.model.graph.output))  # fmt: skip
    first = of_inputs[1:2] if case.operator == "Where" else of_inputs[:1]
    real = [*first, *of_outputs[:1]]
    if case.operator not in ("Shape", "Size", *OF_CONSTANTS) and any(each != TensorProto.FLOAT for each in real):
        return DTYPE
    case.inputs, case.wanted = ([_array(each) for each in side] for side in (case.inputs, case.wanted))
    if case.operator == "Pow" and case.inputs[1].dtype != np.float32:
        return DTYPE
    if any(0 in x.shape for x in (*case.inputs[:1], *case.wanted)):
        return EMPTY
    if any(x.dtype.kind == "f" and np.isinf(x).any() for x in case.wanted):
        return INFINITE
    if case.operator == "Dropout" and len(case.inputs) == 3 and case.inputs[1]:
        return RANDOM
    return ""


def _array(x) -> np.ndarray:
    return numpy_helper.to_array(x) if isinstance(x, TensorProto) else np.asarray(x)


def meant(case: Case, values: dict[str, np.ndarray] | None = None) -> list[np.ndarray]:
    """What the graph gives in numpy, or in `values` of C by name, for each output of the test."""
    if case.graph is not None and values is None:
        values = interpret(case.graph, case.feeds)
    stored = [each.array if isinstance(each, Weight) else each for each in case.results]
    return [values[each.name] if isinstance(each, Value) else np.asarray(each) for each in stored]


def emulated(cases: list[Case], board: Board, folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """Case id -> its graph's outputs by name, of C on the emulated core: all of them in one firmware."""
    graphs = {f"c{number}.": case for number, case in enumerate(cases) if case.graph is not None}
    whole = _side_by_side({begin: case.graph for begin, case in graphs.items() if case.graph is not None})
    feeds = {begin + name: array for begin, case in graphs.items() for name, array in case.feeds.items()}
    memory = side_by_side(whole)
    project = generate(whole, memory, feeds, board)
    machine = Machine(build(project, board, folder, 0).elf, board)
    machine.start()
    place = {value: machine.elf.address(row.symbol) + row.offset for row in project.buffers for value in row.values}
    for name in whole.inputs:
        machine.write_array(place[name], np.ascontiguousarray(feeds[name], np.float32))
    machine.call("wb_train_step")
    results = {}
    for begin, case in graphs.items():
        assert case.graph is not None
        types = {name: case.graph.types[name] for name in case.graph.outputs}
        results[case.id] = {name: read(machine, place[begin + name], kind).reshape(kind.shape)
                            for name, kind in types.items()}  # fmt: skip
    return results


def _side_by_side(graphs: Mapping[str, Graph]) -> Graph:
    """One graph of all of them, the names of each beginning in its own way."""
    inputs, parameters, nodes, outputs, types = [], [], [], [], {}
    for begin, graph in graphs.items():
        named = lambda names, begin=begin: tuple(begin + name for name in names)  # noqa: E731
        inputs += named(graph.inputs)
        parameters += named(graph.parameters)
        outputs += named(graph.outputs)
        types |= {begin + name: kind for name, kind in graph.types.items()}
        nodes += [replace(node, operands=named(node.operands), results=named(node.results)) for node in graph.nodes]
    return verify(Graph(tuple(inputs), tuple(parameters), tuple(nodes), tuple(outputs), types))


def difference(case: Case, results: list[np.ndarray]) -> str:
    """ "" where each is what the test wants."""
    for wanted, actual in zip(case.wanted, results, strict=True):
        if actual.shape != wanted.shape:
            return f"{actual.shape} instead of {wanted.shape}"
        scale = (
            max(1e-7, 1e-5 * float(np.abs(wanted[np.isfinite(wanted)]).max(initial=0)))
            if wanted.dtype.kind == "f"
            else 0
        )
        if not np.allclose(actual, wanted, rtol=case.rtol, atol=scale, equal_nan=True):
            return f"differs by {np.nanmax(np.abs(actual.astype(float) - wanted.astype(float))):g}"
    return ""
