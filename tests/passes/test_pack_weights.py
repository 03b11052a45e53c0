"""pack-weights: frozen int8 filters lie in pairs, in the same room, where all readers take them so; no bit changes."""

import numpy as np
import pytest
from graphs import same_bits
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workbench.ir.build import Builder
from workbench.ir.interpret import interpret
from workbench.ir.text import parse_graph, print_graph
from workbench.ir.verify import verify
from workbench.ops import qnn_conv2d
from workbench.passes import Declined
from workbench.passes.pack_weights import pack_weights
from workbench.quantize import emit
from workbench.quantize.quantization import Quantization

OF_X, OF_Y = Quantization(0.02, -128), Quantization(0.05, -128)


def network(channels=8, filters=6, kernel=1, size=(3, 2), weights=None, seed=0, zero_point=-128, **window):
    """An int8 layer, and what feeds it."""
    build, rng = Builder(), np.random.default_rng(seed)
    x = build.input("x", (1, channels, *size), "int8", scale=OF_X.scale, zero_point=zero_point)
    shape = (filters, channels // window.get("groups", 1), kernel, kernel)
    feeds = {
        "x": rng.integers(-128, 128, x.shape, dtype=np.int8),
        "layer.weight": rng.integers(-127, 128, shape, dtype=np.int8) if weights is None else weights,
        "layer.bias": rng.integers(-3000, 3000, filters, dtype=np.int32),
        "layer.scale": rng.uniform(1e-3, 2e-3, filters).astype(np.float32),
    }
    w = build.parameter("layer.weight", shape, "int8")
    b, s = build.parameter("layer.bias", (filters,), "int32"), build.parameter("layer.scale", (filters,), "float32")
    y = emit.layer(build, x, w, b, s, OF_Y, label="layer", **window)
    return build.graph(y), feeds


def packed(graph, feeds):
    """The graph after the pass, which gives the same outputs to the bit and reads back from its text."""
    after, weights = pack_weights(graph, {name: feeds[name] for name in graph.parameters})
    verify(after)
    assert set(weights) == set(after.parameters)
    assert parse_graph(print_graph(after)) == after
    got, want = interpret(after, {"x": feeds["x"], **weights}), interpret(graph, feeds)
    assert same_bits({name: got[name] for name in graph.outputs}, {name: want[name] for name in graph.outputs})
    return after, weights


@settings(deadline=None, max_examples=60)
@given(
    channels=st.integers(2, 40), filters=st.integers(1, 8), kernel=st.integers(1, 3), seed=st.integers(0, 99),
    size=st.tuples(st.integers(1, 4), st.integers(1, 4)), zero_point=st.integers(-128, 127),
)  # fmt: skip
@example(channels=8, filters=6, kernel=1, seed=0, size=(3, 2), zero_point=-128)
def test_no_bit_changes(channels, filters, kernel, seed, size, zero_point):
    graph, feeds = network(
        channels, filters, kernel, size, seed=seed, zero_point=zero_point, padding=(kernel // 2,) * 4
    )
    w = feeds["layer.weight"]
    try:
        after, weights = packed(graph, feeds)
    except Declined:
        assert filters % 2 or w[0].size % 4 or (filters == 2 and size == (1, 1)) or np.abs(w.astype(int)).sum() > 2**14
        return
    assert "layer.weight.packed" in after.parameters and "layer.weight" not in after.parameters
    words = weights["layer.weight.packed"]
    assert words.nbytes == w.nbytes and not np.array_equal(words, w)
    assert np.array_equal(qnn_conv2d.unpacked(words), w)


def test_pairs_are_halves_of_words():
    w = np.arange(1, 17, dtype=np.int8).reshape(2, 8, 1, 1) * np.array([1, -1], np.int8).reshape(2, 1, 1, 1)
    _, weights = packed(*network(8, 2, weights=w))
    halves = weights["layer.weight.packed"].ravel().view(np.int16)
    v, second = (each.ravel().astype(int) for each in w)
    assert list(halves) == list((256 * second + v)[[0, 2, 1, 3, 4, 6, 5, 7]])


@pytest.mark.parametrize(
    ("second", "why"), [(-128, "256 · -128 - 1 is no int16"), (127, "1152 · 127 · 255 is beyond 24 bits")]
)
def test_what_no_word_can_hold_stays(second, why):
    channels = 8 if second < 0 else 1152
    w = np.stack([np.full((channels, 1, 1), -1), np.full((channels, 1, 1), second)]).astype(np.int8)
    with pytest.raises(Declined):
        packed(*network(channels, 2, weights=w)), why


def test_weights_that_are_trained_or_read_by_others_stay():
    graph, feeds = network()
    with pytest.raises(Declined):
        packed(graph.with_needs_grad({"layer.weight": True}), feeds)
    with pytest.raises(Declined):
        packed(graph.with_nodes(graph.nodes, (*graph.outputs, "layer.weight")), feeds)


def test_grouped_and_depthwise_layers_stay():
    for groups in (2, 8):
        with pytest.raises(Declined):
            packed(*network(8, 8, groups=groups))
