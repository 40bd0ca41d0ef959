"""What lies in a folder of people: every picture with its person, and everything that is left out.

DATA holds <name>/*.jpg, or {train,val,test}/<name>/*.jpg when it is split already. unknown/ holds
strangers: a folder each, or pictures of one stranger each. Hidden files are not looked at.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from . import data
from .failure import Failure

GIVEN = ("train", "val", "test")
UNKNOWN = "unknown"
# What file managers leave behind; nobody misses them.
LEFT_BEHIND = {"thumbs.db", "desktop.ini"}


@dataclass
class Item:
    """A file on its way into the data set; `dropped` says why it does not get there.

    What differs from file to file stands behind a colon in it.
    """

    source: Path
    split: str  # "" while it is not split
    name: str
    dropped: str = ""
    # Aligned crops of the faces on it, the largest first, and which of them is taken.
    crops: list[Path] = field(default_factory=list)
    taken: int = 0
    # The hashes of the whole photo and its mirror image; none for an aligned crop.
    photo: np.ndarray | None = None
    # Of each face: an embedding of length 1, and the hashes of the crop and of its mirror image.
    embeddings: np.ndarray | None = None
    hashes: np.ndarray | None = None
    # How alike the face is to the others of its person, and what to look at.
    fit: float | None = None
    doubt: str = ""
    group: int = -1

    @property
    def kept(self) -> bool:
        return not self.dropped

    @property
    def stranger(self) -> bool:
        return self.split == UNKNOWN

    @property
    def crop(self) -> Path:
        """The crop of the face that is taken."""
        return self.crops[self.taken]

    @property
    def embedding(self) -> np.ndarray:
        """The embedding of the face that is taken."""
        return self.embeddings[self.taken]


def find(folder: Path) -> list[Item]:
    """Every file of a data folder; what is no picture of a person is dropped already."""
    if not folder.is_dir():
        raise Failure(f"there is no folder {folder}; give one with a folder of pictures per person")
    top = data.people(folder)
    splits = [split for split in GIVEN if split in top]
    people = [("", folder / name) for name in top if name != UNKNOWN and not splits]
    people += [(split, folder / split / name) for split in splits
               for name in data.people(folder / split)]  # fmt: skip
    people += [(UNKNOWN, folder / UNKNOWN / name) for name in data.people(folder / UNKNOWN)]
    items = [item for split, place in people for item in of_person(place, split)]
    items += strangers_alone(folder / UNKNOWN)
    items += stray(folder, "", "not in the folder of a person")
    for split in splits:
        items += stray(folder / split, split, "not in the folder of a person")
    if splits:
        for name in set(top) - {*splits, UNKNOWN}:
            items += below(folder / name, "", "", f"beside {', '.join(splits)}, which are taken")
    if not any(item.kept and not item.stranger for item in items):
        raise Failure(f"{folder} holds no pictures; put them into {folder}/<name of a person>/")
    same_names({item.name for item in items if item.kept and not item.stranger})
    return items


def files(folder: Path) -> list[Path]:
    """What lies directly in a folder and is no folder, links to nowhere too."""
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir()
        if not path.is_dir() and not path.name.startswith(".") and path.name.lower() not in LEFT_BEHIND
    )  # fmt: skip


def of_person(folder: Path, split: str) -> list[Item]:
    """The files of one person; an item without a file stands for a folder that has none."""
    items = []
    for path in files(folder):
        items.append(Item(path, split, folder.name, unread(path)))
    for name in data.people(folder):
        items += below(folder / name, split, folder.name, "in a folder of its own; move it up")
    return items or [Item(folder, split, folder.name, "an empty folder")]


def unread(path: Path) -> str:
    """Why a file is not read; empty for a picture."""
    if path.suffix.lower() not in data.SUFFIXES:
        kind = path.suffix.lower() or "no ending"
        return f"not of a kind that is read (JPEG, PNG, WebP, BMP): {kind}"
    return "" if path.is_file() else "not a file, or a link to none"


def strangers_alone(folder: Path) -> list[Item]:
    """Pictures directly in unknown/: each shows a stranger of its own."""
    return [Item(path, UNKNOWN, path.stem, unread(path)) for path in files(folder)]


def stray(folder: Path, split: str, why: str) -> list[Item]:
    """Files where only folders should be."""
    return [Item(path, split, "", why) for path in files(folder)]


def below(folder: Path, split: str, name: str, why: str) -> list[Item]:
    """Every file below a folder that is not looked into."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [Item(path, split, name, why) for path in found if not path.name.startswith(".")]


def same_names(names: set[str]) -> None:
    """A Failure where two folders have one name in two spellings that look alike."""
    seen: dict[str, str] = {}
    for name in sorted(names):
        plain = " ".join(unicodedata.normalize("NFKC", name).replace("_", " ").split()).casefold()
        if plain in seen:
            raise Failure(
                f"the folders {seen[plain]!r} and {name!r} have the same name; put their pictures "
                "into one"
            )
        seen[plain] = name
