"""Bytes alive, kept up to date change by change, are those of the graph made anew."""

import numpy as np
from graphs import int8net, mixednet, seeds, shuffled, with_takeovers
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.ir.liveness import live_bytes
from workbench.ir.timeline import Timeline
from workbench.passes.pipeline import run_passes
from workbench.policy import Optimizer
from workbench.schedule.fusing import fusion_of

OPTIMIZERS = [Optimizer(), Optimizer(momentum=0.9), Optimizer(accumulate=2), Optimizer(clip=1.0)]
graphs = st.builds(mixednet, seeds, st.sampled_from(OPTIMIZERS)) | seeds.map(lambda seed: int8net(seed, batch=1)[0])


@settings(deadline=None, max_examples=25)
@given(
    graph=graphs, seed=seeds, passes=st.sampled_from([(), ("bit-masks",), ("bit-masks", "early-update", "in-place")])
)
def test_it_tells_what_is_alive_after_changes_and_without_those_taken_back(graph, seed, passes):
    graph = with_takeovers(shuffled(run_passes(graph, passes)[0], seed), seed)
    timeline, rng = Timeline(graph), np.random.default_rng(seed)
    assert timeline.live() == live_bytes(graph)
    for update in rng.permutation(np.array(graph.nodes, object)):
        fusion = fusion_of(timeline, update)
        if fusion is None:
            continue
        change, before = fusion.apply(timeline), timeline.nodes()
        assert timeline.live() == live_bytes(graph.with_nodes(before))
        assert timeline.peak == max(timeline.live())
        if rng.random() < 0.4:
            timeline.undo(change)
            assert update in timeline.nodes()
            assert timeline.live() == live_bytes(graph.with_nodes(timeline.nodes()))
