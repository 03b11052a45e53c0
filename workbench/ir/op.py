"""Op: all that the workbench knows of one operator, and the registry of them (workbench/ops, a file each)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from inspect import Signature, signature
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from workbench.errors import GraphError, ShapeError
from workbench.ir.graph import Node
from workbench.ir.kernel import Footprint, Kernel, Refusal, at_once
from workbench.ir.ranges import Range, Within, same_bits
from workbench.ir.types import TensorType

if TYPE_CHECKING:
    from workbench.ir.build import Value

Attrs = Mapping[str, Any]
Types = TensorType | tuple[TensorType, ...]  # of one result, or of several
Arrays = np.ndarray | tuple[np.ndarray, ...]
Ties = tuple[Mapping[int, str], ...] | None
GradRule = Callable[..., "Value"]
Samples = Callable[[np.random.Generator], "Sequence[Sample]"]

REQUIRED = object()  # an attribute without a default
UNMEASURED = 5, 7  # instructions of an operator whose own were not counted


@dataclass(frozen=True)
class Int8Form:
    """What a float32 operator becomes where a network is made int8 (see quantize/post_training).

    how          a "layer", with the bias and the activation behind it; a sum, a difference or a product "of two", each
                 operand in its own scale; a "table" of 256 results; an "average"; operands "joined" in one scale;
                 "padded" in the operand's scale; or "unchanged": the operator takes int8 as it takes floats
    operator     the int8 operator "of two"
    window       the attributes that a layer has in both forms
    of_pixels    a layer that is dense, its int8 form a convolution over one pixel
    transposed   a layer that is a transposed convolution: its float32 filters have the input channels first
    bounded      the scale and the zero point that hold every result a table can have; None: what was seen decides
    number       from **attrs the number that a table's function has besides its name
    """

    how: Literal["layer", "of two", "table", "average", "joined", "padded", "unchanged"]
    operator: str = ""
    window: tuple[str, ...] = ()
    of_pixels: bool = False
    transposed: bool = False
    bounded: tuple[float, int] | None = None
    number: Callable[..., float] = lambda **_: 0.0


@dataclass(frozen=True)
class Packing:
    """pack(values, *types, **attrs) gives None for weights that cannot be packed; `unpack` what it was given."""

    pack: Callable[..., np.ndarray | None]
    unpack: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Sample:
    """One case to test an operator with: operands as numpy arrays (float ones are differentiated), and attributes.

    `layouts`: operand index -> its layout, where it is not stored in logical order. `over`: result index -> index of
    the operand whose storage it takes over.
    """

    operands: tuple[np.ndarray, ...]
    attrs: Attrs = field(default_factory=dict)
    layouts: Mapping[int, str] = field(default_factory=dict)
    over: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Op:
    """One operator.

    infer(*types, **attrs)       -> result type(s); raises ShapeError for operands that do not fit
    evaluate(*arrays, **attrs)   -> result(s) in numpy; the definition of truth, in the dtype of its float operands
    within(*ranges, **attrs)     -> the range(s) in which the results of the C code must lie, given the ranges of its
                                 operands (see ir/ranges.py); None: C rounds as `evaluate` does, so the bits are equal
    grads[i](build, dy, *operands, y=results, **attrs) -> gradient of operand i as graph, or None where there is none;
                                 `dy` belongs to the first result
    variadic                     takes any number of operands ≥ 1: the one rule of `grads` gets `index` besides
    attrs                        name -> default, or REQUIRED; in the order they are printed
    training                     attributes a forward node takes when its gradient is wanted (a saved argmax)
    masked                       the gradient operator that needs of this one's result only the bits of `mask=True`
    by_mask                      of such a gradient operator: the one that reads those bits in place of operand 1
    takes                        must-alias: result i always takes over the storage of operand takes[i]; or a function
                                 of the attributes, which gives None for a result with storage of its own
    dtypes                       operand index -> dtypes it may have, where that is not float32; None: whatever
                                 `infer` allows
    layouts                      what storage it works on: "" row-major only; "same": any, one for all operands and
                                 results (elementwise); "any": `infer` decides (layout_transform)
    view                         the result is operand 0's storage under another shape
    over(node, types, index, operand)
                                 may-alias: whether result `index` of a node may be written over an operand (by name);
                                 `types`: the graph's, by value. None: what its kernel says of the first result
    epilogue                     what a weighted layer's own node can do at its end instead of this operator: "bias", or
                                 the activation called so
    function                     the function of one element that it is, by the name that int8 tables know it by
    tabulated                    the operand that holds its function as a table, where it has none of its own
    int8                         what it becomes where a float32 network is made int8; None: it has no int8 form
    adds                         its result is the sum of its two operands
    affine                       the operands in each of which alone it is a scale and a shift, element by element
    onto                         the operand that its sums may begin at, the last one, where a node has it
    phase                        "update" or "backward" where the operator decides it, "" where its place does
    loss                         the loss that it computes, as an objective calls it: a scalar at which differentiation
                                 starts, so that its grads are called with dy=None, meaning 1; "": none
    parameters                   operand index -> "weight" or "bias", for policies; "scale" (of int8), "constant": never
                                 updated; "factor" or "term" of an elementwise operator: see autodiff.role_of
    delta                        the operand, behind all others, in which it takes the change of its int32 bias, stored
                                 as its attribute `wide` says (see ir/deltas); None: it takes none
    units(build, index, *operands, **attrs)
                                 the real number that one step of a quantized parameter (operand `index`) is worth: a
                                 value that holds a scale a filter, and a factor; None: parameters are real numbers
    part(*types, **attrs)        (axis, unit): the first k elements of the weight along `axis` can be updated alone, k a
                                 multiple of `unit`; the gradient rule then gives the gradient of that part
    packs                        operand index -> Packing: frozen weights as the kernel reads them quickest, in the same
                                 room; the node then has the attribute `packed=True`
    ties(*types, **attrs)        which axes hold the same channels: for each operand and result, axis -> a name; axes of
                                 one name may be permuted together. None: the order of the channels has a meaning
    keeps                        its result is the part of its operand that the backward needs: it runs right after the
                                 operand's last forward reader, so that the rest of the operand is freed there
    macs(*types, **attrs)        multiply-accumulates
    instructions                 per multiply-accumulate, and per element: fitted to what was counted on a Cortex-M4
                                 (see study/instructions); UNMEASURED unless it was
    samples(rng)                 list of Sample
    simpler(*types, **attrs)     the name and the attributes of a simpler operator that does the same to these operands,
                                 or None
    footprint(tile, *types, **attrs)
                                 what it needs for a Tile of its result, a Footprint; or a Refusal
    """

    name: str
    infer: Callable[..., Types]
    evaluate: Callable[..., Arrays]
    samples: Samples
    within: Within | None = None
    grads: tuple[GradRule | None, ...] = ()
    variadic: bool = False
    attrs: Attrs = field(default_factory=dict)
    training: Attrs = field(default_factory=dict)
    masked: str = ""
    by_mask: str = ""
    takes: tuple[int, ...] | Callable[..., tuple[int | None, ...]] = ()
    dtypes: Mapping[int, tuple[str, ...]] | None = field(default_factory=dict)
    layouts: str = ""
    view: bool = False
    over: Callable[..., bool] | None = None
    epilogue: str = ""
    function: str = ""
    tabulated: int | None = None
    int8: Int8Form | None = None
    adds: bool = False
    affine: tuple[int, ...] = ()
    onto: int | None = None
    phase: str = ""
    loss: str = ""
    parameters: Mapping[int, str] = field(default_factory=dict)
    delta: int | None = None
    packs: Mapping[int, Packing] = field(default_factory=dict)
    units: Callable[..., "tuple[Value, float]"] | None = None
    part: Callable[..., tuple[int, int] | None] | None = None
    ties: Callable[..., Ties] | None = None
    keeps: bool = False
    macs: Callable[..., int] = lambda *_, **__: 0
    instructions: tuple[float, float] = UNMEASURED
    kernel: Kernel | None = None
    simpler: Callable[..., tuple[str, Attrs] | None] | None = None
    footprint: Callable[..., Footprint | Refusal] = at_once

    def ranges(self, *operands: Range, **attrs: Any) -> tuple[Range, ...]:
        """The ranges in which the results of the C code must lie, given the ranges of its operands."""
        given = (self.within or same_bits(self.evaluate))(*operands, **attrs)
        return (given,) if isinstance(given, Range) else tuple(given)

    def inferred(self, *operands: TensorType, **attrs: Any) -> tuple[TensorType, ...]:
        """What `infer` gives, one result as a tuple too."""
        given = self.infer(*operands, **attrs)
        return given if isinstance(given, tuple) else (given,)

    def evaluated(self, *operands: np.ndarray, **attrs: Any) -> tuple[np.ndarray, ...]:
        """What `evaluate` gives, one result as a tuple too."""
        given = self.evaluate(*operands, **attrs)
        return given if isinstance(given, tuple) else (given,)

    @property
    def runs_alone(self) -> bool:
        """Whether its kernel makes all of its result. Not so a view, which has no kernel, and what works inside regions
        only."""
        return self.kernel is not None and self.kernel.whole

    @property
    def needed_kernel(self) -> Kernel:
        """The kernel. Raises GraphError where there is none."""
        if self.kernel is None:
            raise GraphError(f"{self.name} has no kernel")
        return self.kernel

    @property
    def needed_int8(self) -> Int8Form:
        """The int8 form. Raises GraphError where there is none."""
        if self.int8 is None:
            raise GraphError(f"{self.name} has no int8 form")
        return self.int8

    def taken(self, attrs: Attrs) -> tuple[int | None, ...]:
        """Must-alias: for each of the first results the index of the operand whose storage it always takes over."""
        return self.takes(**attrs) if callable(self.takes) else self.takes

    def can_take(self, operands: tuple[str, ...]) -> tuple[str, ...]:
        """May-alias: the operands whose storage the first result may take over. Not one that is another operand too."""
        in_place = self.kernel.in_place if self.kernel else ()
        others = {name for index, name in enumerate(operands) if index not in in_place}
        able = (operands[index] for index in in_place if index < len(operands))
        return tuple(name for name in able if name not in others)

    def may_take(self, node: Node, types: Mapping[str, TensorType], index: int, operand: str) -> bool:
        """Whether result `index` of a node may take over the storage of an operand, by must-alias or by may-alias."""
        taken = self.taken(node.attrs)[index : index + 1]
        if any(at is not None and node.operands[at] == operand for at in taken):
            return True
        if self.over is not None:
            return self.over(node, types, index, operand)
        return index == 0 and operand in self.can_take(node.operands)

    def grad(self, index: int) -> GradRule | None:
        """The gradient rule of operand `index`; None where there is none."""
        if self.variadic:
            return partial(self.grads[0], index=index) if self.grads and self.grads[0] else None
        return self.grads[index] if index < len(self.grads) else None

    def result_types(self, types: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        try:
            _signature(self.infer).bind(*types, **attrs)
        except TypeError as error:
            raise GraphError(f"{self.name}: {error}; it was given {len(types)} operands") from None
        self._check_dtypes(types)
        layout = self._common_layout(types)
        results = self.inferred(*types, **attrs)
        return tuple(replace(kind, layout=layout or kind.layout, needs_grad=False) for kind in results)

    def _check_dtypes(self, types: Sequence[TensorType]) -> None:
        if self.dtypes is None:
            return
        for index, kind in enumerate(types):
            allowed = self.dtypes.get(index, ("float32",))
            if not self.view and kind.dtype not in allowed:
                raise ShapeError(f"{self.name}: operand {index} is {' or '.join(allowed)}; got {kind}")

    def _common_layout(self, types: Sequence[TensorType]) -> str:
        """The layout that operands and results share; "" is row-major."""
        layouts = {kind.layout for kind in types if kind.rank}
        if self.layouts == "any" or layouts <= {""}:
            return ""
        if self.layouts != "same" or len(layouts) > 1:
            wanted = "operands of one layout" if self.layouts == "same" else "row-major storage"
            raise ShapeError(f"{self.name} needs {wanted}; got {', '.join(map(str, types))}: see layout_transform")
        return layouts.pop()

    def complete(self, attrs: Attrs) -> dict[str, Any]:
        """`attrs` with the defaults filled in. Raises GraphError for an unknown or a missing one."""
        unknown = set(attrs) - set(self.attrs)
        if unknown:
            raise GraphError(f"{self.name} has no attribute {', '.join(sorted(unknown))}")
        full = {key: attrs.get(key, default) for key, default in self.attrs.items()}
        missing = [key for key, value in full.items() if value is REQUIRED]
        if missing:
            raise GraphError(f"{self.name} needs {', '.join(missing)}")
        return {key: _plain(value) for key, value in full.items()}


@cache
def _signature(infer: Callable[..., Any]) -> Signature:
    return signature(infer)


def _plain(value: Any) -> Any:
    """Lists as tuples, numpy's numbers as Python's."""
    if isinstance(value, list | tuple):
        return tuple(_plain(each) for each in value)
    return value.item() if isinstance(value, np.generic) else value


def channelwise(*operands: TensorType, **_: Any) -> tuple[dict[int, str], ...]:
    """`Op.ties` of an operator that treats each channel by itself: axis 1 of all operands and of the result."""
    return ({1: "channel"},) * (len(operands) + 1)


_REGISTRY: dict[str, Op] = {}


def register(op: Op) -> Op:
    """Add `op`; its name must be new."""
    if op.name in _REGISTRY:
        raise GraphError(f"operator {op.name} is registered twice")
    _REGISTRY[op.name] = op
    return op


def get(name: str) -> Op:
    """The operator called `name`. Raises GraphError where there is none."""
    if name not in _REGISTRY:
        raise GraphError(f"there is no operator {name!r}", "`workbench ops` lists them")
    return _REGISTRY[name]


def by_short_name(name: str) -> Op | None:
    """'conv2d' -> nn.conv2d."""
    return _REGISTRY.get(name) or _REGISTRY.get(f"nn.{name}")


def of_loss(loss: str) -> Op:
    """The operator that computes the loss of this name. Raises GraphError where there is none."""
    found = next((op for op in _REGISTRY.values() if op.loss == loss), None)
    if not loss or found is None:
        raise GraphError(f"no operator computes the loss {loss!r}")
    return found


def registered() -> dict[str, Op]:
    """Every operator by name, sorted."""
    return dict(sorted(_REGISTRY.items()))
