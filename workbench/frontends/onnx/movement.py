"""Operators of ONNX files that move data: shapes, parts, padding, tables, resizing."""

from collections.abc import Callable, Sequence
from math import floor, prod

import numpy as np

from workbench.errors import ModelError
from workbench.frontends.emitter import Operand, shape_of
from workbench.frontends.onnx.shared import (
    Call,
    Imported,
    array_of,
    at_most,
    axes_of,
    axis_of,
    each_one,
    scalar_of,
    taken,
    whole_numbers,
)
from workbench.frontends.weight import Weight
from workbench.ir import op as ops
from workbench.ir.build import Value
from workbench.ir.types import Ints

FLOATS = (1, 10, 11)  # float32, float16 and float64, as ONNX numbers them
KINDS = {1: np.float32, 2: np.uint8, 3: np.int8, 5: np.int16, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float32,
         11: np.float32, 12: np.uint32, 13: np.uint64}  # fmt: skip


def same(call: Call, x) -> Operand:
    return each_one(x)


def dropout(call: Call, x, ratio=None, training=None) -> list[Operand]:
    """In inference nothing; its mask keeps all."""
    trains = training is not None and bool(array_of(training, "modes").reshape(-1)[0])
    if trains and scalar_of(ratio, "ratios", 0.5):
        raise ModelError("in training mode is not supported", "export it in evaluation mode")
    return [each_one(x), np.ones(shape_of(x) if any(call.used[1:]) else (), bool)]


def cast(call: Call, x) -> Operand:
    to, x = call.whole("to", 0), each_one(x)
    if to not in KINDS:
        raise ModelError(f"a conversion to type {to} is not supported")
    if not isinstance(x, Value | Weight):
        return x.astype(KINDS[to])
    if to in FLOATS:
        return x
    if isinstance(x, Weight):
        return x.array.astype(KINDS[to])
    if to in (6, 7) and x.name in call.emit.build.inputs:  # indices, which the graph has as real numbers
        return x
    raise ModelError("a conversion of what depends on the input to whole numbers is not supported")


def cast_like(call: Call, x, like) -> Operand:
    if isinstance(like, Value | Weight) or like.dtype == np.float32:
        return each_one(x)
    raise ModelError(f"a conversion to {like.dtype} is not supported")


def shape(call: Call, x) -> np.ndarray:
    sizes = shape_of(each_one(x))
    return np.array(sizes[call.whole("start", 0) : call.option("end")], np.int64)


def size(call: Call, x) -> np.ndarray:
    return np.array(prod(shape_of(each_one(x))), np.int64)


