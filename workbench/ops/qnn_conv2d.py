"""qnn.conv2d: an int8 convolution, y = clip(y_zero_point + (Σ (x - x_zero_point) · w + b) · factor).

`m` holds each filter's factor (qnn.requantization), made from the scales s of w. Elements beyond the image stand for 0.
A dense layer is one over an image of a single pixel. A trained bias may be kept as a delta: what it changed by is
then operand 4, and is added to b (see ir/deltas).

`packed` weights are frozen ones whose filters lie in pairs (gemm_s8.h): halves of words 256 · w + v.

Backward, with g = s · dy where the mask's bit is set (qnn.through_clip):

    dx = conv2d_transpose(g, w)        dw = x_scale · Σ g · (x - x_zero_point)        db = x_scale · Σ g
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from workbench.errors import GraphError, ShapeError
from workbench.ir.build import Builder, Value, Values
from workbench.ir.kernel import Footprint, Kernel, Tile, along
from workbench.ir.labels import GRADIENT
from workbench.ir.op import Arrays, Attrs, Op, Packing, Sample, Ties, Types, register
from workbench.ir.types import Ints, TensorType
from workbench.ops import conv2d
from workbench.ops._deltas import places, require_delta, sample_of, whole_bias
from workbench.ops._quantized import ATTRS, FORMS, check, clipped, multiplied, multiplier, result
from workbench.ops._schedule import SCHEDULE, read, require_schedule
from workbench.ops.strided_slice import first_channels

WINDOW = ("strides", "padding", "dilation", "groups", "kernel_size")


def infer(x: TensorType, w: TensorType, b: TensorType, m: TensorType, delta: TensorType | None = None, *,
          x_scale: float, x_zero_point: int, y_scale: float, y_zero_point: int, clip: Ints, form: str, mask: bool,
          wide: Ints, packed: bool = False, schedule: str = "", **attrs: Any) -> Types:  # fmt: skip
    check("qnn.conv2d", x, x_scale, x_zero_point)
    require_delta("qnn.conv2d", b, delta, wide)
    sums = conv2d.sums_type(x, w, **attrs)
    if b.shape != w.shape[:1] or m.shape != (2, w.shape[0]):
        raise ShapeError(f"qnn.conv2d: w is {w}, so b needs ({w.shape[0]},) and m (2, {w.shape[0]}); got {b}, {m}")
    if packed and (w.needs_grad or not pairs(x, w, **attrs)):
        raise ShapeError(f"qnn.conv2d: the filters of {w} cannot lie in pairs")
    require_schedule("qnn.conv2d", schedule, choices(x, w, packed=packed, **attrs) if schedule else {})
    return result("qnn.conv2d", sums.shape, y_scale, y_zero_point, clip, form, mask)


def evaluate(x: np.ndarray, w: np.ndarray, b: np.ndarray, m: np.ndarray, delta: np.ndarray | None = None, *,
             x_zero_point: int, y_zero_point: int, clip: Ints, form: str, mask: bool, x_scale: float, y_scale: float,
             channels: int, wide: Ints, packed: bool = False, schedule: str = "",
             **attrs: Any) -> Arrays:  # fmt: skip
    w = unpacked(w) if packed else w
    # float64 holds these sums exactly: they are those of an int32
    acc = conv2d.convolved(x.astype(np.float64) - x_zero_point, w.astype(np.float64), **attrs).astype(np.int64)
    factor = m.reshape(2, 1, -1, 1, 1)
    scaled = multiplied(acc + whole_bias(b, delta, wide).reshape(1, -1, 1, 1), factor[0], factor[1], form)
    return clipped(scaled, y_zero_point, clip, mask)


def _window(attrs: Attrs) -> Attrs:
    return {key: attrs[key] for key in (*WINDOW, "channels")}


def scales(build: Builder, m: Value) -> Value:
    """The scales of the filters, from which `m` was computed."""
    table = build.producer(m)
    if table is None or table.op != "qnn.requantization":
        raise GraphError(f"to train qnn.conv2d the scales of its filters are needed: %{m.name} is not made by "
                         "qnn.requantization")  # fmt: skip
    return build.value(table.operands[0])


def sums_gradient(build: Builder, dy: Value, m: Value, y: Values) -> Value:
    """The gradient of a layer's real sums, times s, given the gradient of its result."""
    layer = build.producer(y[0])
    label = layer.label if layer else ""
    return build.shared("qnn.through_clip", dy, y[1], scales(build, m), label=label and f"{GRADIENT}{label}.sums")


