"""What `workbench passes MODEL` tells of the peak: the bytes are those of the plan, and a reason is the node's own."""

import pytest
from graphs import training_graphs
from hypothesis import given, settings

from workbench import frontends, session
from workbench.ir.kernel import Refusal, Tile
from workbench.ir.liveness import peak_bytes
from workbench.schedule import holders
from workbench.schedule.holders import peak_of, regions_of, told
from workbench.schedule.stages import can


@pytest.fixture(scope="module")
def graph():
    return session.compile(frontends.load("mobilenet"), "bias-only", "optimized").graph


@settings(max_examples=20, deadline=None)
@given(graph=training_graphs())
def test_the_buffers_and_the_scratch_add_up_to_the_peak(graph):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(holders, "LARGEST", 1000)
        peak = peak_of(graph)
    assert peak.bytes == peak_bytes(graph) == peak.scratch + sum(held.bytes for held in peak.buffers)
    assert [held.bytes for held in peak.buffers] == sorted((held.bytes for held in peak.buffers), reverse=True)
    assert peak.node == told(graph.analysis.work[peak.position])


def test_a_saved_buffer_is_made_in_the_forward_pass_and_read_behind_it(graph):
    peak, work = peak_of(graph), graph.analysis.work
    phases = {told(node): phase for node, phase in zip(work, graph.analysis.phases, strict=True)}
    phases[""] = "forward"  # an input
    for held in peak.buffers:
        assert held.saved == (phases[held.maker] == "forward" != phases[held.last_reader])


def test_each_region_is_told_with_its_tile(graph):
    nodes = [node for node in graph.nodes if node.body is not None]
    assert nodes
    assert [(r.label, r.axis, r.step, r.nodes) for r in regions_of(graph)] == [
        (node.label, node.attrs["axis"], node.attrs["step"], len(node.body.nodes)) for node in nodes
    ]
    assert max(region.bytes for region in regions_of(graph)) <= peak_bytes(graph)


def test_a_reason_is_given_where_no_way_of_meeting_tiles_is_accepted(graph):
    reasons = 0
    for node in graph.analysis.work:
        tiles = holders.tiles_of(graph, node)
        assert (tiles.region != "") == (node.body is not None)
        for axis, reason in tiles.reasons.items():
            ways = [Tile(axis), *(Tile(axis, (at,)) for at, x in enumerate(node.operands) if graph.types[x].rank == 4)]
            assert (reason == "") == any(
                not isinstance(can(holders.apart(node), way, graph.types), Refusal) for way in ways
            )
            reasons += reason != ""
    assert reasons
