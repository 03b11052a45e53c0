"""Small training graphs to test passes on, drawn or made, random legal orders of them, and feeds."""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from workbench.autodiff import loss_nodes, training_step
from workbench.errors import GraphError
from workbench.frontends.layers import Network
from workbench.ir import op as ops
from workbench.ir.build import Builder
from workbench.ir.graph import Graph
from workbench.ir.verify import verify
from workbench.passes.apply_policy import apply_policy
from workbench.passes.pipeline import later
from workbench.policy import PLAIN_SGD, Optimizer, parse_policy


def mlp(widths, batch=2, policy="full", optimizer=PLAIN_SGD) -> Graph:
    """The training step of a multilayer perceptron: widths[0] inputs, widths[-1] classes."""
    net = Network("mlp", (batch, widths[0]))
    x = net.input
    for depth, width in enumerate(widths[1:]):
        x = net.dense(x, f"fc{depth}", width)
        x = net.relu(x, f"fc{depth}") if depth < len(widths) - 2 else x
    return training_step(apply_policy(net.build.graph(x), parse_policy(policy)), optimizer)


def convnet(
    channels=(2, 3), size=6, batch=1, policy="full", shared_input=False, optimizer=PLAIN_SGD, clip="relu", classes=3
) -> Graph:
    """The training step of convolutions with pooling; with `shared_input` a value is used twice and added up again.

    `clip` is relu or relu6.
    """
    net = Network("convnet", (batch, 1, size, size))
    x = net.input
    for depth, count in enumerate(channels):
        y = getattr(net, clip)(net.conv2d(x, f"conv{depth}", count, 3, padding=1), f"conv{depth}")
        if shared_input:
            y = net.build.add(y, net.conv2d(y, f"side{depth}", count, 1), label=f"add{depth}")
        x = y
    x = net.max_pool2d(x, "pool", 2)
    logits = net.dense(net.flatten(x), "fc", classes)
    return training_step(apply_policy(net.build.graph(logits), parse_policy(policy)), optimizer)


def image_size(rng, size: int) -> tuple[int, int]:
    """Rows and columns: a square, or in a third of all cases one row, one column, one pixel, or neither."""
    odd = [(1, size), (size, 1), (1, 1), (1, 2 * size + 1), (size - 1, 2)]
    return odd[rng.integers(len(odd))] if rng.random() < 1 / 3 else (size, size)


def odd_window(rng, rows: int, columns: int) -> dict:
    """kernel_size, strides and padding of a window over so large an image: as large as it is, a stride beyond the
    kernel, more padding on one side than on the other.
    """
    kernel, strides, padding = [], [], []
    for size in (rows, columns):
        before, behind = (int(rng.choice([0, 0, 1, 2])) for _ in range(2))
        kernel.append(int(rng.choice([1, size, rng.integers(1, size + before + behind + 1)])))
        before, behind = min(before, kernel[-1] - 1), min(behind, kernel[-1] - 1)
        kernel[-1] = min(kernel[-1], size + before + behind)
        strides.append(int(rng.choice([1, 2, kernel[-1] + 1])))
        padding.append((before, behind))
    return {"kernel_size": tuple(kernel), "strides": tuple(strides),
            "padding": (padding[0][0], padding[1][0], padding[0][1], padding[1][1])}  # fmt: skip


def mixednet(seed: int, optimizer=PLAIN_SGD) -> Graph:
    """The training step of a random network of strides, groups, depthwise filters, odd windows, joined branches and
    residuals, some of its weights updated in part. Some images are a row, a column or a pixel, some have one channel;
    some networks have one class.
    """
    rng, odd = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    net = Network("mixednet", (int(rng.integers(1, 3)), int(odd.choice([1, 2, 2])), *image_size(odd, 6)))
    x, layers = net.input, []

    def conv(value, channels, kernel=3, padding=None, **how):
        layers.append(f"conv{len(layers)}")
        padding = kernel // 2 if padding is None else padding
        value = net.conv2d(value, layers[-1], channels, kernel, padding=padding, **how)
        return getattr(net, ["relu", "relu6"][rng.integers(2)])(value, layers[-1])

    for _ in range(int(rng.integers(1, 4))):
        kind = rng.choice(["stride", "grouped", "depthwise", "joined", "residual"])
        if odd.random() < 1 / 4:
            window = odd_window(odd, *x.shape[2:])
            x = conv(
                x, int(odd.integers(1, 4)), window["kernel_size"], stride=window["strides"], padding=window["padding"]
            )
        if kind == "stride":
            x = conv(x, 4, stride=2)
        elif kind == "grouped":
            x = conv(x, 4, groups=2 if x.shape[1] % 2 == 0 else 1)
        elif kind == "depthwise":
            x = conv(x, x.shape[1], groups=x.shape[1])
        elif kind == "joined":
            both = net.concatenate(conv(x, 1), conv(x, 3), label=f"join{len(layers)}")
            x = net.add(both, conv(x, 4, 1), f"add{len(layers)}")
        else:
            x = net.add(conv(x, x.shape[1]), x, f"add{len(layers)}")
    x = net.global_avg_pool2d(x, "pool") if rng.random() < 0.5 else net.flatten(x)
    forward = net.build.graph(net.dense(x, "fc", int(odd.choice([1, 3, 3, 3]))))
    chosen = [f"{name}{rng.choice(['', ':0.5'])}" for name in (*layers, "fc") if rng.random() < 0.6]
    return training_step(apply_policy(forward, parse_policy("+".join(chosen) or "bias-only")), optimizer)