def reshape(call: Call, x, target) -> Operand:
    sizes, now = whole_numbers(target, "sizes"), shape_of(each_one(x))
    if not call.whole("allowzero", 0):
        sizes = [now[at] if size == 0 and at < len(now) else size for at, size in enumerate(sizes)]
    told, asked = call.batches
    if told != asked and (now[:1], sizes[:1]) == ((asked,), [told]):  # it is the batch that the file fixes there
        sizes[0] = asked
    if sizes.count(-1) == 1 and (known := -prod(sizes)) > 0 and prod(now) % known == 0:
        sizes = [prod(now) // known if size == -1 else size for size in sizes]
    if prod(at_most(sizes)) != prod(now):
        raise ModelError(f"{now} does not fit into {tuple(sizes)}")
    return call.emit.reshape(x, sizes, call.label)


def flatten(call: Call, x) -> Operand:
    now = shape_of(each_one(x))
    axis = call.whole("axis", 1)
    axis = len(now) if axis == len(now) else axis_of(axis, len(now))
    return call.emit.reshape(x, (prod(now[:axis]), prod(now[axis:])), call.label)


def squeeze(call: Call, x, axes=None) -> Operand:
    now = shape_of(each_one(x))
    chosen = (
        [at for at, each in enumerate(now) if each == 1]
        if axes is None
        else axes_of(whole_numbers(axes, "axes"), len(now))
    )
    if any(now[axis] != 1 for axis in chosen):
        raise ModelError(f"axes {chosen} of {now} are not all of one element")
    return call.emit.reshape(x, [each for at, each in enumerate(now) if at not in chosen], call.label)


def unsqueeze(call: Call, x, axes) -> Operand:
    given = whole_numbers(axes, "axes")
    rank = len(shape_of(each_one(x))) + len(given)
    new, old = axes_of(given, rank), list(shape_of(x))
    return call.emit.reshape(x, at_most([1 if at in new else old.pop(0) for at in range(rank)]), call.label)


def transpose(call: Call, x) -> Operand:
    rank = len(shape_of(each_one(x)))
    order = [int(each) for each in call.option("perm") or range(rank - 1, -1, -1)]
    if sorted(order) != list(range(rank)):
        raise ModelError(f"axes {order} are not those of {shape_of(x)}, each once")
    return call.emit.transpose(x, order, call.label)


def expand(call: Call, x, target) -> Operand:
    now = shape_of(each_one(x))
    wanted = at_most(np.broadcast_shapes(now, at_most(whole_numbers(target, "sizes"))))
    if prod(wanted) == 0:
        raise ModelError("nothing is left of an axis, which is not supported")
    x = call.emit.reshape(x, (1,) * (len(wanted) - len(now)) + now, call.label)
    if isinstance(x, Value | Weight) and wanted != shape_of(x):
        call.room.take(4 * prod(wanted))  # the zeros that are added
    return call.emit.repeated(x, wanted, call.label)


def tile(call: Call, x, repeats) -> Operand:
    times = whole_numbers(repeats, "repeats")
    if len(times) != len(shape_of(each_one(x))) or min(times, default=1) < 1 or max(times, default=1) > 256:
        raise ModelError(f"repeats of {times[:8]} are not supported of {shape_of(x)}")
    at_most([a * b for a, b in zip(shape_of(x), times, strict=True)])
    for axis, count in enumerate(times):
        x = call.emit.joined([x] * count, axis, call.label) if count > 1 else x
    return x


def concat(call: Call, *parts) -> Operand:
    whole = [each for each in map(each_one, parts) if 0 not in shape_of(each)] or list(parts)
    axis = axis_of(call.whole("axis", 0), len(shape_of(whole[0])))
    at_most([sum(shape_of(each)[axis] for each in whole)])
    return call.emit.joined(whole, axis, call.label)


def split(call: Call, x, sizes=None) -> list[Operand]:
    now = shape_of(each_one(x))
    axis, count = axis_of(call.whole("axis", 0), len(now)), call.results
    if sizes is not None:
        parts = whole_numbers(sizes, "parts")
    else:
        if call.whole("num_outputs", count) != count:
            raise ModelError(f"has {count} results and num_outputs {call.option('num_outputs')}")
        each = -(-now[axis] // count)
        parts = [each] * (count - 1) + [now[axis] - each * (count - 1)]
    if len(parts) != count or sum(parts) != now[axis] or min(parts) < 0:
        raise ModelError(f"{parts[:8]} are not the {count} parts of an axis of {now[axis]}")
    ends = np.cumsum(parts).tolist()
    return [call.emit.part(x, axis, end - each, end, f"{call.label}.{at}" if count > 1 else call.label)
            if each else _nothing(call, now, axis, at)
            for at, (each, end) in enumerate(zip(parts, ends, strict=True))]  # fmt: skip


def _nothing(call: Call, now: Ints, axis: int, at: int) -> np.ndarray:
    if call.used[at]:
        raise ModelError("nothing is left of an axis, which is not supported")
    return np.zeros([0 if each == axis else length for each, length in enumerate(now)], np.float32)


def part(call: Call, x, starts, ends, axes=None, steps=None) -> Operand:
    begins, stops = whole_numbers(starts, "starts"), whole_numbers(ends, "ends")
    rank = len(shape_of(each_one(x)))
    chosen = axes_of(range(len(begins)) if axes is None else whole_numbers(axes, "axes"), rank)
    strides = [1] * len(begins) if steps is None else whole_numbers(steps, "steps")
    if not len(begins) == len(stops) == len(chosen) == len(strides) or 0 in strides:
        raise ModelError(f"its starts, ends, axes and steps are {begins[:8]}, {stops[:8]}, {chosen}, {strides[:8]}")
    for axis, begin, stop, step in zip(chosen, begins, stops, strides, strict=True):
        length = shape_of(x)[axis]
        indices = range(*slice(begin, stop, step).indices(length))
        if indices == range(length):
            continue
        if not isinstance(x, Value | Weight):
            x = np.take(x, indices, axis)
        elif step > 0 and indices:
            x = call.emit.part(x, axis, indices[0], indices[-1] + 1, call.label, step)
        else:
            x = taken(call, x, axis, indices, call.label)
    return x


def gather(call: Call, x, indices) -> Operand:
    """Parts of x by constant numbers; or rows of a table by what the network is given."""
    x, indices = each_one(x), each_one(indices)
    axis = axis_of(call.whole("axis", 0), len(shape_of(x)))
    if isinstance(indices, Value):
        return _embedded(call, x, indices, axis)
    numbers = array_of(indices, "indices")
    wanted = at_most((*shape_of(x)[:axis], *numbers.shape, *shape_of(x)[axis + 1 :]))
    chosen = taken(call, x, axis, whole_numbers(numbers, "indices"), call.label)
    return call.emit.reshape(chosen, wanted, call.label)


def _embedded(call: Call, table: Operand, indices: Value, axis: int) -> Operand:
    emit, label, (now, wide) = call.emit, call.label, (indices.shape, shape_of(table))
    if isinstance(table, Value) or axis or len(wide) != 2:
        raise ModelError("indices that depend on the input are supported of rows of a stored table")
    flat = emit.reshape(indices, (now[0], prod(now[1:])), label)
    y = call.of("embedding", flat, each_one(call.parameter(table, "weight")), label=label)
    return emit.reshape(y, (*now, wide[1]), label)


def pad(call: Call, x, pads, value=None, axes=None) -> Operand:
    mode, rank = call.option("mode", "constant"), len(shape_of(each_one(x)))
    given = whole_numbers(pads, "pads")
    chosen = list(range(rank)) if axes is None else axes_of(whole_numbers(axes, "axes"), rank)
    if len(given) != 2 * len(chosen) or max(map(abs, given), default=0) > 1 << 20:
        raise ModelError(f"its pads are {given[:8]} for {len(chosen)} axes")
    pairs = [(0, 0)] * rank
    for axis, low, high in zip(chosen, given[: len(chosen)], given[len(chosen) :], strict=True):
        pairs[axis] = low, high
    at_most([each + low + high for each, (low, high) in zip(shape_of(x), pairs, strict=True)])
    if mode == "constant":
        return call.emit.padded(x, pairs, call.label, scalar_of(value, "values", 0.0))
    if mode not in REPEATING:
        raise ModelError(f"padding of mode {mode!r} is not supported")
    for axis, (low, high) in enumerate(pairs):
        if low or high:
            x = taken(
                call, x, axis, REPEATING[mode](np.arange(-low, shape_of(x)[axis] + high), shape_of(x)[axis]), call.label
            )
    return x


def _reflected(at: np.ndarray, length: int) -> np.ndarray:
    period = max(1, 2 * (length - 1))
    at = at % period
    return np.where(at < length, at, period - at)


REPEATING = {"edge": lambda at, length: np.clip(at, 0, length - 1), "wrap": lambda at, length: at % length,
             "reflect": _reflected}  # fmt: skip


def resize(call: Call, x, roi=None, scales=None, sizes=None) -> Operand:
    """Nearest pixels, or a product with the weights of neighbours, axis by axis."""
    now, mode = shape_of(each_one(x)), call.option("mode", "nearest")
    if mode not in ("nearest", "linear", "cubic"):
        raise ModelError(f"its mode {mode!r} is not supported")
    if call.whole("antialias", 0) or call.option("coordinate_transformation_mode") == "tf_crop_and_resize":
        raise ModelError("an antialiased or cropping one is not supported")
    axes = axes_of(call.option("axes") or range(len(now)), len(now))
    factors, wanted = _sizes(call, now, axes, scales, sizes)
    at_most([wanted.get(axis, each) for axis, each in enumerate(now)])
    if mode == "nearest" and len(now) == 4 and all(wanted.get(axis, now[axis]) == now[axis] for axis in (0, 1)):
        fitting = _as_one(call, x, factors, wanted)
        if fitting is not None:
            return fitting
    for axis in axes:
        at = _places(call, now[axis], wanted[axis], factors[axis])
        if mode == "nearest":
            if (rows := _nearest(call, at, now[axis])).tolist() != list(range(now[axis])):
                x = taken(call, x, axis, rows.tolist(), call.label)
        elif wanted[axis] != now[axis] or not np.allclose(at, np.arange(now[axis])):
            x = _mixed(call, x, axis, _weights(call, mode, at, now[axis]))
    return x


def _sizes(call: Call, now: Ints, axes: list[int], scales, sizes) -> tuple[dict[int, float], dict[int, int]]:
    if sizes is not None and shape_of(sizes) != (0,):
        wanted = whole_numbers(sizes, "sizes")
        if len(wanted) != len(axes) or min(wanted) < 1:
            raise ModelError(f"its sizes are {wanted[:8]} for {len(axes)} axes")
        factors = [each / now[axis] for axis, each in zip(axes, wanted, strict=True)]
        policy = call.option("keep_aspect_ratio_policy", "stretch")
        if policy != "stretch":
            factor = min(factors) if policy == "not_larger" else max(factors)
            wanted = [floor(now[axis] * factor + 0.5) for axis in axes]
            factors = [factor] * len(axes)
    else:
        factors = [float(each) for each in array_of(scales, "scales").reshape(-1)]
        if len(factors) != len(axes) or not all(0 < each < 1e6 for each in factors):
            raise ModelError(f"its scales are {factors[:8]} for {len(axes)} axes")
        wanted = [floor(now[axis] * each) for axis, each in zip(axes, factors, strict=True)]
    if min(wanted) < 1:
        raise ModelError("nothing is left of an axis, which is not supported")
    return dict(zip(axes, factors, strict=True)), dict(zip(axes, wanted, strict=True))


def _places(call: Call, length: int, wanted: int, factor: float) -> np.ndarray:
    """Where in x each element of the result is."""
    mode, at = call.option("coordinate_transformation_mode", "half_pixel"), np.arange(wanted, dtype=np.float64)
    if mode == "half_pixel":
        return (at + 0.5) / factor - 0.5
    if mode == "pytorch_half_pixel":
        return (at + 0.5) / factor - 0.5 if wanted > 1 else np.zeros(1)
    if mode == "half_pixel_symmetric":
        middle, exact = length / 2, length * factor
        return middle * (1 - wanted / exact) + (at + 0.5) / factor - 0.5
    if mode == "align_corners":
        exact = length * factor
        return at * (length - 1) / (exact - 1) if exact > 1 else np.zeros(wanted)
    if mode == "asymmetric":
        return at / factor
    raise ModelError(f"its coordinates {mode!r} are not supported")


def _nearest(call: Call, at: np.ndarray, length: int) -> np.ndarray:
    mode = call.option("nearest_mode", "round_prefer_floor")
    ways: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "round_prefer_floor": lambda v: np.ceil(v - 0.5), "round_prefer_ceil": lambda v: np.floor(v + 0.5),
        "floor": np.floor, "ceil": np.ceil,
    }  # fmt: skip
    if mode not in ways:
        raise ModelError(f"its nearest_mode {mode!r} does not exist")
    return np.clip(ways[mode](np.round(at, 9)), 0, length - 1).astype(np.int64)


def _as_one(call: Call, x: Operand, factors: dict[int, float], wanted: dict[int, int]) -> Operand | None:
    """One operator that repeats pixels, where it has a form that repeats the same ones."""
    now = shape_of(x)
    size = tuple(wanted.get(axis, now[axis]) for axis in (2, 3))
    if size == now[2:]:
        return x
    rows, columns = (_nearest(call, _places(call, now[axis], size[axis - 2], factors.get(axis, 1.0)), now[axis])
                     for axis in (2, 3))  # fmt: skip
    pixels = np.arange(prod(now[2:]), dtype=np.float32).reshape(1, 1, *now[2:])
    expected, kind = pixels[:, :, rows][..., columns], ops.by_short_name("resize_nearest")
    assert kind is not None
    for corners, half in ((False, False), (False, True), (True, False), (True, True)):
        how = kind.complete({"size": size, "align_corners": corners, "half_pixel_centers": half})
        if np.array_equal(kind.evaluate(pixels, **how), expected):
            return call.of("resize_nearest", x, label=call.label, **how)
    return None


def _weights(call: Call, mode: str, at: np.ndarray, length: int) -> np.ndarray:
    """(elements of the result, elements of x)."""
    reach = 1 if mode == "linear" else 2
    first = np.floor(at).astype(np.int64)
    weights = np.zeros(at_most((len(at), length)))
    for offset in range(1 - reach, 1 + reach):
        distance = np.abs(at - first - offset)
        share = 1 - distance if mode == "linear" else _cubic(distance, call.number("cubic_coeff_a", -0.75))
        index = first + offset
        if call.whole("exclude_outside", 0):
            share = np.where((index < 0) | (index >= length), 0, share)
        np.add.at(weights, (np.arange(len(at)), np.clip(index, 0, length - 1)), share)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def _cubic(x: np.ndarray, a: float) -> np.ndarray:
    """Keys 1981, "Cubic convolution interpolation"."""
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    return np.where(x <= 1, near, ((a * x - 5 * a) * x + 8 * a) * x - 4 * a)


def _mixed(call: Call, x: Operand, axis: int, weights: np.ndarray) -> Operand:
    """Along an axis, sums of its elements by these weights."""
    emit, label, rank = call.emit, call.label, len(shape_of(x))
    order = [*(at for at in range(rank) if at != axis), axis]
    y = emit.linear(emit.transpose(x, order, label), weights, None, f"{label}.{axis}")
    return emit.transpose(y, np.argsort(order).tolist(), label)


def depth_to_space(call: Call, x) -> Operand:
    (n, c, height, width), block = shape_of(each_one(x)), call.whole("blocksize", 1)
    if block < 1 or c % block**2:
        raise ModelError(f"blocks of {block} do not divide the channels of {shape_of(x)}")
    columns_first = call.option("mode", "DCR") == "DCR"
    apart = (
        (n, block, block, c // block**2, height, width)
        if columns_first
        else (n, c // block**2, block, block, height, width)
    )
    y = call.emit.reshape(x, apart, call.label)
    y = call.emit.transpose(y, (0, 3, 4, 1, 5, 2) if columns_first else (0, 1, 4, 2, 5, 3), call.label)
    return call.emit.reshape(y, (n, c // block**2, height * block, width * block), call.label)


def space_to_depth(call: Call, x) -> Operand:
    (n, c, height, width), block = shape_of(each_one(x)), call.whole("blocksize", 1)
    if block < 1 or height % block or width % block:
        raise ModelError(f"blocks of {block} do not divide {shape_of(x)}")
    y = call.emit.reshape(x, (n, c, height // block, block, width // block, block), call.label)
    y = call.emit.transpose(
        y, (0, 3, 5, 1, 2, 4) if call.option("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4), call.label
    )
    return call.emit.reshape(y, (n, c * block**2, height // block, width // block), call.label)


KEEP: Sequence[str] = ("Cast", "Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
OPERATORS = {
    "Cast": Imported(cast, "between real numbers; of constants any"),
    "CastLike": Imported(cast_like, "between real numbers"),
    "Concat": Imported(concat, "along any axis"),
    "DepthToSpace": Imported(depth_to_space, "both orders"),
    "Dropout": Imported(dropout, "in inference: nothing"),
    "Expand": Imported(expand, "along axes of one element"),
    "Flatten": Imported(flatten, "at any axis"),
    "Gather": Imported(gather, "of constant indices; rows of a table by the network's input"),
    "Identity": Imported(same, "nothing"),
    "Pad": Imported(pad, "any axes; constant, edge, reflect and wrap"),
    "Reshape": Imported(reshape, "to a constant shape"),
    "Resize": Imported(resize, "nearest, linear, cubic; not antialiased, not cropping"),
    "Shape": Imported(shape, "a constant"),
    "Size": Imported(size, "a constant"),
    "Slice": Imported(part, "of any axes, any steps"),
    "SpaceToDepth": Imported(space_to_depth, "any block"),
    "Split": Imported(split, "into constant parts"),
    "Squeeze": Imported(squeeze, "of any axes"),
    "Tile": Imported(tile, "along any axes"),
    "Transpose": Imported(transpose, "any order of axes"),
    "Unsqueeze": Imported(unsqueeze, "of any axes"),
}
