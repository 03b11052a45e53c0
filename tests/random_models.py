"""Random small networks, float32 and int8, with random policies, optimizers, schedules and boards: right ones, to be
compiled and held against anything."""

from dataclasses import dataclass

import numpy as np

from workbench import session
from workbench.errors import PolicyError, ShapeError
from workbench.frontends import Model
from workbench.frontends.layers import Network
from workbench.frontends.loading import in_int8
from workbench.passes.pipeline import SCHEDULES
from workbench.policy import Optimizer


@dataclass(frozen=True)
class Drawn:
    """A network and how to compile it."""

    model: Model
    policy: str
    schedule: str
    optimizer: Optimizer
    board: str

    def compiled(self) -> session.Compiled:
        """Where the policy cannot be, `full` stands for it: the largest of channels whose order is given, say."""
        try:
            return session.compile(self.model, self.policy, self.schedule, self.optimizer)
        except PolicyError:
            return session.compile(self.model, "full", self.schedule, self.optimizer)

    def __str__(self) -> str:
        return f"{self.model.name} {self.policy} {self.schedule} {self.optimizer} {self.board}"


def drawn(seed: int, moving: bool = False) -> Drawn:
    """Every kind of layer, residuals, joined branches; degenerate shapes among them. `moving`: layers that move data
    too, and joined branches in int8."""
    rng = np.random.default_rng(seed)
    model, layers = _network(rng, f"random-{seed}", moving)
    joined = any(node.op == "concatenate" for node in model.graph.nodes)
    small = rng.random() < 0.35 and (moving or not joined)
    model = in_int8(model) if small else model
    parts = [f"{name}{rng.choice(['', ':0.5'])}" for name in layers if rng.random() < 0.5]
    policy = str(rng.choice(["full", "full", "bias-only", "last-1", "+".join([*parts, "bias-only"])]))
    policy += "+largest" if ":" in policy and rng.random() < 0.5 else ""
    optimizer = Optimizer(
        momentum=0.0 if small else float(rng.choice([0, 0.9])), weight_decay=float(rng.choice([0, 0, 0.01])),
        accumulate=int(rng.choice([1, 1, 2, 3])),
        rounding=str(rng.choice(["stochastic", "nearest", "truncate"])) if small else "stochastic",
        qas=bool(rng.random() < 0.7) if small else True,
    )  # fmt: skip
    return Drawn(model, policy, str(rng.choice(list(SCHEDULES))), optimizer, str(rng.choice(["nrf52840", "stm32f746"])))


def _network(rng: np.random.Generator, name: str, moving: bool) -> tuple[Model, list[str]]:
    batch, channels = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    height, width = (int(rng.choice([1, 5, 8, 9, 16])) for _ in range(2))
    net = Network(name, (batch, channels, height, width), seed=int(rng.integers(1000)))
    x, layers = net.input, []
    for depth in range(int(rng.integers(1, 5))):
        try:
            x = _layer(rng, net, x, layers, f"layer{depth}", moving)
        except ShapeError:
            continue
    if x is net.input:
        x = _convolution(rng, net, x, layers, "only", kernel=1)
    x = net.global_avg_pool2d(x, "mean") if rng.random() < 0.4 else x
    x = net.flatten(x)
    if rng.random() < 0.3:
        x, _ = net.relu(net.dense(x, "hidden", int(rng.integers(2, 20))), "hidden"), layers.append("hidden")
    return net.model(net.dense(x, "fc", int(rng.integers(1, 8)))), [*layers, "fc"]


def _layer(rng: np.random.Generator, net: Network, x, layers: list[str], name: str, moving: bool):
    kinds = ["conv", "conv", "depthwise", "grouped", "residual", "joined", "max", "mean"]
    match rng.choice([*kinds, *["up", "moved", "moved"] * moving]):
        case "conv":
            padding = tuple(int(rng.integers(0, 3)) for _ in range(4))
            return _convolution(rng, net, x, layers, name, stride=int(rng.integers(1, 4)), padding=padding)
        case "depthwise":
            return _convolution(
                rng, net, x, layers, name, x.shape[1], stride=int(rng.integers(1, 3)), groups=x.shape[1]
            )
        case "grouped" if x.shape[1] % 2 == 0:
            return _convolution(rng, net, x, layers, name, 4, groups=2)
        case "residual":
            return net.add(_convolution(rng, net, x, layers, name, x.shape[1]), x, f"{name}.add")
        case "joined":
            both = [_convolution(rng, net, x, layers, f"{name}.{side}") for side in "ab"]
            return net.concatenate(*both, label=f"{name}.join")
        case "max":
            return net.max_pool2d(x, name, int(rng.integers(2, 4)), stride=int(rng.integers(1, 3)))
        case "mean":
            return net.avg_pool2d(x, name, 2)
        case "up":
            channels, kernel = (int(number) for number in rng.integers(1, 5, 2))
            y = net.conv2d_transpose(x, name, channels, kernel, stride=int(rng.integers(1, 3)))
            layers.append(name)
            return net.relu(y, name)
        case "moved":
            return _moved(rng, net, x, name)
    return _convolution(rng, net, x, layers, name)


def _moved(rng: np.random.Generator, net: Network, x, name: str):
    match rng.choice(["slice", "pad", "resize", "transpose", "mean"]):
        case "slice":
            axis = int(rng.integers(1, 4))
            return net.slice(x, name, axis, int(rng.integers(0, x.shape[axis])), x.shape[axis], step=2)
        case "pad":
            return net.pad(x, name, tuple(int(number) for number in rng.integers(0, 3, 4)))
        case "resize":
            return net.resize_nearest(x, name, tuple(int(number) for number in rng.integers(1, 12, 2)))
        case "transpose":
            return net.transpose(x, name, (0, *(int(axis) for axis in rng.permutation([1, 2, 3]))))
    return net.mean(x, name, int(rng.integers(1, 4)), keepdims=True)


def _convolution(rng: np.random.Generator, net: Network, x, layers: list[str], name: str, channels: int | None = None,
                 kernel: int | None = None, stride: int = 1, groups: int = 1, padding=None):  # fmt: skip
    kernel = int(rng.choice([1, 3, 3, 5])) if kernel is None else kernel
    channels = int(rng.choice([1, 2, 4, 8])) if channels is None else channels
    y = net.conv2d(
        x, name, channels, kernel, stride=stride, padding=kernel // 2 if padding is None else padding, groups=groups
    )
    layers.append(name)
    return {"": lambda y, _: y, "relu": net.relu, "relu6": net.relu6}[str(rng.choice(["", "relu", "relu", "relu6"]))](
        y, name
    )
