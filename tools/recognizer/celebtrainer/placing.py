"""How a face lies in its crop: what the aligner sees, what it is to answer, and examples of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from .similarity import Similarity

INPUT_PX = 64
# Side of the square that is seen, in widths of the face's box.
WIDTHS = 1.3
GRAY = 128
# The ArcFace template: eyes, nose, corners of the mouth; and the two points that are asked for.
ARCFACE = np.array([[38.29, 51.70], [73.53, 51.50], [56.03, 71.74], [41.55, 92.37], [70.73, 92.20]])
PLACE = np.array([[56.0, 51.6], [56.0, 92.3]])
# Where the detector sees eyes and mouth of an upright face, as in src/align.rs.
UPRIGHT = np.array([[37.1, 52.7], [73.9, 52.5], [55.8, 92.9]])

# Width of the faces in the pictures that are learned from, in pixels, and side of these.
KEPT_WIDTH = 100
KEPT_SIDE = 240


@dataclass(frozen=True)
class Square:
    """Where the detector sees a face: middle, side in pixels, and the turn that puts it upright."""

    middle: np.ndarray
    side: float
    turn: float

    @classmethod
    def of(cls, face: np.ndarray) -> Square:
        """Of a face [8, 2] as `detector/decode.py` has it."""
        side = float((face[1] - face[0]).max())
        return cls((face[0] + face[1]) / 2, side, Similarity.fit(face[[2, 3, 5]], UPRIGHT).angle)

    def window(self) -> Similarity:
        """The map to what the network sees."""
        scale = INPUT_PX / (WIDTHS * self.side)
        return Similarity.about(self.middle, INPUT_PX / 2, self.turn, scale)

    def seen_by(self, to_crop: Similarity) -> np.ndarray:
        """Middle, logarithm of the side, and turn, in the crop of the face."""
        middle = to_crop(self.middle)
        return np.array([*middle, np.log(self.side * to_crop.scale), self.turn - to_crop.angle])

    def shaken(self, random: np.random.Generator) -> Square:
        """As a detector sees it that errs more."""
        return Square(
            self.middle + random.normal(0, 0.06, 2) * self.side,
            self.side * float(np.exp(random.normal(0, 0.1))),
            self.turn + random.normal(0, 0.12),
        )


@dataclass(frozen=True)
class Example:
    """A picture of a face, the place of the two points in it, and where the detector sees it; a
    crop that is aligned already has no square."""

    picture: np.ndarray
    place: np.ndarray
    weight: float
    square: Square | None

    @classmethod
    def of(cls, picture: Image.Image, face: np.ndarray, points: np.ndarray, weight: float):
        """Of a photo with the detector's face and the teacher's five points."""
        square = Square.of(face)
        kept = Similarity.scaling(min(1.0, KEPT_WIDTH / square.side), square.middle, KEPT_SIDE / 2)
        place = Similarity.fit(points, ARCFACE).inverse()(PLACE)
        moved = Square(kept(square.middle), square.side * kept.scale, square.turn)
        return cls(kept.warp(picture, KEPT_SIDE, GRAY), kept(place), weight, moved)

    @classmethod
    def of_crop(cls, crop: np.ndarray, weight: float) -> Example:
        """Of an aligned crop [112, 112, 3]."""
        return cls(crop, PLACE, weight, None)


class Sampler:
    """Draws what the network sees of examples."""

    def __init__(self, examples: list[Example], seed: int):
        self.random = np.random.default_rng(seed)
        views = np.array([
            example.square.seen_by(Similarity.fit(example.place, PLACE))
            for example in examples
            if example.square is not None
        ])  # fmt: skip
        self.middle = np.median(views, axis=0)
        low, high = np.percentile(views, (10, 90), axis=0)
        # As of a normal distribution.
        self.spread = (high - low) / 2.563

    def square(self, example: Example) -> Square:
        """Where a detector sees the face."""
        if example.square is not None:
            return example.square
        x, y, side, turn = self.random.normal(self.middle, self.spread)
        return Square(np.array([x, y]), float(np.exp(side)), turn)

    def plain(self, example: Example) -> tuple[np.ndarray, np.ndarray, float]:
        """What is seen, uint8 [64, 64, 3]; the place in it, [2, 2], as parts of its side; and how
        many pixels of the crop its side is long."""
        return self._seen(example, self.square(example), Image.fromarray(example.picture))

    def varied(self, example: Example) -> tuple[np.ndarray, np.ndarray, float]:
        """The same of a picture that is mirrored, blurred, cut off or badly lit by chance, seen by
        a detector that errs more."""
        random = self.random
        square = self.square(example).shaken(random)
        picture = Image.fromarray(example.picture)
        if random.random() < 0.3:
            picture = picture.filter(ImageFilter.GaussianBlur(random.uniform(0.3, 2.0)))
        seen, place, px = self._seen(example, square, picture)
        if random.random() < 0.5:
            seen, place = seen[:, ::-1], np.array([1.0, 0.0]) + place * np.array([-1.0, 1.0])
        seen = seen.astype(np.float32)
        if random.random() < 0.35:
            self._cut(seen)
        contrast, light = np.exp(random.normal(0, 0.25)), random.normal(0, 20)
        seen = (seen - 128) * contrast + 128 + light
        seen += random.normal(0, random.uniform(0, 6), seen.shape)
        if random.random() < 0.15:
            seen = np.repeat(seen.mean(axis=2, keepdims=True), 3, axis=2)
        return seen.clip(0, 255).astype(np.uint8), place, px

    def _seen(self, example: Example, square: Square, picture: Image.Image):
        window = square.window()
        place = window(example.place)
        # The two points are as far apart in the crop as in PLACE.
        px = np.diff(PLACE[:, 1])[0] / np.linalg.norm(place[1] - place[0]) * INPUT_PX
        return window.warp(picture, INPUT_PX, GRAY), place / INPUT_PX, float(px)

    def _cut(self, seen: np.ndarray) -> None:
        """Covers one side, as a picture's edge does or something before the face. Else the edges of
        aligned crops would tell the network where the face is."""
        turned = np.rot90(seen, self.random.integers(4))
        gray = GRAY if self.random.random() < 0.6 else self.random.integers(256)
        turned[: self.random.integers(2, 18)] = gray
