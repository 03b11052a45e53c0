"""Layouts of graphs in layers: what reads stands below what is read, and nothing stands on anything else."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.report.layered import layered


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 14))
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda pair: pair[0] < pair[1])
    return count, draw(st.lists(pairs, max_size=25) if count > 1 else st.just([]))


@settings(deadline=None, max_examples=60)
@given(graph=graphs())
def test_layers(graph):
    count, edges = graph
    found = layered(count, edges)
    assert sorted(found.places) == list(range(count)) and set(found.ways) == set(edges)
    for (source, target), way in found.ways.items():
        assert (way[0], way[-1]) == (found.places[source], found.places[target])
        layers = [layer for _, layer in way]
        assert layers == list(range(round(layers[0]), round(layers[0]) + len(way)))  # one after the other, downwards
    places = sorted(found.places.values(), key=lambda place: (place[1], place[0]))
    apart = [(x1 - x0) for (x0, y0), (x1, y1) in pairwise(places) if y0 == y1]
    assert min(apart, default=1) > 0.99
    assert all(0 <= x < found.columns and 0 <= y < found.layers for x, y in found.places.values())
