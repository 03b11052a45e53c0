"""What depends on constants alone is computed as the file is read: shapes, indices, tables, scales.

Nothing grows without bound: a result is as large as a network's tensor at most, and all together take no more room
than the constants of a file may.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from workbench.errors import ModelError
from workbench.frontends.emitter import Operand
from workbench.frontends.onnx.file import Constants, Operator
from workbench.frontends.onnx.shared import array_of, at_most, axes_of

Compute = Callable[..., Any]


def computed(op: Operator, operands: Sequence[Operand | None], room: Constants) -> list[np.ndarray]:
    arrays = [None if each is None else array_of(each, "operands") for each in operands]
    if op.name in ELEMENTWISE:
        shapes = [each.shape for each in arrays if each is not None]
        at_most(np.broadcast_shapes(*shapes) if shapes else ())
    with np.errstate(all="ignore"):
        made = FOLDED[op.name](op.options, *arrays)
    results = [np.asarray(each) for each in (made if isinstance(made, list) else [made])]
    results = [each.astype(np.float32) if each.dtype.kind == "f" else each for each in results]
    room.take(sum(each.nbytes for each in results))
    return results


def _divide(_, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.dtype.kind == "f":
        return a / b
    if not b.all():
        raise ModelError("divides by zero")
    quotient = np.abs(a) // np.abs(b)  # towards zero, as C does
    return np.where((a < 0) != (b < 0), -quotient, quotient).astype(a.dtype)


def _mod(options: dict, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.fmod(a, b) if options.get("fmod") else np.mod(a, b)


def _range(_, start: np.ndarray, limit: np.ndarray, delta: np.ndarray) -> np.ndarray:
    begin, end, step = (each.reshape(()).item() for each in (start, limit, delta))
    if not step or not (count := (end - begin) / step) < 1 << 24:
        raise ModelError(f"a range from {begin} to {end} by {step} is not supported")
    return np.array([begin + at * step for at in range(max(0, int(np.ceil(count))))], start.dtype)


def _of_shape(options: dict, shape: np.ndarray) -> np.ndarray:
    value = options.get("value", np.zeros(1, np.float32))
    return np.full(at_most(shape.reshape(-1).tolist()), np.asarray(value).reshape(-1)[0])


def _constant(options: dict) -> np.ndarray:
    kinds = {"value": None, "value_float": np.float32, "value_floats": np.float32, "value_int": np.int64,
             "value_ints": np.int64}  # fmt: skip
    for name, dtype in kinds.items():
        if options.get(name) is not None:
            return np.asarray(options[name], dtype)
    raise ModelError(f"is not supported with {', '.join(options) or 'no value'}")


def _reduced(function: Callable[..., np.ndarray]) -> Compute:
    def compute(options: dict, x: np.ndarray, axes: np.ndarray | None = None) -> np.ndarray:
        given = options.get("axes") if axes is None else axes.reshape(-1).tolist()
        if not given and options.get("noop_with_empty_axes"):
            return x
        chosen = tuple(axes_of(given, x.ndim)) if given else None
        return np.asarray(function(x, axis=chosen, keepdims=bool(options.get("keepdims", 1)))).astype(x.dtype)

    return compute


def _trilu(options: dict, x: np.ndarray, k: np.ndarray | None = None) -> np.ndarray:
    function = np.triu if options.get("upper", 1) else np.tril
    return function(x, 0 if k is None else int(k.reshape(())))


def _plain(function: Callable[..., Any]) -> Compute:
    def compute(_: dict, *arrays: np.ndarray | None) -> np.ndarray:
        return function(*arrays)

    return compute


def _several(function: Callable[..., Any]) -> Compute:
    def compute(_: dict, *arrays: np.ndarray) -> np.ndarray:
        result = arrays[0]
        for each in arrays[1:]:
            result = function(result, each)
        return result

    return compute


ELEMENTWISE: dict[str, Compute] = {
    "Abs": _plain(np.abs), "Add": _plain(np.add), "And": _plain(np.logical_and), "Ceil": _plain(np.ceil),
    "Cos": _plain(np.cos), "Div": _divide, "Equal": _plain(np.equal), "Exp": _plain(np.exp), "Floor": _plain(np.floor),
    "Greater": _plain(np.greater), "GreaterOrEqual": _plain(np.greater_equal), "Less": _plain(np.less),
    "LessOrEqual": _plain(np.less_equal), "Log": _plain(np.log), "Max": _several(np.maximum),
    "Min": _several(np.minimum), "Mod": _mod, "Mul": _plain(np.multiply), "Neg": _plain(np.negative),
    "Not": _plain(np.logical_not), "Or": _plain(np.logical_or), "Reciprocal": _plain(np.reciprocal),
    "Pow": _plain(lambda a, b: np.power(a, b.astype(a.dtype) if a.dtype.kind == "f" else b).astype(a.dtype)),
    "Round": _plain(np.rint), "Sign": _plain(np.sign), "Sin": _plain(np.sin), "Sqrt": _plain(np.sqrt),
    "Sub": _plain(np.subtract), "Where": _plain(np.where),
}  # fmt: skip
FOLDED: dict[str, Compute] = ELEMENTWISE | {
    "Constant": _constant, "ConstantOfShape": _of_shape, "Range": _range, "Trilu": _trilu,
    "ReduceMax": _reduced(np.max), "ReduceMean": _reduced(np.mean), "ReduceMin": _reduced(np.min),
    "ReduceProd": _reduced(np.prod), "ReduceSum": _reduced(np.sum),
}  # fmt: skip
