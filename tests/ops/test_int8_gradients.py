"""Gradients of what only rescales int8: dy, shared out as the real numbers are, where the result was not clipped."""

import numpy as np
import pytest

from workbench.autodiff import differentiate
from workbench.ir.build import Builder
from workbench.ir.interpret import interpret

ATTRS = {"x_scale": 0.05, "x_zero_point": -3, "y_scale": 0.02, "y_zero_point": 5, "form": "tflite"}


AVERAGED = {"qnn.requantize": (), "qnn.global_avg_pool2d": (2, 3), "qnn.mean": (3,)}  # axes


@pytest.mark.parametrize("name", AVERAGED)
def test_gradient_of_the_real_numbers_where_nothing_was_clipped(name):
    axes = AVERAGED[name]
    rng, build = np.random.default_rng(0), Builder()
    x = build.input("x", (2, 3, 4, 5), "int8", scale=0.05, zero_point=-3)
    y = build.op(name, x, **ATTRS, clip=(-20, 60), **({"axis": axes} if name == "qnn.mean" else {}))
    graph, gradients = differentiate(build.graph(y), ["x"])
    values = rng.integers(-60, 60, x.shape, dtype=np.int8)
    dy = rng.normal(size=y.shape).astype(np.float32)
    results = {}
    feeds = {"x": values, "grad_output": dy}
    interpret(graph, feeds, observe=lambda node, made: results.update(zip(node.results, made, strict=True)))
    real = (values + 3.0) * 0.05
    unclipped = 5 + (real.mean(axes, keepdims=True) if axes else real) / 0.02
    inside = (np.rint(unclipped) >= -20) & (np.rint(unclipped) <= 60)
    share = y.type.elements / x.type.elements
    expected = np.broadcast_to(np.where(inside, dy * share, 0), x.shape)
    assert 0 < inside.mean() < 1
    assert np.allclose(results[gradients["x"]], expected, rtol=1e-6)
