"""lenet: two convolutions with max pooling and two dense layers, for 8×8 digits (after LeCun et al. 1998)."""

from workbench.frontends.layers import Network
from workbench.frontends.model import Model


def build(batch: int = 1, seed: int = 0) -> Model:
    net = Network("lenet", (batch, 1, 8, 8), seed)
    x = net.relu(net.conv2d(net.input, "conv1", 8, kernel=3, padding=1), "conv1")
    x = net.max_pool2d(x, "pool1", 2)
    x = net.relu(net.conv2d(x, "conv2", 16, kernel=3, padding=1), "conv2")
    x = net.max_pool2d(x, "pool2", 2)
    x = net.relu(net.dense(net.flatten(x), "fc1", 32), "fc1")
    return net.model(net.dense(x, "fc2", 10), "digits", "two convolutions, two dense layers, 8×8 digits")
