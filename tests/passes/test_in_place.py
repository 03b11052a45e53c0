"""Results over operands that die: the same bits, interpreted and emulated, and never more memory. One test a hazard."""

from dataclasses import replace

import pytest
from graphs import convnet, feeds, mlp, same_bits, seeds, shuffled, training_graphs
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import parameters_after

from workbench.ir import op as ops
from workbench.ir.build import Builder
from workbench.ir.interpret import interpret
from workbench.ir.liveness import liveness
from workbench.ir.verify import verify
from workbench.passes import Declined
from workbench.passes.bit_masks import save_bit_masks
from workbench.passes.fuse_activation import fuse_activation
from workbench.passes.in_place import work_in_place


def in_place(graph):
    try:
        return work_in_place(graph)
    except Declined:
        return graph


@settings(deadline=None, max_examples=80)
@given(graph=training_graphs(), seed=seeds, masks=st.booleans(), fused=st.booleans())
def test_it_keeps_every_bit_and_never_needs_more(graph, seed, masks, fused):
    graph = save_bit_masks(graph) if masks else graph
    before = verify(shuffled(fuse_activation(graph) if fused else graph, seed))
    after = verify(in_place(before))
    values = feeds(before, seed)
    assert same_bits(interpret(after, values), interpret(before, values))
    assert liveness(after).peak <= liveness(before).peak
    assert [replace(node, over=()) for node in after.nodes] == [replace(node, over=()) for node in before.nodes]
    with pytest.raises(Declined, match="no operand dies"):
        work_in_place(after)
    assert fused or sum(len(node.overwrites) for node in after.nodes) > sum(len(n.overwrites) for n in before.nodes)


def taken(graph) -> dict[str, str]:
    """First result -> what it was written over, of nodes that take an operand over."""
    after = verify(in_place(graph))
    values = feeds(graph, 1)
    assert same_bits(interpret(after, values), interpret(graph, values))
    return {node.results[0]: node.over[0] for node in after.nodes if node.overwrites}


@pytest.fixture
def build():
    return Builder()


def fresh(build, rows=3, name="x"):
    """A value (rows, 4) in storage of its own."""
    return build.transpose(build.input(name, (4, rows)), axes=(1, 0))


def test_a_chain_is_one_storage(build):
    a = fresh(build)
    b = build.relu(a)
    c = build.relu6(b)
    assert taken(build.graph(c)) == {b.name: a.name, c.name: b.name}


def test_a_mask_has_storage_of_its_own(build):
    a = fresh(build)
    b, mask = build.relu(a, mask=True)
    graph = build.graph(b, mask)
    assert taken(graph) == {b.name: a.name}
    assert in_place(graph).nodes[-1].over == (a.name, "")


def test_what_is_read_again_stays(build):
    a = fresh(build)
    b = build.relu(a)
    c = build.add(a, b)
    assert taken(build.graph(c)) == {c.name: a.name}


def test_what_is_read_again_by_another_shape_stays(build):
    """A view shares the storage, whichever of the two the kernel reads and the later node."""
    a = fresh(build)
    view = build.batch_flatten(a)
    b = build.relu(a)
    c = build.add(view, b)
    assert taken(build.graph(c)) == {c.name: view.name}


def test_arguments_stay(build):
    x, w = build.input("x", (3, 4)), build.parameter("w", (3, 4))
    graph = build.graph(build.relu(x), build.relu(w), build.add(x, w))
    assert taken(graph) == {}
    views = Builder()
    assert taken(views.graph(views.relu(views.batch_flatten(views.input("x", (3, 4)))))) == {}


def test_outputs_stay(build):
    a = fresh(build)
    view = build.batch_flatten(a)
    assert taken(build.graph(a, build.relu(a))) == {}
    assert taken(build.graph(view, build.relu(a))) == {}


def test_another_operand_in_the_same_storage_stays_whole(build):
    """relu_grad's kernel may write dx over dy, but takes y to be apart from both."""
    a = fresh(build)
    assert taken(build.graph(build.relu_grad(build.batch_flatten(a), a))) == {}
    b = build.add(a, a)  # reads both elements before it writes the one
    assert taken(build.graph(b).with_nodes((build.nodes[0], build.nodes[-1]))) == {b.name: a.name}


def test_only_operands_the_kernel_can_write_over(build):
    dy, y = (fresh(build, name=name) for name in ("a", "b"))
    dx = build.relu_grad(dy, y)
    after = build.add(dx, dy)  # dy lives on: y must not be taken instead
    assert taken(build.graph(after)) == {after.name: dx.name}


@pytest.mark.parametrize("sizes", [(3, 2), (3, -2)])
def test_a_result_of_another_size_stays_apart(build, sizes, monkeypatch):
    """No such kernel works in place today. Smaller: its storage would be kept larger than it needs to be."""
    a = fresh(build, sizes[0])
    if sizes[1] > 0:
        name, result = "concatenate", build.concatenate(a, build.input("y", (sizes[1], 4)), axis=0)
    else:
        name, result = "strided_slice", build.strided_slice(a, begin=0, end=-sizes[1], axis=0)
    kind = ops.get(name)
    monkeypatch.setitem(ops._REGISTRY, name, replace(kind, kernel=replace(kind.kernel, in_place=(0,))))
    assert taken(build.graph(result)) == {}


def test_what_was_taken_over_before_is_left_as_it_is(build):
    """A takeover that is already there stays, and what its result shares is known."""
    a = fresh(build)
    b = build.op("nn.relu", a, over=(a.name,))
    c = build.relu6(b)
    assert taken(build.graph(b, c)) == {b.name: a.name}
    e, f = fresh(build, name="e"), fresh(build, name="f")
    g = build.op("add", e, f, over=(f.name,))
    assert taken(build.graph(b, c, g)) == {b.name: a.name, g.name: f.name}
    d = build.relu6(build.op("accumulate", build.parameter("sum", (3, 4)), build.input("dx", (3, 4))))
    assert d.name not in taken(build.graph(b, c, d))


@pytest.mark.parametrize("clip", [pytest.param("relu", marks=pytest.mark.long), "relu6"])
def test_the_emulated_step_keeps_every_bit(clip, tmp_path):
    step = save_bit_masks(convnet(channels=(3, 4), size=7, batch=2, shared_input=True, clip=clip))
    values = feeds(step, 3)
    apart = parameters_after(step, values, tmp_path / "apart")
    assert same_bits(parameters_after(in_place(step), values, tmp_path / "over"), apart)


def test_it_declines_where_no_operand_dies():
    with pytest.raises(Declined, match="no operand dies where its kernel could write over it"):
        work_in_place(fuse_activation(mlp([3, 2])))
