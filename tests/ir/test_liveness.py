"""Lifetimes, shared storage and phases of a small training step, by hand."""

from graphs import convnet, mlp

from workbench.ir.liveness import liveness


def by_name(graph):
    living = liveness(graph)
    return {graph.label(s.name): s for s in living.arena}, living


def test_lifetimes_of_an_mlp():
    graph = mlp([3, 4, 2], batch=2)
    storages, living = by_name(graph)
    work = [node.label for node in graph.analysis.work]
    assert work[:7] == ["fc0", "fc0.bias_add", "fc0.relu", "fc1", "fc1.bias_add", "loss", "d.fc1.bias_add"]
    relu = storages["fc0.relu"]
    assert (relu.lower, relu.bytes) == (2, 2 * 4 * 4)
    assert relu.upper == 1 + max(i for i, node in enumerate(graph.analysis.work) if relu.name in node.operands)
    image = next(s for s in living.arena if s.name == "input0")
    assert image.lower == 0
    assert image.upper == 1 + max(i for i, node in enumerate(graph.analysis.work) if "input0" in node.operands)
    assert {s.name for s in living.static} == {*graph.parameters, "lr", "lr_bias", graph.outputs[0]}
    live = [sum(s.bytes for s in living.arena if s.lower <= p < s.upper) for p in range(len(work))]
    assert living.live == tuple(live)
    assert living.peak == max(live) == live[living.worst]


def test_a_view_shares_storage_and_has_no_position():
    graph = convnet()
    root = graph.analysis.root
    flatten = next(node for node in graph.nodes if node.op == "nn.batch_flatten")
    assert root[flatten.results[0]] == flatten.operands[0]
    assert flatten not in graph.analysis.work
    pooled = next(s for s in liveness(graph).arena if s.name == flatten.operands[0])
    reader = next(
        i
        for i, node in enumerate(graph.analysis.work)
        if node.op == "nn.matmul" and flatten.results[0] in node.operands
    )
    assert pooled.upper >= reader + 1


def test_scratch_counts_at_its_position_only():
    graph = mlp([3, 4, 2])
    plain, more = liveness(graph), liveness(graph, {"0": 1000})
    assert more.live[0] == plain.live[0] + 1000
    assert more.live[1:] == plain.live[1:]


def test_phases():
    graph = mlp([3, 2])
    told = "forward forward loss backward backward backward update update"
    assert " ".join(graph.analysis.phases) == told
