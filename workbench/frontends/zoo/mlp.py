"""mlp: three dense layers for 8×8 digits."""

from workbench.frontends.layers import Network
from workbench.frontends.model import Model


def build(batch: int = 1, seed: int = 0) -> Model:
    net = Network("mlp", (batch, 64), seed)
    x = net.relu(net.dense(net.input, "fc1", 64), "fc1")
    x = net.relu(net.dense(x, "fc2", 32), "fc2")
    return net.model(net.dense(x, "fc3", 10), "digits", "three dense layers, 8×8 digits")
