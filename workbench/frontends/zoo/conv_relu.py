"""conv-relu: one convolution and a ReLU, to look at its forward and backward IR."""

from workbench.frontends.layers import Network
from workbench.frontends.model import Model


def build(batch: int = 1, seed: int = 0) -> Model:
    net = Network("conv-relu", (batch, 3, 28, 28), seed)
    y = net.relu(net.conv2d(net.input, "v0", 3, kernel=3, padding=1), "v0")
    return net.model(y, None, "Conv2d(3, 3, kernel 3, padding 1) + ReLU, to `show`")
