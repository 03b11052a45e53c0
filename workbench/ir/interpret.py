"""Run a graph in numpy: the meaning that everything else is held against."""

from collections.abc import Callable, Mapping

import numpy as np

from workbench.errors import GraphError
from workbench.ir import op as ops
from workbench.ir.graph import Graph, Node
from workbench.ir.types import NUMPY


def interpret(
    graph: Graph,
    feeds: Mapping[str, np.ndarray],
    float_dtype: type[np.floating] = np.float32,
    observe: Callable[[Node, tuple[np.ndarray, ...]], None] | None = None,
) -> dict[str, np.ndarray]:
    """Outputs, parameters and state after the last node, by name; `feeds` (every argument) are left alone.

    Storage is real: a result that takes over an operand is written into it. `float_dtype=np.float64` evaluates a
    float32 graph in double precision. `observe(node, results)` sees every node as it is done.
    """
    missing = set(graph.arguments) - set(feeds)
    if missing:
        raise GraphError(f"no value for %{', %'.join(sorted(missing))}")
    values: dict[str, np.ndarray] = {}
    for name in graph.arguments:
        kind = graph.types[name]
        wanted: type[np.generic] = float_dtype if kind.dtype == "float32" else NUMPY[kind.dtype]
        value = np.array(feeds[name], dtype=wanted, order="C")  # flat storage, whatever the feed's own order
        if value.shape != kind.shape:
            raise GraphError(f"%{name} is {kind}; got shape {value.shape}")
        values[name] = value
    for node in graph.nodes:
        op = ops.get(node.op)
        results = op.evaluated(*(values[name] for name in node.operands), **node.attrs)
        for index, (name, result) in enumerate(zip(node.results, results, strict=True)):
            kind = graph.types[name]
            wanted = float_dtype if kind.dtype == "float32" else NUMPY[kind.dtype]
            if result.shape != kind.shape or result.dtype != wanted:
                raise GraphError(f"{node.op}: evaluate gave {result.dtype} {result.shape}, infer said {kind}")
            if index < len(node.over) and node.over[index]:
                storage = values[node.over[index]].view()
                storage.shape = (-1,)  # refuses to copy
                storage = storage[: result.size].reshape(result.shape)
                storage[...] = result
                result = storage
            elif not op.view and not _is_its_own(result, node, values):
                result = np.array(result, order="C")
            values[name] = result
        if observe:
            observe(node, tuple(values[name] for name in node.results))
    return {name: values[name] for name in (*graph.persistent, *graph.outputs)}


def _is_its_own(result: np.ndarray, node: Node, values: Mapping[str, np.ndarray]) -> bool:
    """Whether it can be written to, in order, without a change to an operand: numpy may have given a view of one."""
    flags = result.flags
    apart = not any(np.may_share_memory(result, values[name]) for name in node.operands)
    return apart and flags.writeable and flags.c_contiguous
