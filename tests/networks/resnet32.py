"""resnet32: three residual stages for 32×32 colour images, what most people begin with. A file as users write one.

    x ── conv 3×3 ─ relu ─ conv 3×3 ── + ── relu        a stage; where it halves the image, the first convolution has
    └──────────── (conv 1×1) ──────────┘                stride 2 and the other branch a strided 1×1 projection

Its first values and gradients, of 16 channels, are large; behind stage3 nearly nothing is.
"""

from workbench.frontends.layers import Network

STAGES = ((16, 1), (32, 2), (64, 2))  # channels, stride


def net(batch=1, seed=0):
    net = Network("resnet32", (batch, 3, 32, 32), seed)
    x = net.relu(net.conv2d(net.input, "stem", 16, 3, padding=1), "stem")
    for number, (channels, stride) in enumerate(STAGES, 1):
        name = f"stage{number}"
        y = net.relu(net.conv2d(x, f"{name}.conv1", channels, 3, stride=stride, padding=1), f"{name}.conv1")
        y = net.conv2d(y, f"{name}.conv2", channels, 3, padding=1)
        shortcut = x if x.shape == y.shape else net.conv2d(x, f"{name}.shortcut", channels, 1, stride=stride)
        x = net.relu(net.add(y, shortcut, f"{name}.add"), name)
    return net.model(net.dense(net.global_avg_pool2d(x, "pool"), "fc", 10))
