"""Small networks in plain PyTorch, written as their users write them: nothing here knows the workbench."""

import torch
from torch import nn


def conv_norm(inputs, outputs, kernel, stride=1, groups=1, activation=nn.ReLU6):
    """A convolution without a bias, its batch norm, and what follows."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        activation(),
    )


class InvertedResidual(nn.Module):
    """MobileNetV2's block: widen, filter each channel alone, narrow without an activation."""

    def __init__(self, inputs, outputs, stride, expansion):
        super().__init__()
        wide = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        self.layers = nn.Sequential(
            conv_norm(inputs, wide, 1),
            conv_norm(wide, wide, 3, stride, groups=wide),
            nn.Conv2d(wide, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x):
        return x + self.layers(x) if self.residual else self.layers(x)


class MobileNetV2(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        blocks = [(8, 8, 1, 2), (8, 12, 2, 3), (12, 12, 1, 3)]
        self.features = nn.Sequential(
            conv_norm(1, 8, 3), *(InvertedResidual(*block) for block in blocks), conv_norm(12, 32, 1)
        )
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(32, classes))

    def forward(self, x):
        x = nn.functional.adaptive_avg_pool2d(self.features(x), 1)
        return self.classifier(torch.flatten(x, 1))


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.layer1 = BasicBlock(8, 8)
        self.layer2 = BasicBlock(8, 16, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(16, classes)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = self.avgpool(self.layer2(self.layer1(x)))
        return self.fc(x.view(x.size(0), -1))


class DSCNN(nn.Module):
    """Of keyword spotting: a convolution, then depthwise-separable ones; here of spectrograms of motion."""

    def __init__(self, channels=6, classes=4, width=16, blocks=2):
        super().__init__()
        layers = [conv_norm(channels, width, 3, activation=nn.ReLU)]
        for _ in range(blocks):
            layers += [conv_norm(width, width, 3, groups=width, activation=nn.ReLU),
                       conv_norm(width, width, 1, activation=nn.ReLU)]  # fmt: skip
        self.body = nn.Sequential(*layers)
        self.pool = nn.AvgPool2d(9)
        self.out = nn.Linear(width, classes)

    def forward(self, x):
        return self.out(self.pool(self.body(x)).squeeze(-1).squeeze(-1))


class Conv1dNet(nn.Module):
    """Of recordings (N, 6, 100)."""

    def __init__(self, channels=6, classes=4):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv1d(channels, 12, 5, stride=2),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.Conv1d(12, 16, 5),
            nn.ReLU(),
            nn.AdaptiveAvgPool1d(1),
            nn.Flatten(),
            nn.Linear(16, classes),
        )

    def forward(self, x):
        return self.net(x)


class Autoencoder(nn.Module):
    """Of digits (N, 1, 8, 8), through 16 numbers."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 4 * 4, 16), nn.Tanh()
        )
        self.decoder = nn.Sequential(
            nn.Linear(16, 8 * 4 * 4), nn.ReLU(), nn.Unflatten(1, (8, 4, 4)), nn.ConvTranspose2d(8, 1, 2, stride=2)
        )

    def forward(self, x):
        return torch.sigmoid(self.decoder(self.encoder(x)))


class GRUNet(nn.Module):
    """Of windows (N, 20, 6): the class by what is known after the last step."""

    def __init__(self, channels=6, hidden=16, classes=4):
        super().__init__()
        self.gru = nn.GRU(channels, hidden, batch_first=True)
        self.fc = nn.Linear(hidden, classes)

    def forward(self, x):
        out, _ = self.gru(x)
        return self.fc(out[:, -1])


class TransformerNet(nn.Module):
    """Of recordings (N, 100, 6) in patches of 10 steps."""

    def __init__(self, channels=6, patch=10, steps=100, width=16, classes=4):
        super().__init__()
        self.patch = patch
        self.embed = nn.Linear(channels * patch, width)
        self.positions = nn.Parameter(torch.randn(1, steps // patch, width) * 0.02)
        layer = nn.TransformerEncoderLayer(width, nhead=2, dim_feedforward=32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, num_layers=1)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        n, steps, channels = x.shape
        x = x.reshape(n, steps // self.patch, self.patch * channels)
        x = self.encoder(self.embed(x) + self.positions)
        return self.head(x.mean(dim=1))
