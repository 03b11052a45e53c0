"""Recompute: the same bits, a lower peak, nothing done again in vain."""

import numpy as np
import pytest
from graphs import feeds, int8net, mixednet, same_bits, seeds, shuffled
from hypothesis import given, settings

from workbench import boards, frontends, session
from workbench.feeding import Training
from workbench.ir.interpret import interpret
from workbench.ir.liveness import peak_bytes
from workbench.ir.text import parse_graph, print_graph
from workbench.ir.verify import verify
from workbench.passes.pipeline import SCHEDULES, later, run_passes
from workbench.passes.recompute import _chains, _computed_again, _saved, recompute
from workbench.training import train

BEFORE = ("bit-masks", "fuse-activation", "fuse-add", "dead-code")


def all_again(graph):
    """Every chain computed again, whether that pays or not; and how many there are."""
    loss = next(index for index, node in enumerate(graph.nodes) if "cross_entropy" in node.op)
    saved = _saved(graph, loss)
    chains = _chains(graph, loss, saved)
    return verify(_computed_again(graph, loss, chains, saved)[0]), len(chains)


@settings(deadline=None, max_examples=60)
@given(graph=seeds.map(mixednet) | seeds.map(lambda seed: int8net(seed, batch=1)[0]), seed=seeds)
def test_what_is_computed_again_has_the_same_bits(graph, seed):
    before = shuffled(run_passes(graph, BEFORE)[0], seed)
    after, chains = all_again(before)
    if not chains:
        return
    values = feeds(before, seed)
    want = interpret(before, values)
    assert same_bits(interpret(after, values), want)
    assert parse_graph(print_graph(after)) == after
    rest = [name for name in SCHEDULES["optimized"] if name not in BEFORE]
    assert same_bits(interpret(run_passes(after, rest)[0], values), want)


def peak_in_the_end(graph, *passes):
    return peak_bytes(run_passes(graph, [*passes, *(name for name in SCHEDULES["optimized"] if name not in BEFORE)])[0])


@pytest.mark.parametrize(("name", "policy", "share"), [("mobilenet", "full", 0.6), ("mobilenet", "bias-only", 1)])
def test_it_pays_or_declines(name, policy, share):
    graph = session.compile(frontends.load(name), policy, "vanilla").graph
    after, (record,) = run_passes(graph, ("recompute",))
    assert bool(record.declined) == (after == graph) == (share == 1)
    assert peak_in_the_end(graph, "recompute") <= share * peak_in_the_end(graph)


def test_only_what_lowers_the_peak_is_computed_again():
    graph = session.compile(frontends.load("mobilenet"), "full", "vanilla").graph
    every, chains = all_again(graph)
    chosen = recompute(graph, later(SCHEDULES["optimized"]))
    assert len(graph.nodes) < len(chosen.nodes) < len(every.nodes) and chains > 2
    assert peak_in_the_end(chosen) == peak_in_the_end(every)


def test_where_it_would_peak_itself_it_is_left():
    graph = session.compile(frontends.load("mobilenet"), "bias-only", "vanilla").graph
    assert peak_in_the_end(all_again(graph)[0]) > peak_in_the_end(graph)


@pytest.mark.parametrize("name", ["resnet", pytest.param("mobilenet-int8", marks=pytest.mark.long)])
def test_the_emulated_weights_have_the_same_bits_in_less_memory(name, tmp_path):
    made = []
    for passes in ("", "recompute"):
        compiled = session.compile(frontends.load(name), "full", passes=passes)
        built = session.build(compiled, boards.get("nrf52840"), tmp_path / (passes or "without"))
        run, weights = train(built, Training(steps=2, trace="memory", evaluate=False))
        assert not len(run.violations)
        made.append((run.meta["memory"]["sram_peak"], weights))
    (without, expected), (with_it, got) = made
    assert with_it < without
    assert all(np.array_equal(got[key], expected[key]) for key in expected)
