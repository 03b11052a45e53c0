"""The order search finds the least peak that any legal order has, and changes nothing but the order."""

from dataclasses import replace
from itertools import accumulate

import pytest
from graphs import convnet, feeds, mlp, same_bits, seeds, shuffled, training_graphs, with_takeovers
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench import frontends
from workbench.autodiff import training_step
from workbench.errors import GraphError
from workbench.ir import op as ops
from workbench.ir.build import Builder
from workbench.ir.graph import Graph
from workbench.ir.interpret import interpret
from workbench.ir.liveness import liveness, peak_bytes
from workbench.ir.verify import verify
from workbench.passes import Declined, least_peak
from workbench.passes.apply_policy import apply_policy
from workbench.passes.order_search import LIMIT, least_peak_order, order_search, problem_of
from workbench.passes.pipeline import run_passes, run_schedule
from workbench.policy import parse_policy


def ordered(graph: Graph) -> Graph:
    try:
        return order_search(graph)
    except Declined:
        return graph


def phase_of(graph: Graph) -> dict[str, str]:
    return {node.results[0]: phase for node, phase in zip(graph.analysis.work, graph.analysis.phases, strict=True)}


def before_the_loss(graph: Graph) -> set[str]:
    loss = next((index for index, node in enumerate(graph.nodes) if ops.get(node.op).loss), 0)
    return {node.results[0] for node in graph.nodes[:loss]}


def apart_from(x, values, build):
    """Those that could be added to x: of its shape, in other storage."""
    root = build.graph().analysis.root
    return [value for value in values if value.shape == x.shape and root[value.name] != root[x.name]]


@st.composite
def tiny_graphs(draw) -> Graph:
    """Vectors sliced, joined, rectified (some in place), viewed and added to a sum: takeovers, views, outputs."""
    build = Builder()
    values = [build.input(name, (draw(st.integers(1, 8)),)) for name in "xy"]
    values += [build.parameter("sum", (1, 1)), build.relu(values[0])]
    for _ in range(draw(st.integers(1, 5))):
        x = draw(st.sampled_from(values))
        flat = [value for value in values if value.rank == 1]
        kind = draw(st.sampled_from(["relu", "in place", "concatenate", "slice", "view", "accumulate"]))
        if kind == "concatenate" and flat:
            made = build.concatenate(draw(st.sampled_from(flat)), draw(st.sampled_from(flat)), axis=0)
        elif kind == "slice":
            end = draw(st.integers(1, x.shape[0]))
            made = build.strided_slice(x, begin=end - 1, end=end, axis=0)
        elif kind == "view" and x.rank == 1:
            made = build.reshape(x, newshape=(x.shape[0], 1))
        elif kind == "accumulate" and (others := apart_from(x, values, build)):
            made = build.accumulate(x, draw(st.sampled_from(others)))
        else:
            made = build.relu(x, over=(x.name,) if kind == "in place" else ())
        root = build.graph().analysis.root
        gone = {root[name] for name in build.nodes[-1].overwrites}
        values = [value for value in values if root[value.name] not in gone] + [made]
    outputs = draw(st.lists(st.sampled_from(values), unique=True, max_size=2))
    return verify(build.graph(*outputs))


def least_of_all_orders(graph: Graph) -> int:
    """By trying every order that the verifier takes and that parts at the loss as before; liveness tells the peak."""
    wanted, best = before_the_loss(graph), []

    def extend(order, left):
        partial = replace(graph, nodes=tuple(order), outputs=())
        made = {result for node in order for result in node.results} | set(graph.arguments)
        try:
            verify(replace(partial, types={name: graph.types[name] for name in made}))
        except GraphError:
            return
        if not left:
            whole = graph.with_order(order)
            if before_the_loss(verify(whole)) == wanted:
                best.append(liveness(whole, whole.analysis.scratch).peak)
        for node in left:
            extend([*order, node], [other for other in left if other is not node])

    extend([], list(graph.nodes))
    return min(best)


@settings(deadline=None, max_examples=80)
@given(graph=tiny_graphs(), seed=seeds)
def test_it_is_least_of_all_legal_orders(graph, seed):
    graph = verify(shuffled(graph, seed))
    found = least_peak_order(graph)
    assert found.proven
    assert found.peak == peak_bytes(verify(found.graph)) == least_of_all_orders(graph)
    values = feeds(graph, seed)
    assert same_bits(interpret(found.graph, values), interpret(graph, values))


@settings(deadline=None, max_examples=15)
@given(widths=st.lists(st.integers(1, 9), min_size=2, max_size=2), seed=seeds)
def test_it_is_least_of_all_orders_of_a_training_step(widths, seed):
    graph = verify(shuffled(mlp(widths), seed))
    assert least_peak_order(graph).peak == least_of_all_orders(graph)


@settings(deadline=None, max_examples=80)
@given(graph=training_graphs(), seed=seeds, passes=st.sampled_from([(), ("bit-masks", "fuse-update")]))
def test_order_search_keeps_bits_and_phases_and_never_needs_more(graph, seed, passes):
    before = verify(shuffled(with_takeovers(run_passes(graph, passes)[0], seed), seed))
    after = verify(ordered(before))
    values = feeds(before, seed)
    assert same_bits(interpret(after, values), interpret(before, values))
    assert peak_bytes(after) <= peak_bytes(before)
    assert phase_of(after) == phase_of(before)
    again = least_peak_order(after)
    assert again.graph == after or again.peak < peak_bytes(after)  # of a search that gave up, the next may find more


@settings(deadline=None, max_examples=40)
@given(graph=training_graphs(), seed=seeds, limit=st.integers(0, 3))
def test_where_the_search_gives_up_it_still_tells_the_truth(graph, seed, limit):
    before = verify(shuffled(graph, seed))
    found, least = least_peak_order(before, limit), least_peak_order(before, 100 * LIMIT)
    assert least.proven
    assert found.bound <= least.peak <= found.peak == peak_bytes(verify(found.graph)) <= peak_bytes(before)


@settings(deadline=None, max_examples=40)
@given(graph=training_graphs(), seed=seeds)
def test_the_search_counts_what_liveness_counts(graph, seed):
    graph = shuffled(graph, seed)
    problem, live = problem_of(graph), liveness(graph).live
    states = list(accumulate(range(len(graph.nodes)), problem.step, initial=problem.first()))
    assert states[-1].peak == max(live)
    assert least_peak.lower_bound(problem) <= max(live)


def test_running_at_once_is_what_makes_it_fast():
    """Twenty gradients, each with its update far away: 2^20 sets of pending ones, and no search."""
    graph = convnet(channels=(2,) * 10, size=24)
    assert least_peak_order(graph, limit=50).proven


def test_what_it_says_where_it_changes_nothing():
    graph = ordered(mlp([4, 5, 3]))
    with pytest.raises(Declined, match=r"already least \(proven\)"):
        order_search(graph)


@pytest.mark.parametrize("name", ["lenet", "resnet", "mobilenet"])
def test_networks_are_proven(name):
    marked = apply_policy(frontends.load(name).graph, parse_policy("full"))
    graph, _ = run_schedule(training_step(marked), "reordered")
    found = least_peak_order(graph)
    assert found.proven
    assert found.peak < peak_bytes(graph)
