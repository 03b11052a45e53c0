"""What the gradients of an int8 network should be, in real numbers: a float64 reference that shares no code with ops/.

    w = w_int · s     b = b_int · s_x · s     a = (q - zero) · scale
    q = clip(round(u / s_y + zero))     rounding passes gradients straight through, the clip where it clips nothing

It walks the same graph, but each operator is told here once more, by loops over the taps of a window. The integers of a
forward pass are the points at which it differentiates; each must be what its own arithmetic gives, to a rounding.
"""

import math
from collections.abc import Mapping

import numpy as np

from workbench.ir.graph import Graph, Node
from workbench.ir.interpret import interpret

NEARLY_HALF = 0.5 + 1e-3  # of a unit of the result: a scale as a fixed-point number moves a rounding by less

EDGE = 1e-4  # this near to where clipping begins either is right


def forward_values(graph: Graph, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every value of the graph, as the interpreter has it."""
    values = {name: np.asarray(array) for name, array in feeds.items()}

    def observe(node: Node, results) -> None:
        values.update({name: result.copy() for name, result in zip(node.results, results, strict=True)})

    interpret(graph, {name: feeds[name] for name in graph.arguments}, observe=observe)
    return values


def gradients(graph: Graph, feeds: Mapping[str, np.ndarray], dy: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Value -> gradient: of an activation's real value, of a parameter's stored integer. The output's is `dy`, or the
    output is a loss.
    """
    values = forward_values(graph, feeds)
    totals: dict[str, np.ndarray] = {graph.outputs[0]: np.array(1.0) if dy is None else dy}
    tables = {node.results[0]: node.operands[0] for node in graph.nodes if node.op == "qnn.requantization"}
    tables |= {node.results[0]: node.attrs for node in graph.nodes if node.op == "qnn.table"}
    for node in reversed(graph.nodes):
        if node.results[0] not in totals or node.op in ("qnn.requantization", "qnn.table"):
            continue
        found = RULES[node.op](node, values, tables, totals[node.results[0]])
        for name, gradient in zip(node.operands, found, strict=False):
            totals[name] = totals.get(name, 0) + gradient
    return totals


def _real(values, name, scale, zero):
    return (values[name].astype(np.float64) - zero) * scale


def _through_clip(node, values, real, dy):
    """dy where the result was not clipped; `real` is what was rounded and clipped."""
    low, high = node.attrs.get("clip", (-128, 127))
    zero = node.attrs.get("y_zero_point", node.attrs.get("zero_point", 0))
    unclipped = real / node.attrs.get("y_scale", node.attrs.get("scale")) + zero
    got = values[node.results[0]].astype(np.float64)
    rounding = NEARLY_HALF + 0.25 * (node.attrs.get("form") == "tflite")  # which rounds twice
    assert np.abs(np.clip(unclipped, low, high) - got).max() <= rounding
    passes = (unclipped >= low - 0.5) & (unclipped < high + 0.5)
    either = np.minimum(np.abs(unclipped - (low - 0.5)), np.abs(unclipped - (high + 0.5))) < EDGE
    mask = values[node.results[1]] if len(node.results) > 1 else passes
    return np.where(np.where(either, mask, passes), dy, 0.0)


def _taps(attrs, x_shape, y_shape):
    """(row, column of the kernel; the slices of the padded image that it meets)."""
    (kh, kw), (sh, sw), (dh, dw) = attrs["kernel_size"], attrs["strides"], attrs["dilation"]
    for i in range(kh):
        for j in range(kw):
            yield (
                i,
                j,
                slice(i * dh, i * dh + (y_shape[2] - 1) * sh + 1, sh),
                slice(j * dw, j * dw + (y_shape[3] - 1) * sw + 1, sw),
            )


def _conv(node, values, tables, dy):
    a, (x_name, w_name, b_name, m_name) = node.attrs, node.operands
    s = values[tables[m_name]].astype(np.float64)
    x = _real(values, x_name, a["x_scale"], a["x_zero_point"])
    w = values[w_name].astype(np.float64) * s[:, None, None, None]
    b = values[b_name].astype(np.float64) * s * a["x_scale"]
    top, left, bottom, right = a["padding"]
    wide = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    filters, per_group = len(w) // a["groups"], w.shape[1]
    real = np.zeros(dy.shape) + b[:, None, None]
    pairs = [(o, g * per_group + c, c) for g in range(a["groups"]) for o in range(g * filters, (g + 1) * filters)
             for c in range(per_group)]  # fmt: skip
    for i, j, rows, columns in _taps(a, x.shape, dy.shape):
        for o, channel, c in pairs:
            real[:, o] += wide[:, channel, rows, columns] * w[o, c, i, j]
    g = _through_clip(node, values, real, dy)
    dwide, dw = np.zeros(wide.shape), np.zeros(w.shape)
    for i, j, rows, columns in _taps(a, x.shape, dy.shape):
        for o, channel, c in pairs:
            dwide[:, channel, rows, columns] += g[:, o] * w[o, c, i, j]
            dw[o, c, i, j] = (g[:, o] * wide[:, channel, rows, columns]).sum()
    dx = dwide[:, :, top : top + x.shape[2], left : left + x.shape[3]]
    return dx, dw * s[:, None, None, None], g.sum((0, 2, 3)) * s * a["x_scale"]


def _transposed(node, values, tables, dy):
    a, (x_name, w_name, b_name, m_name) = node.attrs, node.operands
    s = values[tables[m_name]].astype(np.float64)
    x = _real(values, x_name, a["x_scale"], a["x_zero_point"])
    w = values[w_name].astype(np.float64) * s[:, None, None, None]
    (kh, kw), (sh, sw), (top, left, *_) = a["kernel_size"], a["strides"], a["padding"]
    inside = (..., slice(top, top + dy.shape[2]), slice(left, left + dy.shape[3]))
    sizes = [(n - 1) * step + k + rest for n, step, k, rest in
             zip(x.shape[2:], (sh, sw), (kh, kw), a["output_padding"], strict=True)]  # fmt: skip
    wide = np.zeros((*dy.shape[:2], *sizes))
    places = [(i, j, (..., slice(i, i + (x.shape[2] - 1) * sh + 1, sh), slice(j, j + (x.shape[3] - 1) * sw + 1, sw)))
              for i in range(kh) for j in range(kw)]  # fmt: skip
    for i, j, place in places:
        wide[place] += np.einsum("nchw,oc->nohw", x, w[:, :, i, j])
    b = values[b_name].astype(np.float64) * s * a["x_scale"]
    g = _through_clip(node, values, wide[inside] + b[:, None, None], dy)
    wide[:] = 0
    wide[inside] = g
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for i, j, place in places:
        dx += np.einsum("nohw,oc->nchw", wide[place], w[:, :, i, j])
        dw[:, :, i, j] = np.einsum("nohw,nchw->oc", wide[place], x)
    return dx, dw * s[:, None, None, None], g.sum((0, 2, 3)) * s * a["x_scale"]


def _both(node, values):
    a = node.attrs
    return (_real(values, node.operands[i], a[f"{k}_scale"], a[f"{k}_zero_point"]) for i, k in enumerate("ab"))


def _read_again(g, operand):
    """The gradient of an operand that was read again along axes of one element: one after the other."""
    total = np.zeros(operand.shape)
    for at in np.ndindex(g.shape):
        total[tuple(i if n > 1 else 0 for i, n in zip(at, operand.shape, strict=True))] += g[at]
    return total


def _add(node, values, tables, dy):
    one, other = _both(node, values)
    g = _through_clip(node, values, one + other, dy)
    return _read_again(g, one), _read_again(g, other)


def _subtract(node, values, tables, dy):
    one, other = _both(node, values)
    g = _through_clip(node, values, one - other, dy)
    return _read_again(g, one), _read_again(-g, other)


def _multiply(node, values, tables, dy):
    one, other = _both(node, values)
    g = _through_clip(node, values, one * other, dy)
    return _read_again(g * other, one), _read_again(g * one, other)


def _sigmoid(x, number):
    y = 0.5 + 0.5 * np.tanh(x / 2)
    return y, y - y**2


def _tanh(x, number):
    y = 1 - 2 / (np.exp(2 * x) + 1)
    return y, 1 - y**2


def _leaky_relu(x, number):
    factor = np.where(x > 0, 1, number)
    return factor * x, factor


def _hard_swish(x, number):
    inside = (x > -3) & (x < 3)
    return np.where(inside, x * (x + 3) / 6, np.maximum(x, 0)), np.where(inside, (2 * x + 3) / 6, x > 0)


def _gelu(x, number):
    if number:
        u = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
        share, density = 0.5 + 0.5 * np.tanh(u), np.sqrt(0.5 / np.pi) * (1 + 0.134145 * x**2) * (1 - np.tanh(u) ** 2)
    else:
        share, density = 0.5 + 0.5 * np.vectorize(math.erf)(x / np.sqrt(2)), np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    return x * share, share + x * density


def _silu(x, number):
    s = 0.5 + 0.5 * np.tanh(x / 2)
    return x * s, s * (1 + x - x * s)


def _hard_sigmoid(x, number):
    return np.clip(x / 6 + 0.5, 0, 1), (np.abs(x) < 3) / 6


def _rsqrt(x, number):
    """Of what is below 0, that of 0."""
    with np.errstate(divide="ignore"):
        y = (np.maximum(x, 0) + number) ** -0.5
    return y, np.where(x < 0, 0, y**3 / -2)


def _exp(x, number):
    return np.exp(x), np.exp(x)


def _log(x, number):
    """Of what is below 0, that of 0."""
    with np.errstate(divide="ignore"):
        return np.log(np.maximum(x, 0)), np.where(x > 0, 1 / x, 0)


def _sqrt(x, number):
    """Of what is below 0, that of 0, where an infinite slope counts as 0."""
    y = np.maximum(x, 0) ** 0.5
    with np.errstate(divide="ignore"):
        return y, np.where(x > 0, 0.5 / y, 0)


def _abs(x, number):
    return np.maximum(x, -x), np.sign(x)


def _elu(x, number):
    below = number * (np.exp(np.minimum(x, 0)) - 1)
    return np.maximum(x, 0) + below, np.where(x > 0, 1, below + number)


def _softplus(x, number):
    return np.logaddexp(0, x), 0.5 + 0.5 * np.tanh(x / 2)


KNOWN = {
    "sigmoid": _sigmoid, "tanh": _tanh, "leaky_relu": _leaky_relu, "hard_swish": _hard_swish, "gelu": _gelu,
    "rsqrt": _rsqrt, "silu": _silu, "hard_sigmoid": _hard_sigmoid, "exp": _exp, "log": _log, "sqrt": _sqrt,
    "abs": _abs, "elu": _elu, "softplus": _softplus,
}  # fmt: skip


def _lookup(node, values, tables, dy):
    a = tables[node.operands[1]]
    x = _real(values, node.operands[0], a["x_scale"], a["x_zero_point"])
    y, slope = KNOWN[a["function"]](x, a["number"])
    unclipped = y / a["y_scale"] + a["y_zero_point"]
    far = np.abs(np.clip(unclipped, -128, 127) - values[node.results[0]].astype(np.float64)).max()
    assert far <= (1.5 if a["form"] == "tflite" else NEARLY_HALF)  # a hard swish has 16 bits there
    return (np.where((unclipped >= -128.5) & (unclipped < 127.5), dy * slope, 0.0),)


def _mean(node, values, tables, dy):
    a = {**node.attrs, "kernel_size": node.attrs["pool_size"], "dilation": (1, 1)}
    x = _real(values, node.operands[0], a["x_scale"], a["x_zero_point"])
    top, left, bottom, right = a["padding"]
    border = ((0, 0), (0, 0), (top, bottom), (left, right))
    wide, inside, total, count = np.pad(x, border), np.pad(np.ones(x.shape), border), np.zeros(dy.shape), 0
    for _, _, rows, columns in _taps(a, x.shape, dy.shape):
        total, count = total + wide[:, :, rows, columns], count + inside[:, :, rows, columns]
    g = _through_clip(node, values, total / count, dy) / count
    dwide = np.zeros(wide.shape)
    for _, _, rows, columns in _taps(a, x.shape, dy.shape):
        dwide[:, :, rows, columns] += g
    return (dwide[:, :, top : top + x.shape[2], left : left + x.shape[3]],)


def _max(node, values, tables, dy):
    a = {**node.attrs, "kernel_size": node.attrs["pool_size"], "dilation": (1, 1)}
    x = values[node.operands[0]].astype(np.float64)
    top, left, bottom, right = a["padding"]
    wide = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=-np.inf)
    dwide, left_over = np.zeros(wide.shape), np.ones(dy.shape, bool)
    for _, _, rows, columns in _taps(a, x.shape, dy.shape):
        wins = left_over & (wide[:, :, rows, columns] == values[node.results[0]])  # the first of equals
        dwide[:, :, rows, columns] += np.where(wins, dy, 0)
        left_over &= ~wins
    assert not left_over.any()
    return (dwide[:, :, top : top + x.shape[2], left : left + x.shape[3]],)


