"""Random networks of the kinds that most people have, quantized: plain convolutions with pooling, residual stages with
strided 1×1 shortcuts, inverted bottlenecks. With partial policies and every rounding; the same seed gives the same."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from graphs import same_bits
from random_models import Drawn

from workbench import boards, session
from workbench.artifacts import Compiled
from workbench.codegen import generate
from workbench.feeding import EMULATED, Training
from workbench.frontends.layers import Network
from workbench.frontends.loading import in_int8
from workbench.ir.build import Value
from workbench.passes.pipeline import SCHEDULES
from workbench.policy import Optimizer

WIDE_BIASES = "int32"
KINDS = ("plain", "residual", "bottleneck")
RATES = {True: 0.05, False: 2e4}  # with quantization-aware scaling, and without
SIZES = (7, 9, 12, 13, 16, 17, 20, 21)  # rows and columns of the image, each its own
POLICIES = ("bias-only", "bias-only+head", "last", "parts", "parts+biases", "full")


def drawn_int8(seed: int, sizes: tuple[int, ...] = SIZES, policy: str = "") -> Drawn:
    """An int8 network and how to train it; `model.unquantized` is its float32 form. `policy`: one of POLICIES, drawn
    unless told."""
    rng = np.random.default_rng(seed)
    kind = str(rng.choice(KINDS))
    net = Network(
        f"{kind}-{seed}",
        (int(rng.choice([1, 1, 2])), int(rng.choice([1, 3])), *(int(size) for size in rng.choice(sizes, 2))),
        int(rng.integers(1000)),
    )
    x = _Drawing(rng, net).grown(kind)
    x = net.global_avg_pool2d(x, "mean") if np.prod(x.shape[1:]) > 256 or rng.random() < 0.5 else net.flatten(x)
    model = in_int8(net.model(net.dense(x, "fc", int(rng.integers(2, 11)))))
    optimizer = Optimizer(
        rounding=str(rng.choice(["stochastic", "stochastic", "nearest", "truncate"])),
        qas=bool(rng.random() < 0.8),
        weight_decay=float(rng.choice([0, 0, 0, 0.01])),
        accumulate=int(np.random.default_rng([seed, 1]).choice([1, 1, 1, 2])),
    )
    form = policy or str(rng.choice(POLICIES))
    layers = [name.removesuffix(".weight") for name in net.weights if name.endswith(".weight")]
    return Drawn(
        model, policy_of(form, layers, rng), "optimized", optimizer, str(rng.choice(["nrf52840", "stm32f746"]))
    )


def policy_of(form: str, layers: list[str], rng: np.random.Generator) -> str:
    """One of POLICIES, for these layers: which are the last and which are updated in part is drawn."""
    if form == "last":
        return f"last-{rng.integers(1, len(layers) + 1)}"
    if not form.startswith("parts"):
        return form
    chosen = [name for name in layers[:-1] if rng.random() < 0.4] or [layers[int(rng.integers(len(layers) - 1))]]
    terms = [f"{name}{rng.choice(['', ':0.5', ':0.25'])}" for name in chosen]
    largest = ["largest"] if rng.random() < 0.3 and any(":" in term for term in terms) else []
    return "+".join([*terms, *(["bias-only"] if form == "parts+biases" else []), *largest])


def trained_alike(drawn: Drawn, steps: int) -> str:
    """Trains it in every schedule, and optimized with 32-bit biases too where none came to the end of its 16, emulated.

    Gives what is wrong, or "" where losses and weights of all are equal to the bit, some weights have changed, no
    access violates the plan, and what is touched is what is planned.
    """
    training = Training(steps=steps, trace="memory", engine=EMULATED, evaluate=False, lr=RATES[drawn.optimizer.qas])
    ways = {schedule: replace(drawn, schedule=schedule) for schedule in SCHEDULES}
    ways["int32 biases"] = replace(drawn, optimizer=replace(drawn.optimizer, bias_storage=WIDE_BIASES))
    expected: dict[str, np.ndarray] = {}
    saturated = 0
    for way, each in ways.items():
        if way not in SCHEDULES and saturated:
            continue
        run, weights = session.train(session.build(each.compiled(), boards.get(drawn.board)), training)
        memory, found = run.meta["memory"], weights | {"losses": np.asarray(run.meta["loss"], np.float32)}
        expected, saturated = expected or found, run.meta["biases_saturated"]
        if len(run.violations):
            return f"{way}: {len(run.violations)} violations: {run.violations.iloc[0].to_dict()}"
        if not 0 <= memory["arena_planned"] - memory["arena_touched"] < 4:  # bytes behind an odd count of int8
            return f"{way}: touched {memory['arena_touched']} of {memory['arena_planned']} planned bytes"
        if not same_bits(expected, found):
            names = [name for name in expected if not np.array_equal(expected[name], found[name], equal_nan=True)]
            return f"{way}: other bits than {next(iter(ways))} in {', '.join(names)}"
    before = drawn.model.weights
    return "" if not same_bits(dict(before), {name: expected[name] for name in before}) else "no weight has changed"


def planned(compiled: Compiled) -> int:
    """Arena and static bytes; the stack comes on top."""
    project = generate(compiled.graph, compiled.memory, compiled.weights, boards.get("virtual-m7"))
    return project.static + compiled.memory.plan.bytes


class _Drawing:
    """The layers of one network, drawn."""

    def __init__(self, rng: np.random.Generator, net: Network):
        self.rng, self.net = rng, net
        self.clip: Callable[[Value, str], Value] = net.relu if rng.random() < 0.6 else net.relu6

    def width(self) -> int:
        return int(self.rng.integers(4, 25))

    def conv(self, x: Value, name: str, channels: int, kernel: int, stride: int = 1, clip: bool = True, **how) -> Value:
        y = self.net.conv2d(x, name, channels, kernel, stride=stride, **{"padding": kernel // 2} | how)
        return self.clip(y, name) if clip else y

    def stride(self, x: Value, largest: int = 2) -> int:
        """Above 1 only where some rows are left to go on with."""
        stride = int(self.rng.choice([1, 1, 2, largest]))
        return stride if min(x.shape[2:]) > 2 * stride else 1

    def grown(self, kind: str) -> Value:
        rng, x = self.rng, self.net.input
        if kind != "plain":
            x = self.conv(x, "stem", self.width(), 3, self.stride(x))
        for number in range(int(rng.integers(2, 6) if kind == "plain" else rng.integers(1, 4))):
            x = getattr(self, kind)(x, f"{kind}{number}")
        return x

    def plain(self, x: Value, name: str) -> Value:
        rng = self.rng
        stride, kernel = self.stride(x, 3), int(rng.choice([1, 3, 3, 5]))
        how = {"padding": 0} if rng.random() < 0.15 and min(x.shape[2:]) > kernel + 2 else {}
        x = self.conv(x, name, self.width(), kernel, stride, bool(rng.random() < 0.9), **how)
        if stride == 1 and min(x.shape[2:]) > 3 and rng.random() < 0.5:
            pool = self.net.max_pool2d if rng.random() < 0.6 else self.net.avg_pool2d
            x = pool(x, f"{name}.pool", int(rng.integers(2, 4)), stride=int(rng.integers(1, 3)))
        return x

    def residual(self, x: Value, name: str) -> Value:
        rng, stride = self.rng, self.stride(x)
        channels = self.width() if stride > 1 or rng.random() < 0.4 else x.shape[1]
        y = self.conv(x, f"{name}.conv1", channels, 3, stride)
        y = self.conv(y, f"{name}.conv2", channels, int(rng.choice([1, 3, 3])), clip=False)
        if x.shape != y.shape:
            x = self.conv(x, f"{name}.shortcut", channels, 1, stride, clip=False)
        x = self.net.add(*((y, x) if rng.random() < 0.5 else (x, y)), f"{name}.add")
        return self.clip(x, name) if rng.random() < 0.8 else x

    def bottleneck(self, x: Value, name: str) -> Value:
        rng, stride = self.rng, self.stride(x)
        channels = x.shape[1] if stride == 1 and rng.random() < 0.6 else self.width()
        inner = min(x.shape[1] * int(rng.integers(2, 5)), 48)
        y = self.conv(x, f"{name}.expand", inner, 1)
        y = self.conv(y, f"{name}.depthwise", inner, int(rng.choice([3, 3, 5])), stride, groups=inner)
        y = self.conv(y, f"{name}.project", channels, 1, clip=False)
        return self.net.add(y, x, f"{name}.add") if x.shape == y.shape else y
