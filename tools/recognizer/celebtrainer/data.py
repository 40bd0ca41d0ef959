"""A prepared data set on disk: {train,val,test,unknown}/<name>/ with aligned crops."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from .failure import Failure

CROP_PX = 112
MANIFEST = "manifest.csv"
SPLITS = ("train", "val", "test", "unknown")
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}


@dataclass(frozen=True)
class Part:
    """One split: the pictures' paths and, for each, the index into `names`."""

    paths: list[Path]
    people: np.ndarray
    names: list[str]

    def __len__(self) -> int:
        return len(self.paths)


def pictures(folder: Path) -> list[Path]:
    """The picture files directly in a folder, sorted."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())


def people(folder: Path) -> list[str]:
    """The names of the folders in a folder, sorted."""
    if not folder.is_dir():
        return []
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def read_part(data: Path, split: str, names: list[str] | None = None) -> Part:
    """Lists a split; `names` fixes the order of the people, by default that of the folders."""
    names = people(data / split) if names is None else names
    found = [(p, i) for i, n in enumerate(names) if (data / split / n).is_dir()
             for p in pictures(data / split / n)]  # fmt: skip
    return Part([p for p, _ in found], np.array([i for _, i in found], dtype=np.int64), names)


def read_parts(data: Path, splits: tuple[str, ...], names: list[str]) -> Part:
    """Several splits, one after the other."""
    parts = [read_part(data, split, names) for split in splits]
    paths = [path for part in parts for path in part.paths]
    return Part(paths, np.concatenate([part.people for part in parts]), names)


def need_part(data: Path, split: str, names: list[str] | None = None) -> Part:
    """As `read_part`, but a Failure when there are no pictures."""
    part = read_part(data, split, names)
    if len(part) == 0:
        raise Failure(f"{data / split} holds no pictures; run prepare.py and give its output")
    return part


def read_crop(path: Path) -> np.ndarray:
    """An aligned crop as uint8 [112, 112, 3], RGB."""
    try:
        with Image.open(path) as picture:
            crop = np.array(picture.convert("RGB"))
    except (OSError, ValueError) as error:
        raise Failure(f"cannot read {path}: {error}; run prepare.py again") from error
    if crop.shape != (CROP_PX, CROP_PX, 3):
        raise Failure(f"{path} is not a {CROP_PX}x{CROP_PX} crop; run prepare.py on the photos")
    return crop


def read_crops(paths: list[Path]) -> np.ndarray:
    """Several crops as uint8 [n, 112, 112, 3]."""
    return np.stack([read_crop(path) for path in paths])


def manifest(data: Path) -> list[dict[str, str]]:
    """The rows that prepare.py wrote of its pictures, kept and dropped ones; none where it did not."""
    try:
        with open(data / MANIFEST, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        return []


def moments(data: Path, paths: list[Path]) -> np.ndarray:
    """A number for each crop that those share which prepare.py found to be nearly one."""
    known = {str(data / row["path"]): int(row["group"]) for row in manifest(data) if row["path"]}
    alone = max(known.values(), default=0) + 1
    return np.array([known.get(str(path), alone + k) for k, path in enumerate(paths)], np.int64)


def table(data: Path) -> str:
    """Pictures and people in each split, as lines of text."""
    lines = [f"{'':12}{'people':>8}{'pictures':>10}{'fewest':>8}{'most':>8}"]
    titles = {"train": "train", "val": "validation", "test": "test", "unknown": "strangers"}
    for split in SPLITS:
        part = read_part(data, split)
        if len(part):
            each = np.bincount(part.people, minlength=len(part.names))
            row = f"{len(part.names):>8}{len(part):>10}{each.min():>8}{each.max():>8}"
            lines.append(f"{titles[split]:12}{row}")
    return "\n".join(lines)