def _same_shape(node, values, tables, dy):
    return (dy.reshape(values[node.operands[0]].shape),)


def _mean_of_axes(node, values, tables, dy):
    a = node.attrs
    real = _real(values, node.operands[0], a["x_scale"], a["x_zero_point"])
    g = _through_clip(node, values, real.mean(a.get("axis", (2, 3)), keepdims=True), dy)  # of whole planes without
    return (np.ones(real.shape) * g * g.size / real.size,)


def _requantize(node, values, tables, dy):
    real = _real(values, node.operands[0], node.attrs["x_scale"], node.attrs["x_zero_point"])
    return (_through_clip(node, values, real, dy),)


def _moved(node, values, tables, dy):
    """Of what moves data: each gradient goes back to where its element came from, told by moving its number."""
    a, shapes = node.attrs, [values[name].shape for name in node.operands]
    ends = np.cumsum([0, *map(np.prod, shapes)])
    numbers = [np.arange(start, end).reshape(shape) for start, end, shape in zip(ends, ends[1:], shapes, strict=False)]
    match node.op:
        case "concatenate":
            moved = np.concatenate(numbers, a["axis"])
        case "transpose":
            moved = np.transpose(numbers[0], a["axes"])
        case "slice":
            moved = numbers[0]
            for axis, (begin, size, step) in enumerate(zip(a["begin"], a["size"], a["strides"], strict=True), 1):
                moved = moved.take(begin + step * np.arange(size), axis)
        case "pad":
            assert set(a["strides"]) == {1}
            moved = np.pad(numbers[0], [(0, 0), *zip(a["low"], a["high"], strict=True)], constant_values=-1)
        case "nn.resize_nearest":
            assert not a["align_corners"] and not a["half_pixel_centers"]
            moved = numbers[0]
            for axis, size in zip((2, 3), a["size"], strict=True):
                moved = moved.take(np.arange(size) * moved.shape[axis] // size, axis)
    total = np.zeros(ends[-1] + 1)  # the last takes what belongs to padding
    np.add.at(total, moved, dy)
    return tuple(total[start:end].reshape(shape) for start, end, shape in zip(ends, ends[1:], shapes, strict=False))


def _quantize(node, values, tables, dy):
    return (_through_clip(node, values, values[node.operands[0]].astype(np.float64), dy),)


def _dequantize(node, values, tables, dy):
    return (dy,)


def _loss(node, values, tables, dy):
    logits, label = values[node.operands[0]].astype(np.float64), values[node.operands[1]]
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return ((raised / raised.sum(axis=1, keepdims=True) - np.eye(logits.shape[1])[label]) / len(logits) * dy,)


RULES = {
    "qnn.conv2d": _conv, "qnn.transposed_conv2d": _transposed, "qnn.add": _add, "qnn.avg_pool2d": _mean,
    "qnn.quantize": _quantize, "qnn.dequantize": _dequantize, "nn.max_pool2d": _max,
    **dict.fromkeys(("concatenate", "transpose", "slice", "pad", "nn.resize_nearest"), _moved),
    **dict.fromkeys(("qnn.mean", "qnn.global_avg_pool2d"), _mean_of_axes),
    "qnn.requantize": _requantize, "nn.batch_flatten": _same_shape, "reshape": _same_shape,
    "qnn.subtract": _subtract, "qnn.multiply": _multiply, "qnn.lookup": _lookup,
    "nn.softmax_cross_entropy": _loss,
}  # fmt: skip
