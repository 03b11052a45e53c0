"""The built-in networks: a file each, holding `build(batch, seed) -> Model`."""

from collections.abc import Callable
from functools import partial
from numbers import Integral

from workbench.errors import ModelError
from workbench.frontends.model import Model
from workbench.frontends.zoo import conv_relu, lenet, mcu, mlp, mobilenet, resnet

ZOO: dict[str, Callable[[int, int], Model]] = {
    "conv-relu": conv_relu.build,
    "lenet": lenet.build,
    "mlp": mlp.build,
    "mobilenet": mobilenet.build,
    "resnet": resnet.build,
    **{name: partial(mcu.build, name) for name in mcu.BLOCKS},
}


def names() -> tuple[str, ...]:
    return tuple(ZOO)


def load(name: str, batch: int = 1, seed: int = 0) -> Model:
    """The built-in network `name` for `batch` samples at once. Raises ModelError that lists what there is."""
    if name not in ZOO:
        raise ModelError(f"no network is called {name!r}", f"there are {', '.join(ZOO)}; `workbench models` tells more")
    return ZOO[name](checked_batch(batch), seed)


def checked_batch(batch) -> int:
    """`batch` if it can be one. Raises ModelError."""
    if not isinstance(batch, Integral) or batch < 1:
        raise ModelError(f"a batch is a whole number of samples, at least one; got {batch}")
    return int(batch)
