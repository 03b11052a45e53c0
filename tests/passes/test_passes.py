"""Passes keep every bit of the meaning, on graphs shuffled into a random legal order, and never need more memory."""

from dataclasses import replace

import pytest
from graphs import convnet, feeds, mlp, same_bits, seeds, shuffled, training_graphs
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import GraphError, WorkbenchError
from workbench.ir.interpret import interpret
from workbench.ir.liveness import liveness
from workbench.ir.verify import verify
from workbench.passes.bit_masks import save_bit_masks
from workbench.passes.dead_code import eliminate_dead_code
from workbench.passes.early_update import early_update
from workbench.passes.pipeline import PASSES, later, run_schedule


@settings(deadline=None, max_examples=60)
@given(graph=training_graphs(), seed=seeds)
def test_early_update_keeps_every_bit_and_never_needs_more(graph, seed):
    before = verify(shuffled(graph, seed))
    after = verify(early_update(before))
    values = feeds(before, seed)
    assert same_bits(interpret(after, values), interpret(before, values))
    assert liveness(after).peak <= liveness(before).peak
    assert [node for node in after.nodes if not node.overwrites] == [
        node for node in before.nodes if not node.overwrites
    ]


@settings(deadline=None, max_examples=30)
@given(graph=training_graphs(), seed=seeds)
def test_early_update_is_as_early_as_can_be(graph, seed):
    """Moving any update of a parameter one place further up breaks a rule, or only passes another update."""
    after = early_update(shuffled(graph, seed))
    known = after.analysis
    for place, node in enumerate(after.nodes):
        updates = any(known.root[name] in known.persistent for name in node.overwrites)
        if updates and place and not after.nodes[place - 1].overwrites:
            nodes = list(after.nodes)
            nodes[place - 1 : place + 1] = nodes[place], nodes[place - 1]
            with pytest.raises(GraphError):
                verify(replace(after, nodes=tuple(nodes)))


@settings(deadline=None, max_examples=40)
@given(graph=training_graphs(), seed=seeds)
def test_bit_masks_keep_every_bit(graph, seed):
    before = verify(shuffled(graph, seed))
    after = verify(save_bit_masks(before))
    values = feeds(before, seed)
    assert same_bits(interpret(after, values), interpret(before, values))
    assert save_bit_masks(after) == after


def test_a_mask_is_saved_only_where_the_backward_needs_no_more():
    """conv1's ReLU feeds a convolution whose weight gradient reads it, conv2's only the pooling."""
    after = save_bit_masks(convnet(channels=(2, 3)))
    masked = {node.label for node in after.nodes if node.op == "nn.relu" and len(node.results) == 2}
    assert masked == {"conv1.relu"}
    assert [node.op for node in after.nodes].count("nn.apply_mask") == 1
    frozen = save_bit_masks(convnet(channels=(2, 3), policy="bias-only"))  # no weight gradient reads anything
    assert {n.label for n in frozen.nodes if len(n.results) == 2} == {"conv0.relu", "conv1.relu", "pool"}
    flattened = save_bit_masks(mlp([4, 5, 3]))  # the next layer's weight gradient reads it
    assert not any(len(node.results) == 2 for node in flattened.nodes)
    last = save_bit_masks(convnet(policy="last-1"))  # no gradient passes
    assert not any(node.op == "nn.apply_mask" or len(node.results) == 2 for node in last.nodes)


@settings(deadline=None, max_examples=40)
@given(graph=training_graphs(), seed=seeds, keep=st.integers(0, 30))
def test_dead_code_keeps_the_meaning(graph, seed, keep):
    """Without some of the updates, their gradients are dead; what is left means the same."""
    updates = [node for node in graph.nodes if node.op == "clear"] or [n for n in graph.nodes if n.op == "nn.sgd"]
    dropped = {id(node) for at, node in enumerate(updates) if keep >> at & 1}
    before = verify(shuffled(graph.with_nodes(node for node in graph.nodes if id(node) not in dropped), seed))
    after = verify(eliminate_dead_code(before))
    values = feeds(before, seed)
    assert same_bits(interpret(after, values), interpret(before, values))
    read = {name for node in after.nodes for name in node.operands} | set(after.outputs)
    assert all(node.overwrites or read.intersection(node.results) for node in after.nodes)


def test_dead_code_drops_a_whole_chain():
    graph = mlp([4, 5, 6, 3])
    alone = graph.with_nodes(node for node in graph.nodes if node.op != "nn.sgd")
    assert [node.op for node in eliminate_dead_code(alone).nodes][-1] == "nn.softmax_cross_entropy"


FIRST = ["fold-scales", "fold-constants", "simplify", "bit-masks", "fuse-activation"]


def test_reordered_needs_less_where_gradients_pile_up():
    step = mlp([64, 32, 16, 10])
    vanilla, record = run_schedule(step, "vanilla")
    reordered, _ = run_schedule(step, "reordered")
    assert liveness(reordered).peak < liveness(vanilla).peak
    assert [applied.name for applied in record] == [*FIRST, "fuse-add", "dead-code", "pack-weights"]
    assert record[0].declined == "the parameters' values are not known"
    assert record[-1].nodes[1] == len(vanilla.nodes)
    assert record[4].nodes[1] == len(step.nodes) - 5  # three biases and two activations


def test_an_unknown_schedule():
    with pytest.raises(WorkbenchError, match="no schedule is called 'fast'"):
        run_schedule(mlp([2, 2]), "fast")


@pytest.mark.parametrize("ahead", [False, True])
def test_another_pass_of_the_same_name_is_not_taken_for_the_first(monkeypatch, ahead):
    """What a pass will make of a graph is kept with the graph; a plug-in that replaces the pass is asked anew."""
    graph, other = mlp((3, 2)), mlp((3, 2))
    name = next(name for name, each in PASSES.items() if each.foreseen and not each.looks_ahead)
    looking = next(name for name, each in PASSES.items() if each.foreseen and each.looks_ahead)
    names = [looking, name] if ahead else [name]
    monkeypatch.setitem(PASSES, looking, replace(PASSES[looking], run=lambda graph, later: later.graph(graph)))
    assert later(names).graph(graph) is not other
    monkeypatch.setitem(PASSES, name, replace(PASSES[name], run=lambda graph: other))
    assert later(names).graph(graph) is other
