"""simplify: transposes that move nothing are views; the meaning stays."""

import pytest

from workbench.ir.build import Builder
from workbench.passes import Declined
from workbench.passes.simplify import simplify


@pytest.mark.parametrize("shape, axes, is_view", [
    ((5, 1, 3), (1, 0, 2), True), ((1, 5, 1, 3), (1, 2, 0, 3), True), ((1, 1), (1, 0), True), ((4, 3), (0, 1), True),
    ((5, 2, 3), (1, 0, 2), False), ((1, 5, 3), (0, 2, 1), False),
])  # fmt: skip
def test_a_transpose_is_a_view_where_only_axes_of_one_element_move(shape, axes, is_view):
    build = Builder()
    y = build.relu(build.transpose(build.relu(build.input("x", shape)), axes=axes))
    graph = build.graph(y)
    if not is_view:
        with pytest.raises(Declined):
            simplify(graph)
        return
    after = simplify(graph)
    assert [node.op for node in after.nodes] == ["nn.relu", "reshape", "nn.relu"]
    assert after.types == graph.types
    assert after.nodes[1].attrs["newshape"] == y.shape
