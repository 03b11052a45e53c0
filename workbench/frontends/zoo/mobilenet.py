"""mobilenet: inverted bottlenecks for 8×8 digits (after MobileNetV2, Sandler et al. 2018), without batch normalization.

    x ── 1×1 expand ─ relu6 ─ depthwise 3×3 ─ relu6 ─ 1×1 project ── + ──      no activation after the projection;
    └────────────────────────────────────────────────────────────────┘         a residual only where shapes agree

Initialised like Fixup (Zhang et al. 2019): the projection that ends a residual branch starts near zero (see resnet).
Other projections feed no ReLU, so 1/√2 of He-normal keeps their variance.
"""

from math import sqrt

from workbench.frontends.layers import Network
from workbench.frontends.model import Model
from workbench.ir.build import Value

BLOCKS = ((16, 1), (24, 2), (24, 1), (32, 2))  # channels, stride
EXPANSION = 2
BRANCH_SCALE = 0.1


def build(batch: int = 1, seed: int = 0) -> Model:
    net = Network("mobilenet", (batch, 1, 8, 8), seed)
    x = net.relu6(net.conv2d(net.input, "stem", BLOCKS[0][0], kernel=3, padding=1), "stem")
    for number, (channels, stride) in enumerate(BLOCKS, 1):
        x = inverted_bottleneck(net, x, f"block{number}", channels, stride)
    x = net.dense(net.global_avg_pool2d(x, "pool"), "fc", 10)
    return net.model(x, "digits", "four inverted bottlenecks with depthwise convolutions, 8×8 digits")


def inverted_bottleneck(net: Network, x: Value, label: str, channels: int, stride: int) -> Value:
    """Expand, filter each channel by itself, project; added to x where that has the shape."""
    inner = EXPANSION * x.shape[1]
    residual = stride == 1 and x.shape[1] == channels
    y = net.relu6(net.conv2d(x, f"{label}.expand", inner, 1), f"{label}.expand")
    y = net.conv2d(y, f"{label}.depthwise", inner, 3, stride=stride, padding=1, groups=inner)
    y = net.relu6(y, f"{label}.depthwise")
    y = net.conv2d(y, f"{label}.project", channels, 1, scale=BRANCH_SCALE if residual else sqrt(1 / 2))
    return net.add(y, x, f"{label}.add") if residual else y
