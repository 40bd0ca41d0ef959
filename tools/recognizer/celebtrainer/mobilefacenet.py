"""MobileFaceNet: a MobileNet made for faces of 112 pixels.

Source: Chen et al., "MobileFaceNets: Efficient CNNs for Accurate Real-time Face Verification on
Mobile Devices", 2018, table 1. Batch norms are folded into the convolutions.
"""

from __future__ import annotations

import torch
from torch import nn

INPUT_PX = 112
FEATURES = 512
# Expanded channels, output channels and stride of each bottleneck.
BOTTLENECKS = (
    (128, 64, 2),
    *((128, 64, 1),) * 4,
    (256, 128, 2),
    *((256, 128, 1),) * 6,
    (512, 128, 2),
    *((256, 128, 1),) * 2,
)


def convolution(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    """A convolution that keeps the size, or halves it with a stride of 2."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups)


class Bottleneck(nn.Module):
    """Widens, convolves each channel, narrows; adds what came in where the shape stays."""

    def __init__(self, inputs: int, expanded: int, outputs: int, stride: int):
        super().__init__()
        self.adds_input = stride == 1 and inputs == outputs
        self.layers = nn.Sequential(
            convolution(inputs, expanded),
            nn.PReLU(expanded),
            convolution(expanded, expanded, 3, stride, groups=expanded),
            nn.PReLU(expanded),
            convolution(expanded, outputs),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layers(x)
        return x + y if self.adds_input else y


class MobileFaceNet(nn.Module):
    """Maps a normalised picture [n, 3, 112, 112] to features [n, 512].

    The last 7x7 depthwise convolution weighs each place of the face by itself; it stands where
    other networks take the mean, and fixes the size of the picture.
    """

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            convolution(3, 64, 3, 2),
            nn.PReLU(64),
            convolution(64, 64, 3, groups=64),
            nn.PReLU(64),
        )
        inputs = [64, *(outputs for _, outputs, _ in BOTTLENECKS)]
        self.bottlenecks = nn.Sequential(
            *(Bottleneck(i, *shape) for i, shape in zip(inputs, BOTTLENECKS, strict=False))
        )
        self.pool = nn.Sequential(
            convolution(inputs[-1], FEATURES),
            nn.PReLU(FEATURES),
            nn.Conv2d(FEATURES, FEATURES, 7, groups=FEATURES),
            convolution(FEATURES, FEATURES),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pool(self.bottlenecks(self.stem(x))).flatten(1)
