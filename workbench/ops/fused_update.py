"""A gradient and what takes it up as one node: w ← update(w, gradient(…)), of which no element is ever in memory.

    dw = nn.conv2d_backward_weight(dy, x); nn.sgd(w, dw, lr)    is    nn.conv2d_backward_weight_sgd(w, dy, x, lr)

So for each of GRADIENTS with each of UPDATES: the gradient's operands and attributes stand in the update's where dw
stood. The meaning is the two meanings, one after the other.
"""

from collections.abc import Callable

import numpy as np

from workbench.ir.op import Kernel, Op, Sample, get, register
from workbench.ops import accumulate, conv2d_backward_weight, matmul, sgd  # noqa: F401  registered before this
from workbench.ops import sum as _sum  # noqa: F401

GRADIENTS = {"nn.conv2d_backward_weight": 2, "nn.matmul": 2, "sum": 1}  # name -> operands
UPDATES = ("nn.sgd", "nn.sgd_momentum", "accumulate")  # operand 0 is written to, operand 1 the gradient


def fused_name(gradient: str, update: str) -> str:
    """What the operator is called that does both; "" where there is none."""
    return f"{gradient}_{update.removeprefix('nn.')}" if gradient in GRADIENTS and update in UPDATES else ""


def fuse(gradient: Op, update: Op, count: int) -> Op:
    """The operator that applies the `gradient` of `count` operands by `update`."""

    def parts(operands, attrs):
        """Operands and attributes of the gradient, and of the update without it."""
        inner = {key: value for key, value in attrs.items() if key in gradient.attrs}
        outer = {key: value for key, value in attrs.items() if key in update.attrs}
        return operands[1 : 1 + count], inner, operands[:1], operands[1 + count :], outer

    def infer(*types, **attrs):
        operands, inner, written, rest, outer = parts(types, attrs)
        return update.infer(*written, gradient.infer(*operands, **inner), *rest, **outer)

    def evaluate(*arrays, **attrs):
        operands, inner, written, rest, outer = parts(arrays, attrs)
        return update.evaluate(*written, gradient.evaluate(*operands, **inner), *rest, **outer)

    def macs(*types, **attrs):
        operands, inner, *_ = parts(types, attrs)
        return gradient.macs(*operands, **inner)

    def literals(*types, **attrs):
        operands, inner, written, rest, outer = parts(types, attrs)
        dw = gradient.infer(*operands, **inner)
        numbers = update.kernel.literals(*written, dw, *rest, **outer)[1:]  # the first counts elements
        return [*gradient.kernel.literals(*operands, **inner), *numbers]

    def scratch(*types, **attrs):
        operands, inner, *_ = parts(types, attrs)
        return gradient.kernel.scratch(*operands, **inner)

    name, stem = fused_name(gradient.name, update.name), gradient.kernel.header.removesuffix("_f32.h")
    return Op(
        name=name, infer=infer, evaluate=evaluate, samples=samples_of(gradient, update), macs=macs,
        attrs={**gradient.attrs, **update.attrs}, phase=update.phase,
        takes=tuple(index and index + count - 1 for index in update.takes),
        kernel=Kernel(f"{stem}_update_f32.h", f"{stem}_{update.name.removeprefix('nn.')}_f32", literals, scratch),
    )  # fmt: skip


def samples_of(gradient: Op, update: Op) -> Callable:
    """The gradient's samples, with the update's attributes in turn."""

    def samples(rng):
        choices = [dict(case.attrs) for case in update.samples(rng)][1:] or [{}]
        cases = []
        for number, case in enumerate(gradient.samples(rng)):
            dw = gradient.evaluate(*case.operands, **gradient.complete(case.attrs))
            state = [rng.normal(size=dw.shape) for _ in update.takes]
            rate = [rng.uniform(size=())] if update.phase == "update" else []
            attrs = {**case.attrs, **choices[number % len(choices)]}
            cases.append(Sample((state[0], *case.operands, *state[1:], *map(np.asarray, rate)), attrs))
        return cases

    return samples


for _gradient, _count in GRADIENTS.items():
    for _update in UPDATES:
        register(fuse(get(_gradient), get(_update), _count))
