"""Operators that stand for one: x · ½ · (1 + erf(x / √2)), as exporters below opset 20 write it, is a Gelu.

x ── Div √2 ── Erf ── Add 1 ── Mul x ── Mul ½ ── y            in any order of factors; or Mul 1/√2, or x · ½ first
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from math import sqrt

import numpy as np

from workbench.frontends.onnx.file import Network, Operator

NEAR = 1e-4


def fused(network: Network) -> Network:
    return _Search(network).fused() if any(op.name == "Erf" for op in network.operators) else network


class _Search:
    def __init__(self, network: Network) -> None:
        self.network = network
        self.makers = {name: op for op in network.operators for name in op.outputs if name}
        self.reads = Counter(name for op in network.operators for name in op.inputs if name)
        self.reads.update(each.name for each in network.outputs)
        self.readers = {name: op for op in network.operators for name in op.inputs if name}
        self.constants: Mapping[str, np.ndarray] = network.constants

    def fused(self) -> Network:
        gone: set[int] = set()
        becomes: dict[int, Operator] = {}
        for op in self.network.operators:
            found = self._gelu(op) if op.name == "Erf" and len(op.inputs) == len(op.outputs) == 1 else None
            if found is not None:
                x, parts = found
                last = parts[-1]
                gone |= {each.number for each in parts[:-1]}
                becomes[last.number] = replace(last, name="Gelu", inputs=(x,), options={})
        operators = [becomes.get(op.number, op) for op in self.network.operators if op.number not in gone]
        return replace(self.network, operators=tuple(operators))

    def _gelu(self, erf: Operator) -> tuple[str, list[Operator]] | None:
        """What it is of, and the operators that it is made of, the last one last."""
        before, behind = self.makers.get(erf.inputs[0]), self._reader(erf)
        x = before and (self._other(before, "Div", sqrt(2)) or self._other(before, "Mul", sqrt(0.5)))
        if before is None or not x or self.reads[erf.inputs[0]] != 1:
            return None
        if behind is None or not self._other(behind, "Add", 1):
            return None
        parts, wanted, last = [before, erf, behind], {"x", "half"}, behind
        while wanted:
            product = self._reader(last)
            if product is None or product.name != "Mul" or len(product.inputs) != 2:
                return None
            (factor,) = [name for name in product.inputs if name != last.outputs[0]] or [""]
            maker = self.makers.get(factor)
            if factor == x and "x" in wanted:
                wanted -= {"x"}
            elif self._is(factor, 0.5) and "half" in wanted:
                wanted -= {"half"}
            elif (
                maker is not None
                and self._other(maker, "Mul", 0.5) == x
                and self.reads[factor] == 1
                and len(wanted) == 2
            ):
                wanted = set()
                parts.append(maker)
            else:
                return None
            parts.append(product)
            last = product
        return x, parts

    def _reader(self, op: Operator) -> Operator | None:
        """The only reader of its result."""
        name = op.outputs[0]
        return self.readers.get(name) if self.reads[name] == 1 else None

    def _other(self, op: Operator, kind: str, number: float) -> str | None:
        """The other operand, where one is this number; of a division the dividend."""
        if op.name != kind or len(op.inputs) != 2:
            return None
        first, second = op.inputs
        if self._is(second, number):
            return first
        return second if kind != "Div" and self._is(first, number) else None

    def _is(self, name: str, number: float) -> bool:
        maker = self.makers.get(name)
        stored = self.constants.get(name)
        if stored is None and maker is not None and maker.name == "Constant":
            stored = maker.options.get("value", maker.options.get("value_float"))
        return stored is not None and np.size(stored) == 1 and abs(float(np.reshape(stored, ())) - number) < NEAR
