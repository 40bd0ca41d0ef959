"""Rotation, scale and shift of a picture, as in src/warp.rs. Positions are in pixels from the corner:
the centre of the first pixel is (0.5, 0.5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Similarity:
    """Maps a position p to matrix @ p + shift."""

    matrix: np.ndarray
    shift: np.ndarray

    @classmethod
    def about(cls, source, target, angle: float, scale: float) -> Similarity:
        """Turns by an angle in radians, scales, and takes one position to another."""
        a, b = scale * np.cos(angle), scale * np.sin(angle)
        matrix = np.array([[a, -b], [b, a]])
        return cls(matrix, np.broadcast_to(target, 2) - matrix @ np.asarray(source))

    @classmethod
    def scaling(cls, scale: float, source, target) -> Similarity:
        """Scales, and takes one position to another."""
        return cls.about(source, target, 0.0, scale)

    @classmethod
    def fit(cls, source: np.ndarray, target: np.ndarray) -> Similarity:
        """Takes positions [n, 2] nearest to others by least squares (Umeyama 1991)."""
        p, q = source - source.mean(axis=0), target - target.mean(axis=0)
        a = (p * q).sum() / (p**2).sum()
        b = (p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]).sum() / (p**2).sum()
        matrix = np.array([[a, -b], [b, a]])
        return cls(matrix, target.mean(axis=0) - matrix @ source.mean(axis=0))

    @property
    def scale(self) -> float:
        return float(np.hypot(*self.matrix[:, 0]))

    @property
    def angle(self) -> float:
        return float(np.arctan2(self.matrix[1, 0], self.matrix[0, 0]))

    def __call__(self, positions: np.ndarray) -> np.ndarray:
        return positions @ self.matrix.T + self.shift

    def inverse(self) -> Similarity:
        matrix = np.linalg.inv(self.matrix)
        return Similarity(matrix, -matrix @ self.shift)

    def warp(self, picture: Image.Image, side: int, outside: int) -> np.ndarray:
        """The square that a picture is mapped onto, uint8 [side, side, 3]."""
        back = self.inverse()
        factor = max(1, int(back.scale + 0.25))
        if factor > 1:
            picture = picture.reduce(factor)
        rows = np.column_stack([back.matrix, back.shift]) / factor
        return np.asarray(
            picture.transform(
                (side, side),
                Image.Transform.AFFINE,
                tuple(rows.ravel()),
                resample=Image.Resampling.BILINEAR,
                fillcolor=(outside,) * 3,
            )
        )
