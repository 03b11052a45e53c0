"""The built-in networks: a file each, holding `build(batch, seed) -> Model`."""

from collections.abc import Callable
from functools import partial

from workbench.frontends.model import Model
from workbench.frontends.zoo import conv_relu, lenet, mcu, mlp, mobilenet, multiply_add, resnet

ZOO: dict[str, Callable[[int, int], Model]] = {
    "conv-relu": conv_relu.build,
    "lenet": lenet.build,
    "mlp": mlp.build,
    "mobilenet": mobilenet.build,
    "multiply-add": multiply_add.build,
    "resnet": resnet.build,
    **{name: partial(mcu.build, name) for name in mcu.BLOCKS},
}
