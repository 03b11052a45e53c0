"""Random PyTorch networks of what is imported, and how a training of one compares with PyTorch's own."""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

import workbench
from workbench.passes.apply_policy import apply_policy

ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.Hardswish, nn.Hardsigmoid, nn.SiLU, nn.GELU, nn.Sigmoid, nn.Tanh)
STEPS, RATE = 5, 0.05
KINKS = {nn.ReLU: (0,), nn.LeakyReLU: (0,), nn.ReLU6: (0, 6), nn.Hardswish: (-3, 3), nn.Hardsigmoid: (-3, 3)}
MOST = 1e3  # of a loss
STILL = 1e-12  # a change of less is exact arithmetic's own rounding: of a bias whose mean a norm takes away, for one
TIE = 1e-6  # of a kink, or of one maximum from another: nearer than that, rounding decides what a gradient is


class Sum(nn.Module):
    """A residual; `how` both are put together."""

    def __init__(self, inner: nn.Module, how: str) -> None:
        super().__init__()
        self.inner, self.how = inner, how

    def forward(self, x):
        y = self.inner(x)
        return {"add": x + y, "sub": x - y, "mul": x * y, "cat": torch.cat([x, y], 1), "div": x / (2 + y * y)}[self.how]


class Cut(nn.Module):
    """Slices, halves and padding along the last axis, a mean taken away."""

    def forward(self, x):
        a, b = x[..., :-1], x[..., 1:]
        y = torch.cat([b, a], -1)
        return nn.functional.pad(y - y.mean(-1, keepdim=True), (1, 0))


class Attends(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.randn(1, 1, width) / 2)
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, x):
        z = self.norm(x + self.position)
        return x + self.attention(z, z, z, need_weights=False)[0]


class Recurs(nn.Module):
    def __init__(self, kind: str, inputs: int, width: int) -> None:
        super().__init__()
        self.cell = getattr(nn, kind)(inputs, width, batch_first=True)

    def forward(self, x):
        return self.cell(x)[0]


class Turned(nn.Module):
    """(N, C, L) as (N, L, C)."""

    def forward(self, x):
        return x.transpose(1, 2)


def convolutional(rng: np.random.Generator) -> tuple[nn.Module, tuple[int, ...]]:
    """Convolutions over one axis or two, with norms, poolings and what joins them."""
    two = rng.random() < 0.6
    size = tuple(int(rng.integers(5, 10)) for _ in range(1 + two))
    channels = first = int(rng.integers(1, 4))
    conv, norm = (nn.Conv2d, nn.BatchNorm2d) if two else (nn.Conv1d, nn.BatchNorm1d)
    transposed = nn.ConvTranspose2d if two else nn.ConvTranspose1d
    layers: list[nn.Module] = []
    for _ in range(int(rng.integers(1, 4))):
        wide = channels * int(rng.integers(1, 4))
        kind = rng.choice(["conv", "depthwise", "transposed", "residual", "dilated"])
        kernel, bias = int(rng.choice([1, 2, 3])), bool(rng.random() < 0.6)
        if kind == "conv":
            layers.append(
                conv(channels, wide, kernel, int(rng.integers(1, 3)), int(rng.integers(0, kernel)), bias=bias)
            )
        elif kind == "depthwise":
            layers.append(conv(channels, wide, 3, padding=1, groups=channels, bias=bias))
        elif kind == "dilated":
            layers.append(conv(channels, wide, 3, padding="same", dilation=2, bias=bias))
        elif kind == "transposed":
            layers.append(transposed(channels, wide, 2, 2, bias=bias))
        else:
            how = str(rng.choice(["add", "sub", "mul", "cat", "div"]))
            inner = nn.Sequential(conv(channels, channels, 3, padding=1, bias=bias), norm(channels))
            layers.append(Sum(inner, how))
            wide = 2 * channels if how == "cat" else channels
        channels = wide
        if rng.random() < 0.5:
            layers.append(norm(channels) if rng.random() < 0.6 else nn.GroupNorm(channels, channels))
        layers.append(rng.choice(ACTIVATIONS)())
        if rng.random() < 0.2:
            layers.append(Cut())
    pools = ((nn.AdaptiveAvgPool2d(1), nn.MaxPool2d(2, 1), nn.AvgPool2d(2, 1, 1)) if two else
             (nn.AdaptiveAvgPool1d(1), nn.MaxPool1d(2, 1), nn.AvgPool1d(2, 1, 1)))  # fmt: skip
    return nn.Sequential(*layers, pools[int(rng.integers(3))], nn.Flatten(), nn.Dropout(0.3), nn.LazyLinear(3)), (
        first,
        *size,
    )


def sequential(rng: np.random.Generator) -> tuple[nn.Module, tuple[int, ...]]:
    """Of (N, T, C): dense layers, attention, recurrent layers."""
    time, width = int(rng.integers(1, 5)), 4
    layers: list[nn.Module] = []
    for _ in range(int(rng.integers(1, 3))):
        kind = rng.choice(["dense", "attention", "GRU", "LSTM", "norm", "line"])
        layers += {
            "dense": lambda: [nn.Linear(width, width), rng.choice(ACTIVATIONS)()],
            "attention": lambda: [Attends(width, int(rng.choice([1, 2])))],
            "GRU": lambda: [Recurs("GRU", width, width)],
            "LSTM": lambda: [Recurs("LSTM", width, width)],
            "norm": lambda: [nn.LayerNorm(width, elementwise_affine=bool(rng.random() < 0.7))],
            "line": lambda: [Turned(), nn.Conv1d(width, width, 3, padding=1), nn.SiLU(), Turned()],
        }[str(kind)]()
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(3)), (time, width)


