"""Finds copies of a picture and pictures that are nearly one, by the aligned faces on them.

A face that was aligned looks the same however its picture was scaled, cut or compressed. Two things
tell copies: a difference hash of 256 bits (each says whether a pixel of the crop at 17x16 grey
pixels is brighter than its left neighbour), of the crop or its mirror image, and the embedding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

# Bits that differ and cosines of embeddings. Different pictures of one person, and what a copy is
# after it was cut, scaled, mirrored or compressed, were compared on celeb24 (train), lfw and cfp.
COPY = ((32, 0.85), (60, 0.945))
# Pictures of one moment: no copies, but they say nothing new of each other.
NEAR = ((40, 0.6), (60, 0.8), (256, 0.9))
# The same by the hash alone. Of a hundred pairs of different pictures of one person, 99 differ by
# more than 57 bits and one in ten thousand by fewer than 32.
COPY_BITS, NEAR_BITS = 4, 30
BLOCK = 1024


@dataclass(frozen=True)
class Pairs:
    """Pairs of pictures i < j."""

    copies: list[tuple[int, int]]
    near: list[tuple[int, int]]


def hashes(crop: np.ndarray) -> np.ndarray:
    """The bits of a crop [h, w, 3] and of its mirror image, uint8 [2, 256] of 0 and 1."""
    return np.stack([bits(crop), bits(crop[:, ::-1])])


def bits(crop: np.ndarray) -> np.ndarray:
    """The difference hash of a picture."""
    grey = Image.fromarray(np.ascontiguousarray(crop)).convert("L")
    pixels = np.asarray(grey.resize((17, 16), Image.Resampling.BOX), dtype=np.int16)
    return (pixels[:, 1:] > pixels[:, :-1]).astype(np.uint8).ravel()


def pairs(hashed: np.ndarray, embeddings: np.ndarray | None) -> Pairs:
    """Which of n pictures are copies and which are near; hashes [n, 2, 256], embeddings [n, d].

    Without embeddings the hashes alone decide, more strictly.
    """
    rules = (COPY, NEAR)
    if embeddings is None:
        embeddings = np.ones((len(hashed), 1))
        rules = ((COPY_BITS, 0.0),), ((NEAR_BITS, 0.0),)
    signs = 2 * hashed.astype(np.float32) - 1
    copies, near = [], []
    for start in range(0, len(signs), BLOCK):
        rows = slice(start, start + BLOCK)
        straight = signs[rows, 0] @ signs[:, 0].T
        mirrored = signs[rows, 0] @ signs[:, 1].T
        differ = (signs.shape[2] - np.maximum(straight, mirrored)) / 2
        cosine = embeddings[rows] @ embeddings.T
        later = np.arange(len(signs))[None] > np.arange(start, start + len(differ))[:, None]
        for found, rule in zip((copies, near), rules, strict=True):
            joined = np.zeros_like(later)
            for most, least in rule:
                joined |= (differ <= most) & (cosine >= least)
            found += [(int(i) + start, int(j)) for i, j in np.argwhere(joined & later)]
    return Pairs(copies, near)


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
