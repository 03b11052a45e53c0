"""What depends on frozen parameters alone is a parameter, and every bit is the same."""

import numpy as np
import pytest
from graphs import feeds, mlp, same_bits, seeds, shuffled
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.autodiff import training_step
from workbench.ir.build import Builder
from workbench.ir.interpret import interpret
from workbench.ir.text import parse_graph, print_graph
from workbench.ir.verify import verify
from workbench.passes import Declined
from workbench.passes.fold_constants import fold_constants
from workbench.policy import Optimizer


def folded(graph, seed=1):
    """The graph after folding; it gives the same outputs, state and parameters to the bit, but for those it dropped."""
    values = feeds(verify(graph), seed)
    after, weights = fold_constants(graph, {name: values[name] for name in graph.parameters})
    verify(after)
    assert set(weights) == set(after.parameters)
    got = interpret(after, {name: weights[name] if name in weights else values[name] for name in after.arguments})
    want = interpret(graph, values)
    kept = got.keys() & want.keys()
    assert kept >= {*graph.outputs, *graph.state} | {name for name in graph.parameters if graph.types[name].needs_grad}
    assert same_bits({name: got[name] for name in kept}, {name: want[name] for name in kept})
    assert parse_graph(print_graph(after)) == after
    return after


def step_of_sums(depth, trained, optimizer):
    """The training step of dense layers whose weights are the sum of one, transposed, and another; biases likewise."""
    build = Builder()
    x = build.input("input0", (2, 3))
    for layer in range(depth):
        a, b = build.parameter(f"fc{layer}.weight", (3, 3)), build.parameter(f"fc{layer}.more", (3, 3))
        c, d = build.parameter(f"fc{layer}.bias", (3,)), build.parameter(f"fc{layer}.raise", (3,))
        w = build.add(build.transpose(a, axes=(1, 0)), b, label=f"fc{layer}")
        x = build.relu(build.bias_add(build.dense(x, w), build.relu(build.add(c, d))))
    return training_step(build.graph(x).with_needs_grad(trained), optimizer)


NAMES = st.sampled_from([f"fc{layer}.{name}" for layer in range(3) for name in ("weight", "more", "bias", "raise")])


@settings(deadline=None, max_examples=60)
@given(
    trained=st.dictionaries(NAMES, st.just(True), min_size=1, max_size=8), seed=seeds,
    momentum=st.sampled_from([0, 0.5]), accumulate=st.integers(1, 2),
)  # fmt: skip
def test_folding_keeps_every_bit(trained, seed, momentum, accumulate):
    before = shuffled(step_of_sums(3, trained, Optimizer(momentum=momentum, accumulate=accumulate)), seed)
    try:
        after = folded(before, seed)
    except Declined:
        constant = [node for node in before.nodes if all(_is_frozen(before, name) for name in node.operands)]
        assert not constant
        return
    assert len(after.nodes) < len(before.nodes)
    assert not [node for node in after.nodes if all(_is_frozen(after, name) for name in node.operands)]


def _is_frozen(graph, name):
    return name in graph.parameters and graph.types[name].needs_grad is False


@pytest.fixture
def build():
    return Builder()


def test_a_chain_becomes_one_parameter(build):
    x, w = build.input("x", (2, 4)), build.parameter("conv.weight", (4, 3))
    y = build.matmul(x, build.relu(build.relu6(w)))
    after = folded(build.graph(y))
    assert ([node.op for node in after.nodes], after.parameters) == (["nn.matmul"], ("conv.weight.folded",))


def test_a_view_is_looked_through_and_stays_where_it_is_read(build):
    x, w = build.input("x", (2, 4)), build.parameter("w", (2, 2, 1))
    flat = build.batch_flatten(w)
    y = build.matmul(build.relu(flat, label="w.relu"), flat)
    after = folded(build.graph(build.matmul(y, build.matmul(flat, x))))
    assert [node.op for node in after.nodes] == ["nn.batch_flatten", "nn.matmul", "nn.matmul"]
    assert after.parameters[0] == "w"
    only = Builder()
    with pytest.raises(Declined, match="no node depends on frozen parameters alone"):
        folded(only.graph(only.matmul(only.input("x", (1, 2)), only.batch_flatten(only.parameter("w", (2, 2, 1))))))


def test_outputs_keep_their_names(build):
    w = build.parameter("w", (3, 4))
    out, inner = build.relu(w), build.relu6(w)
    after = folded(build.graph(out, build.add(inner, build.input("x", (3, 4)))))
    assert [node.op for node in after.nodes] == ["nn.relu", "add"]
    assert after.outputs[0] == out.name


def test_what_is_updated_or_wants_a_gradient_is_no_constant(build):
    w, rate = build.parameter("w", (3, 4)), build.input("rate")
    frozen = build.parameter("frozen", (3, 4))
    old = build.relu(w)
    build.sgd(w, build.relu(frozen), rate)
    after = folded(build.graph(build.add(old, build.input("x", (3, 4)))))
    assert [node.op for node in after.nodes] == ["nn.relu", "nn.sgd", "add"]
    assert set(after.parameters) == {"w", after.nodes[1].operands[1]}
    wanted = Builder()
    y = wanted.add(wanted.relu(wanted.parameter("w", (3, 4))), wanted.input("x", (3, 4)))
    for part in (True, (0, 2)):
        with pytest.raises(Declined):
            folded(wanted.graph(y).with_needs_grad({"w": part}))


def test_storage_that_is_written_later_is_no_constant(build):
    """The sum starts as a constant, but the update writes over it."""
    total = build.add(build.parameter("a", (3,)), build.parameter("b", (3,)))
    build.op("nn.relu6", total, over=(total.name,))
    y = build.add(build.value(build.nodes[-1].results[0]), build.input("x", (3,)))
    with pytest.raises(Declined):
        folded(build.graph(y))


def test_momentum_is_no_constant(build):
    build.parameter("w", (3,))
    speed = build.state_beside("w", "momentum")
    with pytest.raises(Declined):
        folded(build.graph(build.relu(build.add(speed, build.input("x", (3,))))).with_nodes(build.nodes))


def test_masks_are_not_held_by_parameters(build):
    _, mask = build.relu(build.parameter("w", (2, 3)), mask=True)
    with pytest.raises(Declined):
        folded(build.graph(build.apply_mask(build.input("dy", (2, 3)), mask)))


def test_names_do_not_clash(build):
    x, w = build.input("x", (2, 4)), build.parameter("w", (2, 4))
    taken = build.parameter("w.folded", (2, 4))
    first, second = build.relu(w, label="w"), build.relu6(w, label="w")
    after = folded(build.graph(build.add(build.add(build.add(x, first), second), taken)))
    assert after.parameters == ("w.folded", "w.folded.2", "w.folded.3")


def test_a_network_as_it_is_loaded_has_nothing_to_fold():
    with pytest.raises(Declined, match="no node depends on frozen parameters alone"):
        folded(mlp([4, 3, 2], policy="last-1"))


def test_values_need_not_be_contiguous(build):
    w = build.parameter("w", (40, 3, 50))
    graph = build.graph(build.bias_add(build.input("x", (1, 3)), build.sum(w, axis=(0, 2))))
    values = feeds(graph, 1)
    after, weights = fold_constants(graph, {"w": np.asfortranarray(values["w"])})
    got = interpret(after, {"x": values["x"], **weights})
    assert np.array_equal(got[after.outputs[0]], interpret(graph, values)[graph.outputs[0]])