@dataclass
class Trained:
    """Both trainings: each tensor's change, and the losses, ours and PyTorch's in float64 and float32.

    `unfit`: why no arithmetic has to agree with the exact one: it came too near to a kink or to two equal maxima, or
    its loss explodes; "": it has to.
    """

    ours: dict[str, np.ndarray]
    exact: dict[str, np.ndarray]
    single: dict[str, np.ndarray]
    losses: tuple[float, float]
    before: dict[str, np.ndarray]
    unfit: str = ""

    def worst(self) -> tuple[float, float]:
        """The largest error of a tensor's change, by its norm, and what is allowed there."""
        found = [(0.0, 1e-5)]
        for name, exact in self.exact.items():
            change = exact - self.before[name]
            norm = float(np.linalg.norm(change)) or 1.0
            error = float(np.linalg.norm(self.ours[name] - exact)) / norm
            if norm < STILL:  # then it is the weights that are held to be alike
                found.append((error * norm / (float(np.linalg.norm(exact)) or 1.0), 1e-5))
                continue
            own = float(np.linalg.norm(self.single[name] - exact)) / norm
            found.append((error, max(1e-5, 2 * own)))
        return max(found, key=lambda pair: pair[0] / pair[1])


def drawn_policy(seed: int) -> str:
    return str(
        np.random.default_rng((seed, 1)).choice(["full", "bias-only", "head", "*.weight"], p=[0.7, 0.1, 0.1, 0.1])
    )


def drawn(seed: int) -> tuple[nn.Module, tuple[int, ...]]:
    """A network and the shape of a sample; its norms have statistics of their own. What does not run is drawn again."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    while True:
        module, shape = (convolutional if rng.random() < 0.65 else sequential)(rng)
        try:
            module.eval()(torch.randn(2, *shape))
        except RuntimeError:
            continue
        return settled(module), shape


def settled(module: nn.Module) -> nn.Module:
    """In evaluation mode, its norms with statistics, scales and shifts of their own."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(part.running_mean)
            nn.init.uniform_(part.running_var, 0.5, 2)
            nn.init.normal_(part.weight, 1, 0.3)
            nn.init.normal_(part.bias)
    return module.eval()


def trained_alike(
    module: nn.Module, shape: tuple[int, ...], seed: int, engine: str = "emulated", policy: str = "full"
) -> Trained:
    """STEPS steps of SGD on the same samples, of the parameters that the policy names."""
    rng = np.random.default_rng(seed)
    batch = int(rng.integers(1, 4))
    x = rng.normal(size=(batch, *shape)).astype(np.float32)
    y = rng.permutation(3)[:batch] if batch > 1 else rng.normal(size=(1, 3)).astype(np.float32)
    model = workbench.from_torch(module, torch.zeros(1, *shape), name="net", batch=batch)
    result = workbench.run(model, policy=policy, data=(x, y, x, y), steps=STEPS, lr=RATE, lr_bias=RATE, engine=engine,
                           board="virtual-m4",
                           evaluate=False, lr_schedule="constant", seed=seed)  # fmt: skip
    types = apply_policy(model.graph, model.policy(policy)).types
    wanted = {name for name in model.graph.parameters if types[name].needs_grad}
    ours = {name: tensor.double().numpy() for name, tensor in result.state_dict().items()}
    before = {name: tensor.double().numpy().copy() for name, tensor in module.state_dict().items()}
    exact, loss, nearest = _sgd(module, x, y, torch.float64, wanted)
    single, _, _ = _sgd(module, x, y, torch.float32, wanted)
    unfit = "at a tie" if nearest < TIE else "it explodes" if not loss < MOST else ""
    last = result.meta["loss"][-1]  # None: no number
    return Trained(ours, exact, single, (np.nan if last is None else float(last), loss), before, unfit)


def _sgd(
    module: nn.Module, x: np.ndarray, y: np.ndarray, dtype: torch.dtype, wanted: set[str]
) -> tuple[dict[str, np.ndarray], float, float]:
    """In evaluation mode: norms keep their statistics. The last number is the least distance from any tie."""
    net = copy.deepcopy(module).to(dtype).eval()
    optimizer = torch.optim.SGD([tensor for name, tensor in net.named_parameters() if name in wanted], RATE)
    inputs, labels, loss = torch.from_numpy(x).to(dtype), torch.from_numpy(y), torch.zeros(())
    labels = labels.to(dtype) if labels.is_floating_point() else labels
    criterion = nn.functional.mse_loss if labels.is_floating_point() else nn.functional.cross_entropy
    distances: list[float] = [float("inf")]
    for part in net.modules():
        part.register_forward_hook(lambda part, given, _: distances.append(_from_tie(part, given[0].detach())))
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = criterion(net(inputs), labels)
        loss.backward()
        optimizer.step()
    values = {name: tensor.detach().double().numpy() for name, tensor in net.state_dict().items()}
    return values, float(loss.detach()), min(distances)


def _from_tie(part: nn.Module, x: torch.Tensor) -> float:
    if type(part) in KINKS:
        return min(float((x - kink).abs().min()) for kink in KINKS[type(part)])
    if isinstance(part, nn.MaxPool1d | nn.MaxPool2d):
        two = x if x.ndim == 4 else x[:, :, None]
        size = (2, 2) if isinstance(part, nn.MaxPool2d) else (1, 2)
        windows = two.unfold(2, size[0], 1).unfold(3, size[1], 1).flatten(-2)
        largest = windows.topk(2, -1).values
        apart = largest[..., 0] - largest[..., 1]
        return float(apart[apart > 0].min()) if (apart > 0).any() else float("inf")  # equal ones are zeros of a ReLU
    return float("inf")
