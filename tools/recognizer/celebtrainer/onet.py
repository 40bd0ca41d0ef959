"""ONet, the last stage of MTCNN: five landmarks of a face. The teacher of the aligner.

Source: Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional
Networks", 2016. Face networks are mostly trained on crops that its landmarks placed.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import nn

from .similarity import Similarity

INPUT_PX = 48
# Looks around a face, of which the surest count.
LOOKS = 24
SUREST = 8


class ONet(nn.Module):
    """Maps a normalised picture [n, 3, 48, 48] to face or not [n, 2], box [n, 4], points [n, 10].

    The layers have the names of the state dict in the Python package facenet-pytorch.
    """

    def __init__(self):
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 32, 3), nn.PReLU(32)
        self.conv2, self.prelu2 = nn.Conv2d(32, 64, 3), nn.PReLU(64)
        self.conv3, self.prelu3 = nn.Conv2d(64, 64, 3), nn.PReLU(64)
        self.conv4, self.prelu4 = nn.Conv2d(64, 128, 2), nn.PReLU(128)
        self.dense5, self.prelu5 = nn.Linear(1152, 256), nn.PReLU(256)
        self.dense6_1, self.dense6_2, self.dense6_3 = (nn.Linear(256, n) for n in (2, 4, 10))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        halve = nn.functional.max_pool2d
        x = halve(self.prelu1(self.conv1(x)), 3, 2, ceil_mode=True)
        x = halve(self.prelu2(self.conv2(x)), 3, 2, ceil_mode=True)
        x = halve(self.prelu3(self.conv3(x)), 2, 2, ceil_mode=True)
        x = self.prelu4(self.conv4(x))
        # The package's weights expect columns before rows.
        x = self.prelu5(self.dense5(x.permute(0, 3, 2, 1).flatten(1)))
        return self.dense6_1(x).softmax(1), self.dense6_2(x), self.dense6_3(x)


@torch.inference_mode()
def look(net: ONet, picture: Image.Image, squares: np.ndarray):
    """Confidences [n], squares of the faces [n, 3] and their points [n, 5, 2] in pixels of the
    picture, in squares [n, 3] given by centre and side."""
    seen = [
        Similarity.scaling(INPUT_PX / side, (x, y), INPUT_PX / 2).warp(picture, INPUT_PX, 0)
        for x, y, side in squares
    ]
    faces, boxes, points = net((torch.tensor(np.stack(seen)).permute(0, 3, 1, 2) - 127.5) / 128)
    sides, corners = squares[:, 2:], squares[:, :2] - squares[:, 2:] / 2
    low, high = corners + boxes[:, :2].numpy() * sides, corners + (1 + boxes[:, 2:].numpy()) * sides
    found = np.column_stack([(low + high) / 2, (high - low).max(axis=1)])
    points = points.numpy().reshape(-1, 2, 5).transpose(0, 2, 1)
    return faces[:, 1].numpy(), found, points * sides[:, None] + corners[:, None]


def landmarks(net: ONet, picture: Image.Image, square: np.ndarray, rng: np.random.Generator):
    """The eyes, nose and mouth's corners [5, 2] of the face in a square, how sure the network is of
    it, and how far single looks are from the answer, in sides of the square.

    One look is off by some pixels; the median of those around a face is not.
    """
    x, y, side = square
    around = np.column_stack([
        x + rng.uniform(-0.25, 0.25, LOOKS) * side,
        y + rng.uniform(-0.25, 0.25, LOOKS) * side,
        side * np.exp(rng.uniform(np.log(0.9), np.log(1.7), LOOKS)),
    ])  # fmt: skip
    sure, found, _ = look(net, picture, around)
    best = found[np.argsort(-sure)[:SUREST]]
    near = best + rng.normal(0, 0.06, best.shape) * best[:, 2:]
    sure, _, points = look(net, picture, np.concatenate([best, near]))
    kept = np.argsort(-sure)[:SUREST]
    middle = np.median(points[kept], axis=0)
    spread = np.linalg.norm(points[kept] - middle, axis=2).mean() / side
    return middle, float(sure[kept].mean()), float(spread)
