"""MobileNet V1 as TensorFlow defines it: SAME padding, ReLU6, batch norm epsilon 1e-3.

Source: Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
Applications", 2017, table 1. The names of the state dict are those of the project's weights.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

# Output channels and stride of each depthwise separable block at width 1.0.
BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)


class ConvolutionUnit(nn.Module):
    """Convolution, batch norm and ReLU6."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, groups: int = 1):
        super().__init__()
        self.same_padding = kernel == 3 and stride == 2
        padding = 1 if kernel == 3 and stride == 1 else 0
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)
        self.activation = nn.ReLU6()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.same_padding:
            # SAME at stride 2 pads an even side at its end only, an odd side at both.
            top, left = int(x.shape[2]) % 2, int(x.shape[3]) % 2
            x = functional.pad(x, (left, 1, top, 1))
        return self.activation(self.bn(self.conv(x)))


class MobileNetV1(nn.Module):
    """Maps a normalised picture [n, 3, h, w] to pooled features [n, features]."""

    def __init__(self, width: float = 1.0):
        super().__init__()
        channels = [max(8, int(32 * width)), *(max(8, int(c * width)) for c, _ in BLOCKS)]
        self.features = channels[-1]
        self.conv1 = ConvolutionUnit(3, channels[0], 3, 2)
        self.blocks = nn.ModuleList(
            nn.ModuleDict(
                {
                    "dw": ConvolutionUnit(inputs, inputs, 3, stride, groups=inputs),
                    "pw": ConvolutionUnit(inputs, outputs, 1, 1),
                }
            )
            for inputs, outputs, (_, stride) in zip(channels, channels[1:], BLOCKS, strict=False)
        )
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv1(x)
        for block in self.blocks:
            x = block["pw"](block["dw"](x))
        return self.pool(x).flatten(1)
