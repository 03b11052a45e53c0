"""Which nodes a region has, and which division into regions is taken: the one that needs least in the end."""

from dataclasses import replace
from functools import cache

import pytest
from graphs import int8net

from workbench import frontends, session
from workbench.frontends.layers import Network
from workbench.frontends.loading import in_int8
from workbench.ir.build import Builder
from workbench.ir.kernel import Footprint, Reach
from workbench.ir.liveness import live_bytes, peak_bytes
from workbench.passes.order_search import order_search
from workbench.passes.pipeline import later, run_passes_with
from workbench.schedule import search, segments
from workbench.schedule.by_rows import movable, over_rows
from workbench.schedule.cascade import cascade
from workbench.schedule.segments import Segments


def segments_of(graph, longest=24):
    return Segments(graph, graph, longest, 1 << 40, frozenset())


def beside_another():
    """Two convolutions of one image, between them in the order a ReLU of another image."""
    build = Builder()
    x, other = build.input("x", (1, 2, 8, 8)), build.input("other", (1, 9, 8, 8))
    wide = build.conv2d(x, build.input("w", (6, 2, 1, 1)), channels=6, kernel_size=(1, 1))
    clipped = build.relu(other)
    thin = build.conv2d(wide, build.input("v", (2, 6, 3, 3)), channels=2, kernel_size=(3, 3), padding=(1,) * 4)
    return build.graph(thin, clipped)


def test_a_region_may_leave_out_what_no_value_connects_with_it():
    found = segments_of(beside_another())
    (both,) = [one for one in found.beginning_at(0) if one.end == 3]
    assert (both.members, both.before, both.after) == ((0, 2), (1,), ())
    plain = found.among(found.rowwise, plain=True)  # a ReLU of another image has no rows in step with the last node's
    assert not [one for one in plain.beginning_at(0) if one.end == 3]


def test_a_sum_of_all_rows_joins_only_where_it_takes_no_more_than_they(monkeypatch):
    build = Builder()
    window = {"kernel_size": (3, 3), "strides": (1, 1), "padding": (1,) * 4}
    sums = []
    for name, channels in (("few", 2), ("many", 9)):
        dy, x = build.input(f"dy{name}", (1, channels, 8, 8)), build.input(f"x{name}", (1, channels, 8, 8))
        sums.append(build.conv2d_backward_weight(dy, x, **window))
    graph = build.graph(*sums)
    by_rows = Footprint({0: Reach(), 1: Reach()}, 8, "sum")
    monkeypatch.setattr(segments, "can", lambda *_: by_rows)
    sizes = [graph.types[node.results[0]].bytes for node in graph.nodes]
    assert sizes[0] <= graph.types["dyfew"].bytes and sizes[1] > graph.types["dymany"].bytes
    assert segments_of(graph).rowwise == {0}


def resnet(size=32):
    """A stem, three stages of a block each; where the stride is 2 the way around is a 1x1 convolution."""
    net = Network("resnet32", (1, 3, size, size), 0)
    x = net.relu(net.conv2d(net.input, "stem", 16, 3, padding=1), "stem")
    for number, channels in enumerate((16, 32, 64), 1):
        name, stride = f"stage{number}", 1 if number == 1 else 2
        y = net.relu(net.conv2d(x, f"{name}.conv1", channels, 3, stride=stride, padding=1), f"{name}.conv1")
        y = net.conv2d(y, f"{name}.conv2", channels, 3, padding=1)
        x = net.conv2d(x, f"{name}.shortcut", channels, 1, stride=stride) if stride > 1 else x
        x = net.relu(net.add(y, x, f"{name}.add"), f"{name}.add")
    return net.model(net.dense(net.flatten(net.global_avg_pool2d(x, "pool")), "fc", 10))


@cache
def quantized():
    return in_int8(resnet())


@pytest.mark.parametrize(
    ("int8", "policy", "passes", "most"),
    [
        (True, "last-4", "", 46_592),
        (True, "full", "", 229_952),
        (False, "last-4", "input-rows", 74_372),
    ],
)
def test_a_residual_network_needs_no_more_than_its_best_division(int8, policy, passes, most):
    model = quantized() if int8 else resnet()
    assert session.compile(model, policy, passes=passes).memory.plan.bytes <= most


@pytest.mark.long
def test_no_image_is_turned_into_rows_at_the_peak(shared_data):
    model = frontends.load(str(shared_data / "tiny-training" / "mcunet-5fps.json"))
    assert peak_bytes(session.compile(model, "bias-only+head").graph) <= 176_196