def grad_x(
    build: Builder, dy: Value, x: Value, w: Value, b: Value, m: Value, *_: Value, y: Values, **attrs: Any
) -> Value:
    g = sums_gradient(build, dy, m, y)
    rest = conv2d.rest_of(x, *(attrs[key] for key in ("padding", "dilation", "kernel_size", "strides")))
    window = {key: attrs[key] for key in WINDOW}
    return build.op("qnn.conv2d_transpose", g, w, channels=x.shape[1], output_padding=rest, **window)


def grad_w(build: Builder, dy: Value, x: Value, w: Value, b: Value, m: Value, *_: Value, y: Values, x_scale: float,
           x_zero_point: int, **attrs: Any) -> Value:  # fmt: skip
    g, kept, groups = sums_gradient(build, dy, m, y), w.type.updated.shape, attrs["groups"]
    if groups == 1:
        x = first_channels(build, x, kept[1])
    else:
        g, x = first_channels(build, g, kept[0]), first_channels(build, x, x.shape[1] * kept[0] // w.shape[0])
        groups = groups * kept[0] // w.shape[0]
    window = {key: attrs[key] for key in WINDOW} | {"groups": groups}
    return build.op("qnn.conv2d_backward_weight", g, x, x_scale=x_scale, x_zero_point=x_zero_point, **window)


def grad_b(
    build: Builder, dy: Value, x: Value, w: Value, b: Value, m: Value, *_: Value, y: Values, x_scale: float, **__: Any
) -> Value:
    return build.sum(sums_gradient(build, dy, m, y), axis=(0, 2, 3), times=x_scale)


def units(
    build: Builder, index: int, x: Value, w: Value, b: Value, m: Value, *_: Value, x_scale: float, **__: Any
) -> tuple[Value, float]:
    """A step of w is worth s, a step of b is worth x_scale · s."""
    return scales(build, m), 1.0 if index == 1 else x_scale


def macs(x: TensorType, w: TensorType, *_: TensorType, **attrs: Any) -> int:
    return conv2d.sums_type(x, w, **_window(attrs)).elements * w.elements // w.shape[0]


@dataclass(frozen=True)
class Quantized:
    """wb_quantized: zero points of x and y, the clip of y, and the form of the factors."""

    zero_x: int
    zero_y: int
    low: int
    high: int
    form: str


def quantized(*, x_zero_point: int, y_zero_point: int, clip: Ints, form: str, **_: Any) -> Quantized:
    """From the attributes of a layer."""
    low, high = clip
    return Quantized(x_zero_point, y_zero_point, low, high, FORMS[form])


@dataclass(frozen=True)
class Conv2dS8:
    """wb_conv2d_s8. `wide`: see _deltas.places; `pixels`, `rows`: of which columns, or rows of a channel, are laid out
    at a time for the whole result; and for a tile of it, beside which buffers of a region lie. 0: none is laid out.
    `packed`: the weights."""

    sizes: conv2d.Conv2d
    numbers: Quantized
    wide: str
    pixels: int
    tile_pixels: int
    rows: int
    tile_rows: int
    packed: bool


ROWS, TILE_ROWS = 480, 0  # by rule, bytes of a channel that more than a row of outputs may take
TAPS = 8  # WB_DEPTHWISE_TAPS of depthwise_s8.h
COLUMNS, TILE_COLUMNS = 512, 256  # by rule, bytes of columns that more than four pixels may take
MOST_COLUMNS = 8192  # bytes of columns that any schedule may take


def choices(
    x: TensorType, w: TensorType, *_: TensorType, packed: bool = False, **attrs: Any
) -> dict[str, tuple[int, ...]]:
    """`rows` of outputs for which a channel is laid out, for filters that see one channel; for all others, of how many
    `pixels` the columns are: some, where weights are packed."""
    sizes = sizes_of(x, w, **attrs)
    if sizes.channels == 1:
        most = sizes.out_height if has_rows(sizes) else 0
        return {"rows": (0, *_some(1, most))} if most else {}
    if one_pixel(sizes):
        return {}
    column, pixels = sum(column_of(w, attrs["groups"])), sizes.out_height * sizes.out_width
    fours = _some(1, max(1, min(-(-pixels // 4), MOST_COLUMNS // (8 * column))))
    as_it_lies = len(column_of(w, attrs["groups"])) == 1 and not packed
    return {"pixels": (*[0] * as_it_lies, *(4 * count for count in fours))}


def _some(first: int, last: int) -> list[int]:
    """The numbers from `first` to `last` that are a power of two, or half as much more; and `last`."""
    steps = (2**power * factor // 2 for power in range(12) for factor in (2, 3))
    return sorted({*(number for number in steps if first <= number < last), last})


def parameters(x: TensorType, w: TensorType, b: TensorType, *_: TensorType, wide: Ints, packed: bool = False,
               schedule: str = "", **attrs: Any) -> Conv2dS8:  # fmt: skip
    sizes = sizes_of(x, w, **attrs)
    chosen, column = read(schedule), column_of(w, attrs["groups"])
    pixels, tile_pixels = (pixels_at_a_time(sizes, column, most, chosen) for most in (COLUMNS, TILE_COLUMNS))
    rows, tile_rows = (rows_at_a_time(sizes, most, chosen) for most in (ROWS, TILE_ROWS))
    wides = places(b.elements, wide)
    return Conv2dS8(sizes, quantized(**attrs), wides, pixels, tile_pixels, rows, tile_rows, packed)


def pairs(x: TensorType, w: TensorType, **attrs: Any) -> bool:
    """Whether the kernel can take filters in pairs: an even number of them, of whole words; and it computes one pixel
    for four filters at a time."""
    sizes = sizes_of(x, w, **attrs)
    filters, length = w.shape[0], w.elements // w.shape[0]
    return (
        sizes.groups == 1 < sizes.channels and filters % 2 == length % 4 == 0 and (filters > 2 or not one_pixel(sizes))
    )


def pack(values: np.ndarray, x: TensorType, w: TensorType, *_: TensorType, x_zero_point: int, **attrs: Any
         ) -> np.ndarray | None:  # fmt: skip
    """Filters v and w as halves 256 · w + v; None where these do not go into int16, or the sum of w into 24 bits."""
    if not pairs(x, w, **_window(attrs)):
        return None
    first, second = values.reshape(-1, 2, w.elements // w.shape[0]).astype(np.int32).swapaxes(0, 1)
    both = 256 * second + first
    up, down = np.maximum(second, 0).sum(axis=1), np.minimum(second, 0).sum(axis=1)
    low, high = -128 - x_zero_point, 127 - x_zero_point
    most = np.maximum(np.abs(up * high + down * low), np.abs(up * low + down * high))
    if both.min() < -(2**15) or most.max() >= 2**23:
        return None
    words = both.astype(np.int16).reshape(len(both), -1, 2, 2).swapaxes(2, 3)  # channels 0 and 2, then 1 and 3
    return np.ascontiguousarray(words).view(np.int8).reshape(values.shape)


def unpacked(values: np.ndarray) -> np.ndarray:
    """What `pack` was given."""
    words = (
        np.ascontiguousarray(values).reshape(len(values) // 2, -1).view(np.int16).reshape(len(values) // 2, -1, 2, 2)
    )
    both = words.swapaxes(2, 3).reshape(len(words), -1)
    first = both.astype(np.int8)
    second = (both.astype(np.int32) - first >> 8).astype(np.int8)
    return np.stack([first, second], axis=1).reshape(values.shape)


def sizes_of(x: TensorType, w: TensorType, **attrs: Any) -> conv2d.Conv2d:
    return conv2d.sizes(x, w, **_window(attrs))


def column_of(w: TensorType, groups: int) -> list[int]:
    """The bytes of int8 that a filter meets at a pixel, in whole words, by parts of a split weight."""
    kept = conv2d.kept(w, groups) if groups == 1 else 0
    return [4 * -(-part * w.shape[2] * w.shape[3] // 4) for part in (kept, w.shape[1] - kept) if part]


def pixels_at_a_time(sizes: conv2d.Conv2d, column: list[int], most: int, chosen: Mapping[str, int]) -> int:
    fours = min(4, sizes.out_height * sizes.out_width // 4)
    return chosen.get("pixels", 4 * max(1, min(fours, most // (8 * sum(column)))))


def rows_of_channel(sizes: conv2d.Conv2d, rows: int) -> int:
    """The bytes of what so many rows of outputs read of a channel, with zero around it (depthwise_s8.h)."""
    window = sizes.window
    pitch = (4 * -(-sizes.out_width // 4) * window.sw + window.kw + 7) // 4 * 4
    return ((rows - 1) * window.sh + window.kh) * pitch


def has_rows(sizes: conv2d.Conv2d) -> bool:
    """Whether its windows are such as depthwise_s8.h knows."""
    return sizes.channels == 1 == sizes.window.dh * sizes.window.dw and sizes.window.kw <= TAPS


def rows_at_a_time(sizes: conv2d.Conv2d, most: int, chosen: Mapping[str, int]) -> int:
    """For filters that see one channel. 0: their windows are taken as they lie."""
    if not has_rows(sizes):
        return 0
    rows = sizes.out_height
    while rows > 1 and rows_of_channel(sizes, rows) > most:
        rows -= 1
    return chosen.get("rows", rows)


def is_pointwise(sizes: conv2d.Conv2d) -> bool:
    """Whether each output's window is the pixel in its place."""
    window, out = sizes.window, (sizes.out_height, sizes.out_width)
    return window.kh * window.kw == window.sh == window.sw == 1 and (sizes.in_height, sizes.in_width) == out


def one_pixel(sizes: conv2d.Conv2d) -> bool:
    return is_pointwise(sizes) and sizes.in_height * sizes.in_width == 1


def scratch(x: TensorType, w: TensorType, *_: TensorType, **attrs: Any) -> int:
    return laid_out(x, w, ROWS, COLUMNS, **attrs)


def laid_out(
    x: TensorType,
    w: TensorType,
    most_rows: int,
    most_columns: int,
    *,
    schedule: str = "",
    packed: bool = False,
    **attrs: Any,
) -> int:
    """The columns of some pixels as int16, and one of them as int8 where windows are no pixels in a row of fours; of a
    layer of one pixel, its column alone. Of filters that see one channel, some rows of it and the words of a filter."""
    sizes, chosen = sizes_of(x, w, **attrs), read(schedule)
    if sizes.channels == 1:
        rows = rows_at_a_time(sizes, most_rows, chosen)
        return rows_of_channel(sizes, rows) + 2 * TAPS * sizes.window.kh if rows else 0
    column = column_of(w, attrs["groups"])
    if one_pixel(sizes):
        return 2 * sum(column)
    pixels = pixels_at_a_time(sizes, column, most_columns, chosen)
    beside = 0 if is_pointwise(sizes) and sizes.in_width % 4 == 0 else max(column) + 4
    return 2 * pixels * sum(column) + beside if pixels else 0


def by_rows(tile: Tile, x: TensorType, w: TensorType, *rest: TensorType, **attrs: Any) -> Footprint:
    size = laid_out(x, w, TILE_ROWS, TILE_COLUMNS, **attrs)
    return replace(conv2d.by_rows(tile, x, w, *rest, **attrs), scratch=lambda count: size, anew=False)


def samples(rng: np.random.Generator) -> list[Sample]:
    """The convolution's own cases, in both forms, narrow clips, masks and biases as deltas among them."""
    cases = []
    for index, case in enumerate(conv2d.samples(rng)):
        x, w = case.operands
        cases.append(sample(rng, x.shape, w.shape, case.attrs, index))
        if index % 5 == 0:
            cases[-1] = with_delta(rng, cases[-1], index)
    pointwise = {"channels": 7, "kernel_size": (1, 1)}
    for index, size in enumerate(((1, 1), (5, 5), (2, 3))):
        cases.append(sample(rng, (1 + index % 2, 10, *size), (7, 10, 1, 1), pointwise, index))
        cases.append(with_delta(rng, cases[-1], index))
    cases += [packed_sample(rng, *case, index) for index, case in enumerate(PACKED_CASES)]
    far = sample(rng, (1, 10, 2, 2), (7, 10, 1, 1), pointwise, 0)  # two sums leave int32 where they are scaled
    *_, b, m = far.operands
    b[:2], m[:, :2] = (2**29, -(2**29)), np.array([multiplier(300.0, "rounded")]).T
    return [*cases, far]


PACKED_CASES = (  # channels, filters, kernel, size
    (8, 2, 1, (3, 3)), (4, 6, 1, (2, 4)), (12, 4, 1, (1, 5)), (36, 4, 1, (2, 2)), (4, 2, 3, (4, 3)),
    (8, 6, 1, (1, 1)), (24, 4, 1, (1, 1)),
)  # fmt: skip


def packed_sample(rng: np.random.Generator, channels: int, filters: int, kernel: int, size: Ints, index: int) -> Sample:
    window = {"channels": filters, "kernel_size": (kernel, kernel), "padding": (kernel // 2,) * 4}
    case = sample(rng, (1 + index % 2, channels, *size), (filters, channels, kernel, kernel), window, index)
    x, w, *rest = case.operands
    types = [TensorType(each.shape, str(each.dtype)) for each in case.operands]
    words = pack(w // 2, *types, **{**conv2d.WINDOW_ATTRS, **case.attrs})
    if words is None:
        raise GraphError(f"weights of {w.shape} cannot be packed")
    return Sample((x, words, *rest), {**case.attrs, "packed": True})


def with_delta(rng: np.random.Generator, case: Sample, index: int) -> Sample:
    """The same, its bias kept as a delta; of every other one the last channel is wide, and the middle one."""
    count = case.operands[2].size
    wide = tuple(sorted({count // 2, count - 1})) if index % 2 == 0 else ()
    return Sample((*case.operands, sample_of(rng, count, wide)), {**case.attrs, "wide": wide})


def sample(rng: np.random.Generator, x_shape: Ints, w_shape: Ints, attrs: Attrs, index: int) -> Sample:
    form = tuple(FORMS)[index % 2]
    x = rng.integers(-128, 128, x_shape, dtype=np.int8)
    w = rng.integers(-127, 128, w_shape, dtype=np.int8)
    b = rng.integers(-3000, 3000, w_shape[0], dtype=np.int32)
    spread = 60 / (74 * 74 * np.sqrt(np.prod(w_shape[1:])))  # about what brings the sums into int8
    factors = spread * rng.uniform(0.2, 2, w_shape[0])
    factors[0] = (0.75, factors[0], 1.5)[index % 3]
    m = np.array([multiplier(factor, form) for factor in factors], np.int32).T.copy()
    clip = ((-128, 127), (-100, 90), (3, 127))[index % 3]
    quantization = {"x_scale": 0.02, "x_zero_point": int(rng.integers(-128, 128)), "y_scale": 0.05,
                    "y_zero_point": int(rng.integers(-20, 20)), "clip": clip, "form": form}  # fmt: skip
    return Sample((x, w, b, m), {**attrs, **quantization, "mask": index % 2 == 0})


def ties(x: TensorType, w: TensorType, b: TensorType, m: TensorType, *delta: TensorType, groups: int, **_: Any) -> Ties:
    known = conv2d.ties(x, w, b, groups=groups)
    return known and (*known[:3], {1: known[1][0]}, *({} for _ in delta), known[3])


register(Op(
    name="qnn.conv2d", infer=infer, evaluate=evaluate, grads=(grad_x, grad_w, grad_b), samples=samples, macs=macs,
    attrs={**conv2d.WINDOW_ATTRS, **ATTRS, "wide": (), "packed": False, **SCHEDULE}, training={"mask": True},
    dtypes={0: ("int8",), 1: ("int8",), 2: ("int32",), 3: ("int32",), 4: ("int16",)}, part=conv2d.part, ties=ties,
    parameters={1: "weight", 2: "bias"}, delta=4, units=units, packs={1: Packing(pack, unpacked)},
    footprint=along(rows=by_rows),
    kernel=Kernel("conv2d_s8.h", "conv2d_s8", record=Conv2dS8, parameters=parameters, views=(0,), gives_view=True,
                  operands=5, results=2, split=(1,), scratch=scratch,
                  may_scratch=True, choices=choices,
                  but=("fused", "numbers", "wide", "pixels", "tile_pixels", "rows", "tile_rows", "packed")),
    instructions=(1.2, 20),
))  # fmt: skip
