"""Networks whose elementwise operators read parameters that are trained: scales, shifts, embeddings, scalars."""

from collections.abc import Callable

import numpy as np

from workbench.frontends import Model
from workbench.frontends.layers import Network
from workbench.ir.build import Value


def operand(net: Network, name: str, shape: tuple[int, ...]) -> Value:
    """A parameter of its own, around 1."""
    net.weights[name] = (1 + 0.4 * net.rng.normal(size=shape)).astype(np.float32)
    return net.build.parameter(name, shape)


def scale_and_shift(batch: int) -> Model:
    """What is left of a batch norm: (N, C, H, W) · (1, C, 1, 1) + (1, C, 1, 1), between two convolutions."""
    net = Network("scale-and-shift", (batch, 2, 6, 5))
    x = net.conv2d(net.input, "conv1", 4, 3, padding=1)
    x = net.multiply(x, operand(net, "norm.weight", (1, 4, 1, 1)), "norm")
    x = net.relu(net.add(x, operand(net, "norm.bias", (1, 4, 1, 1)), "norm"), "norm")
    x = net.relu(net.conv2d(x, "conv2", 6, 3), "conv2")
    return net.model(net.dense(net.flatten(x), "fc", 3))


def of_tokens(batch: int) -> Model:
    """A layer norm's: (N, T, C) · (1, 1, C) + (1, 1, C)."""
    net = Network("of-tokens", (batch, 5, 4))
    x = net.subtract(net.input, net.mean(net.input, "center", 2, keepdims=True), "centered")
    x = net.multiply(operand(net, "norm.weight", (1, 1, 4)), x, "norm")
    x = net.gelu(net.add(x, operand(net, "norm.bias", (1, 1, 4)), "norm"), "norm")
    return net.model(net.dense(net.flatten(x), "fc", 3))


def positions(batch: int) -> Model:
    """An embedding of each position, (1, T, C), added to data and subtracted from what is made of it."""
    net = Network("positions", (batch, 5, 4))
    embedding = operand(net, "positions", (1, 5, 4))
    x = net.tanh(net.add(net.input, embedding, "placed"), "placed")
    x = net.subtract(x, operand(net, "offset.weight", (1, 5, 4)), "offset")
    return net.model(net.dense(net.flatten(x), "fc", 3))


def scalars(batch: int) -> Model:
    """One number for all elements, of an image and of a row."""
    net = Network("scalars", (batch, 2, 4, 5))
    x = net.multiply(net.conv2d(net.input, "conv", 3, 3), operand(net, "gain", (1, 1, 1, 1)), "gain")
    x = net.relu(net.subtract(operand(net, "level", (1, 1, 1, 1)), x, "level"), "level")
    x = net.dense(net.flatten(x), "fc", 3)
    return net.model(net.multiply(x, operand(net, "temperature", (1, 1)), "temperature"))


def read_twice(batch: int) -> Model:
    """One parameter scales, is added and is squared."""
    net = Network("read-twice", (batch, 3, 4, 4))
    p = operand(net, "p", (1, 3, 1, 1))
    x = net.add(net.multiply(net.input, p, "scaled"), p, "shifted")
    x = net.add(net.relu(x, "shifted"), net.multiply(p, p, "squared"), "sum")
    x = net.conv2d(x, "conv", 4, 3)
    return net.model(net.dense(net.flatten(x), "fc", 3))


def whole_images(batch: int) -> Model:
    """Two of the shape of an image, so that with a batch of 1 both have one gradient, which flows on."""
    net = Network("whole-images", (batch, 2, 4, 4))
    x = net.conv2d(net.input, "conv1", 2, 3, padding=1)
    x = net.add(x, operand(net, "a", (1, 2, 4, 4)), "a")
    x = net.add(operand(net, "b.bias", (1, 2, 4, 4)), x, "b")
    x = net.add(net.conv2d(x, "conv2", 2, 3, padding=1), x, "skip")
    x = net.relu(net.multiply(x, operand(net, "mask", (1, 2, 4, 4)), "mask"), "mask")
    return net.model(net.dense(net.flatten(x), "fc", 3))


def limits(batch: int) -> Model:
    """A floor and a ceiling a channel, around what is divided by a number."""
    net = Network("limits", (batch, 2, 4, 5))
    x = net.conv2d(net.input, "conv", 3, 3)
    x = net.build.maximum(x, operand(net, "floor", (1, 3, 1, 1)), label="floor")
    x = net.build.minimum(operand(net, "ceiling", (1, 3, 1, 1)), x, label="ceiling")
    x = net.build.divide(x, operand(net, "unit", (1, 1, 1, 1)), label="unit")
    return net.model(net.dense(net.flatten(x), "fc", 3))


NETWORKS: dict[str, Callable[[int], Model]] = {
    make.__name__: make for make in (scale_and_shift, of_tokens, positions, scalars, read_twice, whole_images, limits)
}


def drawn(seed: int) -> tuple[Model, str]:
    """A random network of convolutions, residuals and such operands of images; and a policy for it."""
    rng = np.random.default_rng(seed)
    rows, columns = (int(size) for size in rng.choice([4, 9, 16], 2))
    net = Network(f"operands-{seed}", (int(rng.integers(1, 4)), int(rng.integers(1, 4)), rows, columns))
    x, layers = net.input, []
    for depth in range(int(rng.integers(1, 4))):
        name, groups = f"conv{depth}", x.shape[1] if rng.random() < 0.3 else 1
        y = net.conv2d(x, name, x.shape[1] if groups > 1 else 4, 3, padding=1, groups=groups)
        layers.append(name)
        for number in range(int(rng.integers(1, 3))):
            name = f"{('norm', 'more')[number]}{depth}"
            shape = tuple(1 if rng.random() < 0.4 else size for size in y.shape[1:])
            shape = (y.shape[1], 1, 1) if rng.random() < 0.5 else shape
            operator = (net.multiply, net.multiply, net.add, net.subtract)[rng.integers(4)]
            p = operand(net, f"{name}.weight", (1, *shape))
            y = operator(*((y, p) if rng.random() < 0.7 else (p, y)), name)
            if rng.random() < 0.3:
                y = net.multiply(y, p, f"{name}.again")
            layers.append(name)
        if x.shape == y.shape and rng.random() < 0.5:
            y = net.add(y, x, f"add{depth}")
        x = (net.relu, net.relu6, net.tanh, lambda y, _: y)[rng.integers(4)](y, name)
    x = net.global_avg_pool2d(x, "pool") if rng.random() < 0.4 else net.flatten(x)
    chosen = [name for name in layers if rng.random() < 0.5]
    parts = [f"{name}:0.5" if name.startswith("conv") and rng.random() < 0.4 else name for name in chosen]
    return net.model(net.dense(x, "fc", 3)), "+".join([*parts, "fc"]) if rng.random() < 0.6 else "full"