def regional(seed):
    graph, weights = int8net(seed, batch=1)
    first = ("fold-constants", "bit-masks", "fuse-activation", "fuse-add", "dead-code", "early-update")
    return run_passes_with(graph, weights, first)[0]


def test_regions_that_run_at_the_peak_are_dropped_where_the_rest_needs_no_more():
    """Its tiles hold more than the node alone does in the end."""
    graph = regional(3)
    alone = search.Division((), graph, graph)
    worse = graph.analysis.work[live_bytes(graph).index(alone.peak)]
    segment = segments.Segment(0, 1, (0,), (), (), 0, (graph, (), worse.results), "rows", ())
    best = search.Division((segment,), graph, graph)
    assert search._without_worst(best, lambda chosen: replace(alone, chosen=tuple(chosen))).chosen == ()


def test_regions_that_spare_nothing_are_dropped_from_the_least_on():
    def of(begin):
        return segments.Segment(begin, begin + 1, (begin,), (), (), 0, (graph, (), ()), "rows", ())

    graph = regional(3)
    needed = 4

    class Fake(search.Division):
        @property
        def peak(self):
            return 10 if {needed, 5} <= {one.begin for one in self.chosen} else 20

    all_of_them = tuple(of(begin) for begin in range(6))
    best = search._without_idle(
        Fake(all_of_them, graph, graph), range(6), lambda chosen: Fake(tuple(chosen), graph, graph)
    )
    assert [one.begin for one in best.chosen] == [3, 4, 5]  # one, then two at once; then four would be too many


def wasteful():
    """A large image is made of a small one before that is needed."""
    build = Builder()
    x = build.input("x", (1, 2, 8, 8))
    small = build.relu(x)
    wide = build.conv2d(x, build.input("w", (9, 2, 1, 1)), channels=9, kernel_size=(1, 1))
    other = build.relu(build.conv2d(small, build.input("v", (9, 2, 1, 1)), channels=9, kernel_size=(1, 1)))
    return build.graph(build.sum(wide, axis=(0, 2, 3)), build.sum(other, axis=(0, 2, 3)))


def test_the_order_in_the_end_is_foreseen_but_no_other_look_ahead_sees_it():
    graph = wasteful()
    ahead = later(("order-search",))
    assert ahead.graph(graph).nodes == order_search(graph).nodes != graph.nodes
    assert ahead.overlaid(graph) is graph
    assert ahead.fused_away(graph) == frozenset()


def test_tiles_cost_calls_and_what_they_prepare():
    build = Builder()
    x = build.input("x", (1, 2, 8, 8))
    body = build.graph(build.relu(build.relu(x))).as_body()
    costs = [search.overhead(cascade(body, "rows", step)) for step in (1, 2, 8)]
    assert costs == [7 * 2 * search.CALL, 3 * 2 * search.CALL, 0]


def test_a_division_that_costs_more_than_it_saves_is_not_taken():
    graph = regional(3)
    step = search.instructions(graph)

    class Fake(search.Division):
        def __init__(self, peak, cost):
            self.__dict__.update(peak=peak, overhead=cost * step)

    one = Fake(1000, 0)
    assert search._pays(graph, one, Fake(999, 0.04))
    assert search._pays(graph, one, Fake(800, 0.19))
    assert not search._pays(graph, one, Fake(800, 0.21))
    assert not search._pays(graph, one, Fake(990, 0.06))


def summed():
    """A convolution, a ReLU of its image, a sum of that, and a convolution of it."""
    build = Builder()
    x = build.conv2d(build.input("x", (1, 2, 8, 8)), build.input("w", (4, 2, 1, 1)), channels=4, kernel_size=(1, 1))
    y = build.relu(x)
    total = build.sum(y, axis=(0, 2, 3))
    return build.graph(total, build.conv2d(y, build.input("v", (2, 4, 1, 1)), channels=2, kernel_size=(1, 1)))


def test_what_is_made_of_an_image_by_rows_may_lie_over_it_though_a_sum_reads_it():
    graph = summed()
    x, y = graph.nodes[0].results[0], graph.nodes[1].results[0]
    assert x in movable(graph) and y not in movable(graph)
    assert y in movable(graph, summed=True)
    after = over_rows(graph, {x}, movable(graph, summed=True))
    assert after.types[y].layout == after.types[x].layout != ""
    assert after.nodes[1].over == (x,)
    assert over_rows(graph, {x}).types[y].layout == ""
