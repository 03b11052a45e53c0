"""Each rule of the IR, broken once."""

from dataclasses import replace

import numpy as np
import pytest
from graphs import convnet, feeds, mlp

from workbench.errors import GraphError
from workbench.ir.build import Builder
from workbench.ir.graph import Graph
from workbench.ir.interpret import interpret
from workbench.ir.types import TensorType
from workbench.ir.verify import verify

GRAPH = mlp([3, 4, 2])


def with_node(index, **changes) -> Graph:
    nodes = list(GRAPH.nodes)
    nodes[index] = replace(nodes[index], **changes)
    return replace(GRAPH, nodes=tuple(nodes))


def moved(index, to) -> Graph:
    nodes = list(GRAPH.nodes)
    nodes.insert(to, nodes.pop(index))
    return replace(GRAPH, nodes=tuple(nodes))


def first(op, over=False) -> int:
    return next(i for i, node in enumerate(GRAPH.nodes) if node.op == op and bool(node.overwrites) == over)


def test_what_is_built_later_does_not_change_a_graph():
    build = Builder()
    x = build.input("x", (1, 4))
    y = build.relu(x)
    graph = build.graph(y)
    build.relu(y)
    assert list(graph.types) == ["x", y.name] and verify(graph).analysis.readers[y.name] == ()


def test_a_good_graph_passes():
    assert verify(GRAPH) is GRAPH
    verify(convnet(shared_input=True))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (moved(0, 3), "before it is made"),
        (with_node(1, results=GRAPH.nodes[0].results), "made twice"),
        (replace(GRAPH, types={**GRAPH.types, "0": TensorType((9, 9))}), "expected float32 (2, 4), got float32 (9, 9)"),
        (replace(GRAPH, types={**GRAPH.types, "ghost": TensorType((1,))}), "ghost"),
        (replace(GRAPH, outputs=("nobody",)), "never made"),
        (with_node(first("nn.relu"), over=("input0",)), "not its operand"),
        (with_node(first("nn.bias_add"), over=("fc0.bias",)), "does not fit"),
        (with_node(first("nn.relu"), operands=("0", "0")), "too many positional arguments"),
        (with_node(first("nn.sgd", over=True), over=()), "must take over"),
        (with_node(0, attrs={"colour": 1}), "no attribute colour"),
        (with_node(0, op="nn.nothing"), "no operator"),
        (with_node(0, label="a */ b"), "'a */ b' is no name"),
    ],
)
def test_a_broken_graph_is_refused(broken, message):
    with pytest.raises(GraphError) as caught:
        verify(broken)
    assert message in str(caught.value)


def test_a_read_after_the_takeover_is_refused():
    """Updating a weight before the input gradient reads it: the bug that reordering must never make."""
    update = next(i for i, node in enumerate(GRAPH.nodes) if node.overwrites == ("fc1.weight",))
    reader = next(i for i, node in enumerate(GRAPH.nodes) if node.op == "nn.matmul" and "fc1.weight" in node.operands)
    maker = next(i for i, n in enumerate(GRAPH.nodes) if GRAPH.nodes[update].operands[1] in n.results)
    assert reader < maker  # so the gradient's maker must come first for the update to be possible before the reader
    nodes = list(GRAPH.nodes)
    late = nodes.pop(reader)
    nodes.insert(nodes.index(GRAPH.nodes[update]) + 1, late)
    with pytest.raises(GraphError, match=r"reads %fc1\.weight after node"):
        verify(_without_readers_of(late, nodes))


def _without_readers_of(late, nodes):
    gone = set(late.results)
    kept = []
    for node in nodes:
        if gone & set(node.operands):
            gone |= set(node.results)
        else:
            kept.append(node)
    return GRAPH.with_nodes(kept)


def test_a_kernel_that_cannot_work_in_place_is_not_asked_to():
    build = Builder()
    x = build.input("x", (2, 2))
    graph = build.graph(build.op("nn.dense", x, build.input("w", (2, 2)), over=("x",)))
    with pytest.raises(GraphError, match=r"nn\.dense cannot work in place on %x"):
        verify(graph)


@pytest.mark.parametrize(("op", "legal"), [("add", True), ("nn.relu_grad", False), ("nn.sgd", False)])
def test_storage_that_the_node_reads_as_another_operand_is_not_taken(op, legal):
    """relu_grad writes dx over dy while it reads y; add reads both elements before it writes the one."""
    build = Builder()
    a = build.relu(build.input("x", (2, 2)))
    rate = [build.input("lr")] if op == "nn.sgd" else []
    graph = build.graph(build.op(op, a, build.batch_flatten(a), *rate, over=(a.name,)))
    if legal:
        verify(graph)
        return
    with pytest.raises(GraphError, match=f"{op}: takes over %0, but reads its storage as another operand"):
        verify(graph)


def test_a_takeover_that_is_an_output_is_refused():
    relu = GRAPH.nodes[first("nn.relu")]
    graph = with_node(first("nn.relu"), over=(relu.operands[0],))
    with pytest.raises(GraphError, match="output %1 is gone"):
        verify(replace(graph, outputs=(relu.operands[0], *GRAPH.outputs)))


def test_interpreting_writes_into_the_storage_that_is_taken_over():
    values = feeds(GRAPH, 0)
    kept = {name: value.copy() for name, value in values.items()}
    got = interpret(GRAPH, values)
    assert all(np.array_equal(values[name], kept[name]) for name in values)  # feeds are left alone
    assert not np.array_equal(got["fc0.weight"], kept["fc0.weight"])


def test_an_update_reaches_a_weight_whatever_its_order_in_memory():
    values = feeds(GRAPH, 0)
    turned = {name: np.asfortranarray(value) if value.ndim > 1 else value for name, value in values.items()}
    got, want = interpret(GRAPH, turned), interpret(GRAPH, values)
    assert all(np.array_equal(got[name], want[name]) for name in want)


def test_interpreting_needs_every_argument():
    values = feeds(GRAPH, 0)
    del values["lr"]
    with pytest.raises(GraphError, match="no value for %lr"):
        interpret(GRAPH, values)
    with pytest.raises(GraphError, match="got shape"):
        interpret(GRAPH, feeds(GRAPH, 0) | {"input0": np.zeros((2, 7))})
