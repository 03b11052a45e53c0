"""What `check` finds: how each operator's result compares with numpy's, and each difference, with its place."""

from dataclasses import dataclass

import numpy as np

from workbench.ir.ranges import SMALLEST, Range, single

Index = tuple[int, ...]


@dataclass(frozen=True)
class Checked:
    """One result of one operator in one call. `used`: the part of its rounding tolerance that the difference takes, 1
    being all of it; 0 where equal bits are required and found, infinite beyond the tolerance.
    """

    call: str
    position: int
    symbol: str
    node: str
    value: str
    used: float

    @property
    def agrees(self) -> bool:
        return self.used <= 1


@dataclass(frozen=True)
class Finding:
    """Something wrong. `what`, and what `expected` and `got` are of it at `index` of `value`:

    result      numpy's, on the same operands (to within `slack`), and the emulated operator's
    operand     what was last written there, and what the operator is about to read
    return      what was last written there, and what is there when control comes back
    start       the compiled parameter, and the linked one
    counter     the steps done, and wb_step
    missing     the operator, or the parameter or scalar called `value`, is not linked: nobody uses it
    whole       `got` is the distance from the interpreter's own step, in terms of the norm, `expected` the most allowed
    undeclared-read, undeclared-write, unwritten-read, outside, beyond-reserve
                an access that the plan did not promise; `value` is the buffer, `index` the byte of it (or address),
                `got` how many bytes
    fault       the core stopped: `message` says why

    `count` elements (or accesses) are wrong, of `elements`.
    """

    call: str
    what: str
    symbol: str = ""
    node: str = ""
    value: str = ""
    index: Index | None = None
    expected: float | None = None
    got: float | None = None
    slack: float = 0.0
    count: int = 1
    elements: int = 1
    message: str = ""


@dataclass(frozen=True)
class Outcome:
    """All that was compared, in order, and all that is wrong, of so many `operators`. `calls`: what was called.

    `whole` is the largest distance of a call's logits and changes of weights from the interpreter's, in their norm.
    """

    operators: int
    calls: tuple[str, ...]
    rows: tuple[Checked, ...]
    findings: tuple[Finding, ...]
    whole: float

    @property
    def agrees(self) -> bool:
        return not self.findings

    @property
    def tightest(self) -> Checked:
        """The result that came closest to what rounding may change, or went furthest beyond."""
        return max(self.rows, key=lambda row: row.used)


@dataclass(frozen=True)
class Difference:
    """Where two arrays differ first, and how many elements do."""

    index: Index
    expected: float
    got: float
    slack: float
    count: int
    elements: int


def beyond(allowed: Range, got: np.ndarray) -> tuple[float, Difference | None]:
    """How much of the allowed range `got` uses, and where it first leaves it. NaN is right where numpy has NaN."""
    low, high = single(allowed)
    anything = (low == -np.inf) & (high == np.inf) if got.dtype == np.float32 else False
    right = ((low <= got) & (got <= high)) | anything
    if got.dtype == np.float32:
        right |= np.isnan(low) & np.isnan(got)
    if not right.all():
        index = tuple(int(i) for i in np.argwhere(~right)[0])
        ends = float(allowed.low[index]), float(allowed.high[index])
        difference = Difference(index, sum(ends) / 2, float(got[index]), (ends[1] - ends[0]) / 2,
                                int((~right).sum()), right.size)  # fmt: skip
        return float("inf"), difference
    if allowed.low.dtype != np.float64:
        return 0.0, None
    with np.errstate(invalid="ignore", divide="ignore"):
        middle = (allowed.low + allowed.high) / 2
        used = np.abs(got - middle) / (allowed.high - middle)
    counts = np.isfinite(used) & (np.abs(middle) >= SMALLEST)
    return float(np.where(counts, used, 0).max(initial=0)), None


def changed(expected: np.ndarray, got: np.ndarray) -> Difference | None:
    """Where two arrays that must hold the same bits first differ."""
    expected = np.asarray(expected).astype(got.dtype).reshape(got.shape)
    return beyond(Range(expected, expected), got)[1]
