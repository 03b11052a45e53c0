"""resnet: three residual stages for 8×8 digits (after He et al. 2016), without batch normalization.

    x ── conv 3×3 ─ relu ─ conv 3×3 ── + ── relu        a stage; where it halves the image, the first convolution has
    └──────────── (conv 1×1) ──────────┘                stride 2 and the other branch a strided 1×1 projection

Initialised like Fixup (Zhang et al. 2019): the last convolution of each residual branch starts near zero, so that at
first a block passes its input on and its depth does not blow gradients up. Fixup takes zero itself; but through zeros
no gradient reaches the rest of the branch, and a policy that updates biases alone would never change that.
"""

from workbench.frontends.layers import Network
from workbench.frontends.model import Model
from workbench.ir.build import Value

STAGES = ((8, 1), (16, 2), (20, 2))  # channels, stride
BRANCH_SCALE = 0.1


def build(batch: int = 1, seed: int = 0) -> Model:
    net = Network("resnet", (batch, 1, 8, 8), seed)
    x = net.relu(net.conv2d(net.input, "stem", STAGES[0][0], kernel=3, padding=1), "stem")
    for number, (channels, stride) in enumerate(STAGES, 1):
        x = basic_block(net, x, f"stage{number}", channels, stride)
    x = net.dense(net.global_avg_pool2d(x, "pool"), "fc", 10)
    return net.model(x, "digits", "three residual stages, global average pooling, 8×8 digits")


def basic_block(net: Network, x: Value, label: str, channels: int, stride: int) -> Value:
    """relu(branch(x) + x), the shortcut projected where the shapes differ."""
    y = net.relu(net.conv2d(x, f"{label}.conv1", channels, 3, stride=stride, padding=1), f"{label}.conv1")
    y = net.conv2d(y, f"{label}.conv2", channels, 3, padding=1, scale=BRANCH_SCALE)
    if x.shape != y.shape:
        x = net.conv2d(x, f"{label}.shortcut", channels, 1, stride=stride)
    return net.relu(net.add(y, x, f"{label}.add"), label)