def int8net(
    seed: int, optimizer=PLAIN_SGD, batch: int | None = None, size: int = 6, update: str = ""
) -> tuple[Graph, dict[str, np.ndarray]]:
    """The training step of a random int8 network, and its parameters: strides, groups, depthwise filters, odd windows,
    residuals of different scales, average pooling, a dense head; some of its weights updated in part, unless `update`
    is a policy. Shapes as in mixednet. About a tenth is clipped.
    """
    rng, odd = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    build, weights, layers = Builder(), {}, []

    def quantization() -> tuple[float, int]:
        return float(np.float32(rng.uniform(0.01, 0.1))), int(rng.choice([-128, 127, rng.integers(-60, 60)]))

    def of(who: str, value) -> dict:
        return {f"{who}_scale": value.type.scale, f"{who}_zero_point": value.type.zero_point}

    def parameter(name: str, values):
        weights[name] = values
        return build.parameter(name, values.shape, str(values.dtype))

    def conv(x, channels, kernel=3, stride=1, groups=1, label="", **window):
        label = label or f"conv{len(layers)}"
        layers.append(label)
        window = {"kernel_size": (kernel,) * 2, "strides": (stride,) * 2, "padding": (kernel // 2,) * 4} | window
        shape, (scale, zero) = (channels, x.shape[1] // groups, *window["kernel_size"]), quantization()
        reach = 74 * 74 * np.sqrt(np.prod(shape[1:])) * x.type.scale / scale
        w = parameter(f"{label}.weight", rng.integers(-127, 128, shape).astype(np.int8))
        b = parameter(f"{label}.bias", rng.integers(-2000, 2000, channels, np.int32))
        s = parameter(f"{label}.scale", (70 / reach * rng.uniform(0.3, 1.5, channels)).astype(np.float32))
        m = build.op("qnn.requantization", s, x_scale=x.type.scale, y_scale=scale, label=f"{label}.factors")
        low = int(rng.choice([-128, max(zero, -128)]))
        return build.op("qnn.conv2d", x, w, b, m, channels=channels, groups=groups, **window, **of("x", x),
                        y_scale=scale, y_zero_point=zero, clip=(min(low, 100), 127), label=label)  # fmt: skip

    def add(a, b, label):
        scale, zero = quantization()
        return build.op("qnn.add", a, b, **of("a", a), **of("b", b), y_scale=2 * scale, y_zero_point=zero, label=label)

    scale, zero = quantization()
    batch = int(rng.integers(1, 3)) if batch is None else batch
    shape = (batch, int(odd.choice([1, 3, 3])), *image_size(odd, size))
    x = build.input("input0", shape, "int8", scale=scale, zero_point=zero)
    for _ in range(int(rng.integers(1, 4))):
        kind = rng.choice(["stride", "grouped", "depthwise", "pool", "residual", "bottleneck"])
        if odd.random() < 1 / 4:
            x = conv(x, int(odd.integers(1, 4)), **odd_window(odd, *x.shape[2:]))
        if kind == "stride":
            x = conv(x, 4, stride=2)
        elif kind == "grouped":
            x = conv(conv(x, 4, 1), 4, groups=2)
        elif kind == "depthwise":
            x = conv(x, x.shape[1], groups=x.shape[1])
        elif kind == "pool" and min(x.shape[2:]) > 1:
            x = build.max_pool2d(conv(x, x.shape[1]), pool_size=(2, 2), label=f"pool{len(layers)}")
        elif kind == "residual":
            x = add(conv(x, x.shape[1]), x, f"add{len(layers)}")
        else:
            inner = conv(x, 2 * x.shape[1], 1)
            inner = conv(inner, inner.shape[1], groups=inner.shape[1])
            x = add(x, conv(inner, x.shape[1], 1), f"add{len(layers)}")
    scale, zero = quantization()
    x = build.op("qnn.avg_pool2d", x, pool_size=x.shape[2:], **of("x", x), y_scale=scale, y_zero_point=zero,
                 label="pool")  # fmt: skip
    classes = int(odd.choice([1, 3, 3, 3]))
    forward = build.graph(build.batch_flatten(conv(x, classes, 1, label="fc"), label="flatten"))
    chosen = [f"{name}{rng.choice(['', ':0.5'])}" for name in layers if rng.random() < 0.6]
    policy = parse_policy(update or "+".join(chosen) or str(rng.choice(["full", "bias-only"])))
    return training_step(apply_policy(forward, policy), optimizer), weights


def small_stem():
    """A network whose image is its largest value, halved twice before anything is wide."""
    net = Network("stem", (1, 3, 24, 24))
    x = net.relu6(net.conv2d(net.input, "conv1", 4, 3, stride=2, padding=1), "conv1")
    x = net.relu6(net.conv2d(x, "conv2", 4, 3, padding=1, groups=4), "conv2")
    x = net.relu6(net.conv2d(net.conv2d(x, "conv3", 6, 1), "conv4", 8, 3, stride=2, padding=1), "conv4")
    return net.model(net.dense(net.global_avg_pool2d(x, "pool"), "fc", 10), None, "")


def shuffled(graph: Graph, seed: int) -> Graph:
    """The same nodes in a random legal order: makers before readers, and nobody reads storage after its takeover."""
    rng = np.random.default_rng(seed)
    root = graph.analysis.root
    before: dict[int, set[int]] = {index: set() for index in range(len(graph.nodes))}
    maker = {result: index for index, node in enumerate(graph.nodes) for result in node.results}
    for index, node in enumerate(graph.nodes):
        before[index] |= {maker[name] for name in node.operands if name in maker}
        taken = {root[name] for name in node.overwrites}
        for other, reader in enumerate(graph.nodes):
            if other != index and any(root[name] in taken for name in reader.operands):
                before[index if other < index else other].add(min(index, other))
    order, left = [], set(before)
    while left:
        ready = sorted(index for index in left if not before[index] & left)
        chosen = int(rng.choice(ready))
        order.append(graph.nodes[chosen])
        left.remove(chosen)
    return graph.with_order(order)


def with_takeovers(graph: Graph, seed: int) -> Graph:
    """Some nodes that may work in place do so, wherever that is legal."""
    rng = np.random.default_rng(seed)
    for index, node in enumerate(graph.nodes):
        able = ops.get(node.op).can_take(node.operands)
        if node.over or not able or rng.random() < 0.3:
            continue
        over = (str(rng.choice(able)), *[""] * (len(node.results) - 1))
        nodes = list(graph.nodes)
        nodes[index] = replace(node, over=over)
        try:
            graph = verify(replace(graph, nodes=tuple(nodes)))
        except GraphError:
            continue
    return graph


def feeds(graph: Graph, seed: int) -> dict[str, np.ndarray]:
    """Random values for every argument; labels are class numbers, rates small."""
    rng = np.random.default_rng(seed)
    classes = {node.operands[1]: graph.types[node.operands[0]].shape[1] for node in loss_nodes(graph)}
    values = {}
    for name in graph.arguments:
        kind = graph.types[name]
        if name in classes:
            values[name] = rng.integers(0, classes[name], kind.shape, dtype=np.int32)
        elif kind.dtype != "float32":
            values[name] = rng.integers(-128, 128, kind.shape).astype(kind.dtype)
        else:
            values[name] = np.asarray(rng.normal(size=kind.shape) * (1 if kind.rank else 0.05), np.float32)
    return values


seeds = st.integers(0, 10**6)
optimizers = st.builds(
    Optimizer,
    momentum=st.sampled_from([0, 0.5]),
    weight_decay=st.sampled_from([0, 0.1]),
    accumulate=st.integers(1, 2),
    clip=st.sampled_from([None, None, 0.1]),
)
policies = st.sampled_from(["full", "bias-only", "last-1"])


@st.composite
def training_graphs(draw) -> Graph:
    policy, optimizer = draw(policies), draw(optimizers)
    if draw(st.booleans()):
        return mixednet(draw(seeds), optimizer)
    if draw(st.booleans()):
        widths = draw(st.lists(st.integers(1, 9), min_size=2, max_size=5))
        return mlp(widths, draw(st.integers(1, 3)), policy, optimizer)
    channels = draw(st.lists(st.integers(1, 3), min_size=1, max_size=2))
    clip, classes = draw(st.sampled_from(["relu", "relu6"])), draw(st.integers(1, 3))
    return convnet(channels, draw(st.integers(2, 6)), 1, policy, draw(st.booleans()), optimizer, clip, classes)


def same_bits(one, other) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name], equal_nan=True) for name in one)


LATER = later(("fuse-update", "in-place"))  # what regions that are made by themselves look ahead to
