"""The faces on pictures: found and aligned by celebcam, as on the device, and described."""

from __future__ import annotations

import shutil
import subprocess
import warnings
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from . import REPOSITORY, data, duplicates
from .embedder import Embedder
from .failure import Failure
from .inventory import Item

BATCH = 32
# Side of a photo for its hash.
SMALL_PX = 136
# More faces than this are a crowd, in which the largest are looked at.
MOST_FACES = 12


def find_binary(given: str | None) -> str:
    """The celebcam binary: the one given, the repository's, or the one on the PATH."""
    built = [REPOSITORY / "target" / kind / "celebcam" for kind in ("release", "debug")]
    for candidate in [given] if given else [*built, "celebcam"]:
        found = shutil.which(str(candidate))
        if found:
            return found
    raise Failure(
        "there are photos to crop but no celebcam binary; build it with `make build` or give "
        "--celebcam PATH (or give aligned crops of 112x112 pixels)"
    )


def inspect(items: list[Item]) -> list[Item]:
    """Drops broken pictures and takes aligned crops; returns the photos."""
    photos = []
    for item in tqdm(items, desc="reading", unit="picture", disable=None):
        try:
            with warnings.catch_warnings(), Image.open(item.source) as picture:
                warnings.simplefilter("ignore")
                aligned = picture.size == (data.CROP_PX, data.CROP_PX)
                picture.draft("RGB", (SMALL_PX, SMALL_PX))
                picture.load()
                if not aligned:
                    small = picture.convert("RGB").resize(
                        (SMALL_PX, SMALL_PX), Image.Resampling.BOX
                    )
                    item.photo = duplicates.hashes(np.array(small))
        except Image.DecompressionBombError:
            item.dropped = "larger than a picture may be"
        except (OSError, ValueError, SyntaxError):
            item.dropped = "broken: it cannot be read as a picture"
        else:
            item.crops = [item.source] if aligned else []
            if not aligned:
                photos.append(item)
    return photos


def crop(photos: list[Item], binary: str, folder: Path) -> None:
    """Cuts every face out of each photo into a folder; drops photos without one."""
    inputs, outputs = folder / "photos", folder / "crops"
    inputs.mkdir(parents=True)
    links = [f"{number}{item.source.suffix.lower()}" for number, item in enumerate(photos)]
    for link, item in zip(links, photos, strict=True):
        (inputs / link).symlink_to(item.source.resolve())
    command = [binary, "crop", "--all", str(inputs), "--out", str(outputs)]
    done = subprocess.run(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
                          errors="replace", check=False)  # fmt: skip
    # 66 says that some pictures were unreadable; they are dropped below.
    if done.returncode not in (0, 66):
        raise Failure(
            f"{binary} crop failed with exit code {done.returncode}: {done.stderr[-300:]}"
        )
    for link, item in zip(links, photos, strict=True):
        found = [outputs / f"{link}-{k}.png" for k in range(1, MOST_FACES + 1)]
        item.crops = [path for path in found if path.is_file()]
        if not item.crops:
            item.dropped = why_none(done.stderr, str(inputs / link))


def why_none(said: str, path: str) -> str:
    """What celebcam said of a picture it cut nothing out of."""
    for line in said.splitlines():
        if path in line and "no face" not in line:
            return "broken: " + line.split(path, 1)[1].lstrip(": ").strip()
    return "no face found"


def describe(items: list[Item], embed: bool) -> None:
    """Gives each item the hashes of its faces and, if wanted, their embeddings."""
    embedder = Embedder() if embed else None
    paths = [path for item in items for path in item.crops]
    embeddings, hashes = [], []
    with tqdm(total=len(paths), desc="comparing", unit="face", disable=None) as bar:
        for start in range(0, len(paths), BATCH):
            crops = data.read_crops(paths[start : start + BATCH])
            embeddings += list(embedder.embed(crops)) if embedder else []
            hashes += [duplicates.hashes(crop) for crop in crops]
            bar.update(len(crops))
    start = 0
    for item in items:
        end = start + len(item.crops)
        item.hashes = np.stack(hashes[start:end])
        item.embeddings = np.stack(embeddings[start:end]) if embed else None
        start = end
