"""region: a graph of its own, the body, executed so that values inside it never exist whole: stripe by stripe, `rows`
rows of the body's last node a step, or channel tile by channel tile, `channels` a step, where `channels` is not 0.

It means what its body means. The inputs of the body are the region's operands in order, its outputs the region's
results. Inside, every image lies channel by channel; an image outside may lie row by row (NHCW), as do the results
numbered `by_rows`. How it runs: strips.py and emit_rows.py, slices.py and emit_channels.py.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from workbench.errors import GraphError, ShapeError
from workbench.ir import op as ops
from workbench.ir.build import Builder
from workbench.ir.graph import Graph, Node
from workbench.ir.interpret import interpret
from workbench.ir.kernel import Kernel
from workbench.ir.op import REQUIRED, Op, Sample, register
from workbench.ir.ranges import Range
from workbench.ir.types import BY_ROWS, Ints, TensorType
from workbench.ir.verify import verify
from workbench.schedule._samples import CHAINS
from workbench.schedule.slices import begun, slices, takeovers
from workbench.schedule.strips import runs_over, strips

NAME = "region"


def region_node(
    body: Graph, operands: tuple[str, ...], results: tuple[str, ...], over: tuple[str, ...] = (), label: str = "",
    **step: Any,
) -> Node:  # fmt: skip
    """The node that runs `body` on these operands; `step`: how many rows or channels at a time."""
    attrs = ops.get(NAME).complete({"body": body.as_body(), **step})
    return Node(NAME, operands, results, attrs, over, label)


def infer(*operands: TensorType, body: Graph, rows: int, channels: int, by_rows: Ints) -> tuple[TensorType, ...]:
    if [body.types[name] for name in body.inputs] != [kind.in_body for kind in operands] or body.persistent:
        raise ShapeError(f"region: its body takes {', '.join(str(body.types[name]) for name in body.inputs)}; "
                         f"got {', '.join(map(str, operands))}")  # fmt: skip
    try:
        verify(body)
    except GraphError as error:
        raise ShapeError(f"region: {error.message}") from None
    images: frozenset[str] = frozenset()
    if channels:
        slices(body, channels)
    else:
        images = strips(body, rows).images
    if not set(by_rows) <= set(range(len(body.outputs))):
        raise ShapeError(f"region: it has {len(body.outputs)} results; by_rows is {list(by_rows)}")
    in_rows = [name for name, kind in zip(body.inputs, operands, strict=True) if kind.layout == BY_ROWS]
    in_rows += [body.outputs[index] for index in by_rows]
    for name in in_rows:
        if name not in images:
            raise ShapeError(f"region: %{name} is no image that it reads or makes row by row")
    return tuple(
        body.types[name].in_layout(BY_ROWS if index in by_rows else "") for index, name in enumerate(body.outputs)
    )


def over(node: Node, types: Mapping[str, TensorType], index: int, operand: str) -> bool:
    """Whether result `index` may be written over an operand that its body does not update: a sum over the gradient that
    it begins at, or an image over one whose rows it has read for good."""
    body = node.region_body
    source, result = body.inputs[node.operands.index(operand)], body.outputs[index]
    if node.attrs["channels"]:
        return begun(body).get(result) == source and node.operands.count(operand) == 1
    by_rows = all(types[value].layout == BY_ROWS for value in (operand, node.results[index]))
    alone = node.operands.count(operand) == node.over.count(operand) == 1
    return by_rows and alone and runs_over(strips(body, node.attrs["rows"]), source, result)


def _scratch(*_: Any, body: Graph, rows: int, channels: int, **__: Any) -> int:
    return (slices(body, channels) if channels else strips(body, rows)).scratch


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
    for chain, step in CHAINS:
        build = Builder()
        outputs = chain(build)
        body = build.graph(*outputs).renumbered()
        operands = tuple(_random(rng, name, body.types[name]) for name in body.inputs)
        cases.append(Sample(operands, {"body": body, **step}))
        if "channels" in step:
            continue
        plan = strips(body, step["rows"])
        images = {index: name for index, name in enumerate(body.inputs) if name in plan.images}
        results = {index: name for index, name in enumerate(body.outputs) if name in plan.images}
        over = {at: index for at, result in results.items() for index, name in images.items()
                if body.types[result].bytes <= body.types[name].bytes and runs_over(plan, name, result)}  # fmt: skip
        if images or results:
            attrs = {"body": body, **step, "by_rows": tuple(results)}
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
    attrs={"body": REQUIRED, "rows": 1, "channels": 0, "by_rows": ()}, layouts="any",
    kernel=Kernel("rows_f32.h", "", scratch=_scratch),
))  # fmt: skip
