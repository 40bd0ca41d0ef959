"""Finds copies of a picture and pictures that are nearly one, by the aligned faces on them.

A difference hash of 256 bits (each says whether a pixel of a picture at 17x16 grey pixels is brighter
than its left neighbour) hardly changes when a picture is scaled or compressed; its mirror image has
one of its own. Where a picture was cut, the hash of the aligned face and its embedding still tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

# Bits that differ between whole photos. Of 759 copies that were mirrored, scaled to 0.6 or compressed
# at quality 30, 99 % differ by no more; of 2.4 million pairs of pictures of lfw and cfp 25 do, all of
# them pairs of one person.
PICTURE_BITS = 20
# Bits that differ between faces, and cosines of embeddings. Different pictures of one person, and what a copy is
# after it was cut, scaled, mirrored or compressed, were compared on celeb24 (train), lfw and cfp.
COPY = ((32, 0.85), (60, 0.93), (256, 0.95))
# Pictures of one moment: no copies, but they say nothing new of each other.
NEAR = ((40, 0.6), (60, 0.8), (256, 0.9))
# The same by the hash alone. Of a hundred pairs of different pictures of one person, 99 differ by
# more than 57 bits and one in ten thousand by fewer than 32.
COPY_BITS, NEAR_BITS = 4, 30
BLOCK = 1024


@dataclass(frozen=True)
class Pairs:
    """Pairs of pictures i < j: photos that are equal as a whole, faces that are, faces that nearly are."""

    photos: list[tuple[int, int]]
    copies: list[tuple[int, int]]
    near: list[tuple[int, int]]


def hashes(picture: np.ndarray) -> np.ndarray:
    """The bits of a picture [h, w, 3] and of its mirror image, uint8 [2, 256] of 0 and 1."""
    return np.stack([bits(picture), bits(picture[:, ::-1])])


def bits(crop: np.ndarray) -> np.ndarray:
    """The difference hash of a picture."""
    grey = Image.fromarray(np.ascontiguousarray(crop)).convert("L")
    pixels = np.asarray(grey.resize((17, 16), Image.Resampling.BOX), dtype=np.int16)
    return (pixels[:, 1:] > pixels[:, :-1]).astype(np.uint8).ravel()


def signs(hashed: list[np.ndarray | None]) -> np.ndarray:
    """Hashes as -1 and 1, [n, 2, 256]; 0 where there is none, which is far from all."""
    none = np.full((2, 256), 0.5)
    return 2 * np.stack([none if one is None else one for one in hashed]).astype(np.float32) - 1


def pairs(
    hashed: list[np.ndarray], embeddings: np.ndarray | None, photos: list[np.ndarray | None]
) -> Pairs:
    """Which of n pictures are copies and which are near.

    `hashed` are the hashes of the faces, `photos` those of the whole photos, or None where the picture
    is a face already. Without embeddings [n, d] the hashes alone decide, more strictly.
    """
    rules = (COPY, NEAR)
    if embeddings is None:
        embeddings = np.ones((len(hashed), 1))
        rules = ((COPY_BITS, 0.0),), ((NEAR_BITS, 0.0),)
    faces, whole = signs(hashed), signs(photos)
    found = Pairs([], [], [])
    for start in range(0, len(faces), BLOCK):
        rows = slice(start, start + BLOCK)
        differ, cosine = apart(faces, rows), embeddings[rows] @ embeddings.T
        later = np.arange(len(faces))[None] > np.arange(start, start + len(differ))[:, None]

        def add(
            to: list[tuple[int, int]],
            where: np.ndarray,
            start: int = start,
            later: np.ndarray = later,
        ) -> None:
            to += [(int(i) + start, int(j)) for i, j in np.argwhere(where & later)]

        add(found.photos, apart(whole, rows) <= PICTURE_BITS)
        for to, rule in zip((found.copies, found.near), rules, strict=True):
            add(to, np.any([(differ <= b) & (cosine >= c) for b, c in rule], axis=0))
    return found


def apart(signed: np.ndarray, rows: slice) -> np.ndarray:
    """Bits that differ between some pictures and all, or between their mirror images."""
    straight, mirrored = (signed[rows, 0] @ signed[:, side].T for side in (0, 1))
    return (signed.shape[2] - np.maximum(straight, mirrored)) / 2


def groups(count: int, joined: list[tuple[int, int]]) -> np.ndarray:
    """Group of each picture, named by its first: pairs, and chains of such, share one."""
    parent = np.arange(count)

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for i, j in joined:
        a, b = root(i), root(j)
        parent[max(a, b)] = min(a, b)
    return np.array([root(i) for i in range(count)], dtype=np.int64)
