"""region: a graph of its own, the body, executed tile by tile so that values inside it never exist whole: `step` rows
of the body's last node, or `step` channels, at a time, as `axis` says.

It means what its body means. The inputs of the body are the region's operands in order, its outputs the region's
results. Inside, every image lies channel by channel; an image outside may lie row by row (NHCW), as do the results
numbered `by_rows`; those numbered `apart` have their places alone. How it runs: cascade.py and emit.py.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from workbench.errors import GraphError, ShapeError, there_are
from workbench.ir import op as ops
from workbench.ir.build import Builder
from workbench.ir.graph import Graph, Node
from workbench.ir.interpret import interpret
from workbench.ir.kernel import Axis, Kernel, Refusal
from workbench.ir.op import REQUIRED, Op, Sample, register
from workbench.ir.ranges import Range
from workbench.ir.types import BY_ROWS, Ints, TensorType
from workbench.ir.verify import verify
from workbench.schedule._samples import CASES
from workbench.schedule.cascade import Cascade, cascade
from workbench.schedule.stages import ALONG
from workbench.schedule.takeovers import begun, over_image, runs_over, takeovers

NAME = "region"


def region_node(
    body: Graph, operands: tuple[str, ...], results: tuple[str, ...], over: tuple[str, ...] = (), label: str = "",
    axis: Axis = "rows",
) -> Node:  # fmt: skip
    """The node that runs `body` on these operands, by the smallest tiles."""
    attrs = ops.get(NAME).complete({"body": body.as_body(), "axis": axis})
    return Node(NAME, operands, results, attrs, over, label)


def cascade_of(body: Graph, axis: Axis, step: int, apart: Ints = (), **_: Any) -> Cascade:
    """How a region with these attributes runs. Raises ShapeError where it cannot."""
    if axis not in ALONG:
        raise ShapeError(f"region: axis is {axis!r}", there_are(axis, ALONG))
    plan = cascade(body, axis, step, tuple(apart))
    if isinstance(plan, Refusal):
        raise ShapeError(f"region: {plan.reason}")
    return plan


def infer(
    *operands: TensorType, body: Graph, axis: Axis, step: int, by_rows: Ints, apart: Ints
) -> tuple[TensorType, ...]:
    if [body.types[name] for name in body.inputs] != [kind.in_body for kind in operands] or body.persistent:
        raise ShapeError(f"region: its body takes {', '.join(str(body.types[name]) for name in body.inputs)}; "
                         f"got {', '.join(map(str, operands))}")  # fmt: skip
    try:
        verify(body)
    except GraphError as error:
        raise ShapeError(f"region: {error.message}") from None
    for key, chosen in (("by_rows", by_rows), ("apart", apart)):
        if not set(chosen) <= set(range(len(body.outputs))):
            raise ShapeError(f"region: it has {len(body.outputs)} results; {key} is {list(chosen)}")
    images = cascade_of(body, axis, step, apart).images
    in_rows = [name for name, kind in zip(body.inputs, operands, strict=True) if kind.layout == BY_ROWS]
    in_rows += [body.outputs[index] for index in by_rows]
    for name in in_rows:
        if name not in images or axis != "rows":
            raise ShapeError(f"region: %{name} is no image that it reads or makes row by row")
    return tuple(
        body.types[name].in_layout(BY_ROWS if index in by_rows else "") for index, name in enumerate(body.outputs)
    )


def over(node: Node, types: Mapping[str, TensorType], index: int, operand: str) -> bool:
    """Whether result `index` may be written over an operand that its body does not update."""
    if node.operands.count(operand) > 1 or node.over.count(operand) > 1:
        return False
    plan, by_rows = cascade_of(**node.attrs), all(types[x].layout == BY_ROWS for x in (operand, node.results[index]))
    source, result = plan.body.inputs[node.operands.index(operand)], plan.body.outputs[index]
    return begun(plan).get(result) == source or (by_rows and runs_over(plan, source, result))


def _scratch(*_: Any, **attrs: Any) -> int:
    return cascade_of(**attrs).scratch


def evaluate(*operands: np.ndarray, body: Graph, **_: Any) -> tuple[np.ndarray, ...]:
    precision = next((a.dtype.type for a in operands if np.issubdtype(a.dtype, np.floating)), np.float32)
    results = interpret(body, dict(zip(body.inputs, operands, strict=True)), precision)
    return tuple(results[name] for name in body.outputs)


def within(*operands: Range, body: Graph, **_: Any) -> tuple[Range, ...]:
    values = dict(zip(body.inputs, operands, strict=True))
    for node in body.nodes:
        results = ops.get(node.op).ranges(*(values[name] for name in node.operands), **node.attrs)
        values.update(zip(node.results, results, strict=True))
    return tuple(values[name] for name in body.outputs)


def macs(*_: TensorType, body: Graph, **__: Any) -> int:
    return sum(ops.get(node.op).macs(*(body.types[x] for x in node.operands), **node.attrs) for node in body.nodes)


def samples(rng: np.random.Generator) -> list[Sample]:
    """Chains of convolutions, poolings and their gradients, in stripes of one row and of several, and in channel tiles.

    Those in stripes come once more with all images stored row by row, and results over images where that is allowed.
    """
    cases = []
    for axis, chain, step in ((axis, *case) for axis, cases in CASES.items() for case in cases):
        build = Builder()
        outputs = chain(build)
        body = build.graph(*outputs).renumbered()
        operands = tuple(_random(rng, name, body.types[name]) for name in body.inputs)
        cases.append(Sample(operands, {"body": body, "axis": axis, "step": step}))
        plan = cascade_of(body, axis, step)
        images = {index: name for index, name in enumerate(body.inputs) if name in plan.images}
        results = {index: name for index, name in enumerate(body.outputs) if name in plan.images}
        over = {}
        for at, result in results.items():
            for index, name in images.items():
                if body.types[result].bytes <= body.types[name].bytes and (found := over_image(plan, name, result)):
                    plan, over[at] = found, index
        if images or results:
            attrs = {"body": body, "axis": axis, "step": step, "by_rows": tuple(results), "apart": plan.apart}
            cases.append(Sample(operands, attrs, dict.fromkeys(images, BY_ROWS), over))
    return cases


def _random(rng: np.random.Generator, name: str, kind: TensorType) -> np.ndarray:
    if kind.dtype == "float32":  # scales among them
        return rng.uniform(0.1, 0.4, kind.shape) if name.startswith("s") else rng.normal(size=kind.shape)
    if kind.dtype == "bit":
        return rng.random(kind.shape) < 0.5
    if name.startswith("m"):  # multipliers, and no shifts
        return np.stack([rng.integers(2**22, 2**25, kind.shape[1]), np.zeros(kind.shape[1])]).astype(np.int32)
    if name == "at":  # places in windows
        return np.zeros(kind.shape, kind.dtype)
    return rng.integers(-127, 128, kind.shape).astype(kind.dtype)


register(Op(
    name=NAME, infer=infer, evaluate=evaluate, within=within, samples=samples, macs=macs, dtypes=None,
    takes=lambda *, body, **_: takeovers(body), over=over,
    attrs={"body": REQUIRED, "axis": "rows", "step": 1, "by_rows": (), "apart": ()}, layouts="any",
    kernel=Kernel("tiles.h", "", scratch=_scratch),
))  # fmt: skip
