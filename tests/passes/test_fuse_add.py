"""Sums that begin at the gradient they would be added to: the same meaning, and each hazard that forbids it."""

import numpy as np
import pytest
from graphs import feeds, int8net, seeds, shuffled, training_graphs
from hypothesis import given, settings

from workbench.ir import op as ops
from workbench.ir.build import Builder
from workbench.ir.interpret import interpret
from workbench.ir.verify import verify
from workbench.passes.fuse_add import fuse_add


def same_numbers(after, before, seed):
    values = feeds(before, seed)
    got, want = (interpret(graph, values, np.float64) for graph in (after, before))
    assert got.keys() == want.keys()
    assert all(np.allclose(got[name], want[name], rtol=1e-9, atol=1e-9) for name in want)


@settings(deadline=None, max_examples=80)
@given(graph=training_graphs(), seed=seeds)
def test_it_keeps_the_meaning_whatever_the_order(graph, seed):
    before = shuffled(graph, seed)
    same_numbers(verify(fuse_add(before)), before, seed)


@settings(deadline=None, max_examples=20)
@given(seed=seeds)
def test_it_keeps_the_meaning_of_int8_networks(seed):
    before = shuffled(int8net(seed)[0], seed)
    after = verify(fuse_add(before))
    values = feeds(before, seed)
    got, want = interpret(after, values), interpret(before, values)
    assert all(np.allclose(got[name], want[name], rtol=1e-4, atol=1) for name in want)  # a step of rounding


class Two:
    """c, and d = conv2d_transpose(dy, w), which are to be added."""

    def __init__(self):
        self.build = build = Builder()
        self.dy, self.c = build.input("dy", (1, 2, 3, 3)), build.relu(build.input("c", (1, 3, 3, 3)))
        self.w = build.parameter("w", (2, 3, 1, 1))

    def sum_of(self, onto=None):
        return self.build.conv2d_transpose(self.dy, self.w, *([onto] if onto else []), channels=3, kernel_size=(1, 1))

    def fused(self, *outputs) -> list[str]:
        """The nodes behind the pass, those that begin at another gradient with an arrow."""
        before = verify(self.build.graph(*outputs))
        after = verify(fuse_add(before))
        same_numbers(after, before, 1)
        begun = [ops.get(node.op).onto == len(node.operands) - 1 for node in after.nodes]
        return [node.op.rpartition(".")[2] + "->" * each for node, each in zip(after.nodes, begun, strict=True)]


@pytest.fixture
def two():
    return Two()


def test_it_stands_where_the_convolution_stood(two):
    d = two.sum_of()
    other = two.build.relu6(two.dy)
    assert two.fused(two.build.add(two.c, d), other) == ["relu", "conv2d_transpose->", "relu6"]


def test_it_waits_for_what_it_is_added_to(two):
    d = two.sum_of()
    late = two.build.relu6(two.c)
    assert two.fused(two.build.add(d, late)) == ["relu", "relu6", "conv2d_transpose->"]


def test_it_does_not_wait_where_the_weight_changes_before(two):
    d, rate = two.sum_of(), two.build.input("lr")
    two.build.op("nn.sgd", two.w, two.build.input("dw", two.w.shape), rate)
    late = two.build.relu6(two.c)
    assert two.fused(two.build.add(d, late)) == ["relu", "conv2d_transpose", "sgd", "relu6", "add"]


def test_of_two_sums_the_later_goes_on_from_the_other(two):
    first, second = two.sum_of(), two.sum_of()
    assert two.fused(two.build.add(second, first)) == ["relu", "conv2d_transpose", "conv2d_transpose->"]


def test_what_others_read_stays_apart(two):
    d = two.sum_of()
    total = two.build.add(two.c, d)
    assert two.fused(total, d)[-1] == "add"
    assert two.fused(total, two.build.relu(d))[-2:] == ["add", "relu"]
    twice = Two()
    d = twice.sum_of()
    assert twice.fused(twice.build.add(d, d))[-1] == "add"


def test_a_sum_begins_at_one_gradient_only(two):
    d = two.sum_of(two.c)
    assert two.fused(two.build.add(d, two.build.relu6(two.c)))[-1] == "add"
