#!/usr/bin/env python3
"""Turns folders of pictures into a data set of aligned faces.

DATA holds <name>/*.jpg, or {train,val,test}/<name>/*.jpg when it is split already; unknown/<name>/
may hold strangers. Photos go through `celebcam crop`, as on the device; pictures of 112x112 pixels
are taken as aligned crops. OUT gets {train,val,test,unknown}/<name>/ and manifest.csv.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from celebtrainer import data, duplicates
from celebtrainer.failure import Failure, run

GIVEN = ("train", "val", "test")
FEWEST = 4
REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass
class Item:
    """A picture on its way into the data set; `dropped` says why it does not get there."""

    source: Path
    split: str  # "" while it is not split
    name: str
    crop: Path | None = None
    hash: np.ndarray | None = None
    group: int = -1
    dropped: str = ""

    @property
    def kept(self) -> bool:
        return not self.dropped


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--val", type=float, default=0.15, help="share for validation")
    parser.add_argument("--test", type=float, default=0.15, help="share for the test")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--celebcam", help="the celebcam binary, for photos")
    return parser.parse_args()


def find_items(folder: Path) -> list[Item]:
    """Every picture file of a data folder with its split and its person."""
    if not folder.is_dir():
        raise Failure(f"there is no folder {folder}; give one with a folder of pictures per person")
    top = data.people(folder)
    splits = [s for s in GIVEN if s in top]
    places = [("", folder, [n for n in top if n != "unknown"])]
    if splits:
        places = [(s, folder / s, data.people(folder / s)) for s in splits]
    places.append(("unknown", folder / "unknown", data.people(folder / "unknown")))
    items = [Item(p, split, name) for split, where, names in places for name in names
             for p in data.pictures(where / name)]  # fmt: skip
    if not any(item.split != "unknown" for item in items):
        raise Failure(f"{folder} holds no pictures; put them into {folder}/<name of a person>/")
    return items


def inspect(items: list[Item]) -> list[Item]:
    """Marks broken pictures and takes aligned crops; returns the photos."""
    photos = []
    for item in tqdm(items, desc="reading", unit="picture"):
        try:
            with Image.open(item.source) as picture:
                picture.load()
                aligned = picture.size == (data.CROP_PX, data.CROP_PX)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            item.dropped = "broken"
            continue
        if aligned:
            item.crop = item.source
        else:
            photos.append(item)
    return photos


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


def crop_photos(photos: list[Item], binary: str, folder: Path) -> None:
    """Cuts the largest face out of each photo into a folder."""
    inputs, outputs = folder / "photos", folder / "crops"
    inputs.mkdir(parents=True)
    for number, item in enumerate(photos):
        (inputs / f"{number}{item.source.suffix.lower()}").symlink_to(item.source.resolve())
    done = subprocess.run([binary, "crop", str(inputs), "--out", str(outputs)], check=False)
    # 66 says that some pictures were unreadable; they are dropped below.
    if done.returncode not in (0, 66):
        raise Failure(f"{binary} crop failed with exit code {done.returncode}")
    for number, item in enumerate(photos):
        crop = outputs / f"{number}{item.source.suffix.lower()}.png"
        if crop.is_file():
            item.crop = crop
        else:
            item.dropped = "no face"


def drop_duplicates(items: list[Item]) -> None:
    """Drops equal pictures, and numbers groups of nearly equal ones within each person."""
    for item in tqdm(items, desc="comparing", unit="picture"):
        item.hash = duplicates.difference_hash(data.read_crop(item.crop))
    by_person: dict[tuple[bool, str], list[Item]] = {}
    for item in items:
        by_person.setdefault((item.split == "unknown", item.name), []).append(item)
    first_group = 0
    for members in by_person.values():
        # Test pictures come first, so that of two equal ones the training picture goes.
        members.sort(key=lambda item: (("test", "val", "train").index(item.split)
                                       if item.split in GIVEN else 0, str(item.source)))  # fmt: skip
        hashes = np.stack([item.hash for item in members])
        equal = duplicates.groups(hashes, duplicates.EQUAL_BITS)
        near = duplicates.groups(hashes, duplicates.NEAR_BITS)
        for index, item in enumerate(members):
            item.group = first_group + int(near[index])
            if equal[index] != index:
                item.dropped = "duplicate"
        first_group += len(members)
    drop_shared([item for item in items if item.kept])


def drop_shared(items: list[Item]) -> None:
    """Drops pictures that lie in the folders of two people: nobody knows who they show."""
    owners: dict[bytes, set[str]] = {}
    for item in items:
        owners.setdefault(item.hash.tobytes(), set()).add(item.name)
    for item in items:
        if len(owners[item.hash.tobytes()]) > 1:
            item.dropped = "under two names"


def split_items(items: list[Item], val: float, test: float, seed: int) -> None:
    """Gives each unsplit picture a split; near-duplicates stay together."""
    random = np.random.default_rng(seed)
    for name in sorted({item.name for item in items}):
        members = [item for item in items if item.name == name]
        order = random.permutation(sorted({item.group for item in members}))
        wanted = {"test": round(test * len(members)), "val": max(1, round(val * len(members)))}
        for group in order:
            mine = [item for item in members if item.group == group]
            target = next((s for s, n in wanted.items() if n >= len(mine) > 0), "train")
            for item in mine:
                item.split = target
            if target in wanted:
                wanted[target] -= len(mine)


def drop_leaks(items: list[Item]) -> None:
    """In a data set that came split, drops training pictures that nearly equal a later split's."""
    rank = {"test": 0, "val": 1, "train": 2}
    best: dict[int, int] = {}
    for item in items:
        best[item.group] = min(best.get(item.group, 9), rank[item.split])
    for item in items:
        if rank[item.split] > best[item.group]:
            item.dropped = "near-duplicate of a validation or test picture"


def check_people(items: list[Item]) -> None:
    """A Failure when a person has too few pictures or there are too few people."""
    found = {item.name for item in items if item.split != "unknown"}
    kept = Counter(item.name for item in items if item.kept and item.split != "unknown")
    for name in sorted(found):
        if kept[name] < FEWEST:
            raise Failure(
                f"{name} has {kept[name]} usable pictures, at least {FEWEST} are needed; "
                "add pictures or remove the folder"
            )
    if len(found) < 2:
        raise Failure("a data set needs at least two people; add a folder for another one")


def write(items: list[Item], out: Path) -> None:
    """Writes the crops and the manifest."""
    if out.exists() and any(out.iterdir()) and not (out / "manifest.csv").is_file():
        raise Failure(f"{out} is not empty and was not made by prepare.py; give another folder")
    for split in data.SPLITS:
        shutil.rmtree(out / split, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    with open(out / "manifest.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "split", "name", "source", "group", "dropped"])
        for item in items:
            path = ""
            if item.kept:
                suffix = item.crop.suffix if item.crop == item.source else ".png"
                target = out / item.split / item.name / (item.source.stem + suffix)
                target.parent.mkdir(parents=True, exist_ok=True)
                if target.exists():
                    target = target.with_name(f"{item.source.name}{suffix}")
                shutil.copyfile(item.crop, target)
                path = str(target.relative_to(out))
            rows.writerow([path, item.split, item.name, item.source, item.group, item.dropped])


def main() -> None:
    args = arguments()
    if not 0 < args.val + args.test < 0.9 or min(args.val, args.test) < 0 or args.val == 0:
        raise Failure("--val and --test are shares: above 0, together below 0.9")
    if args.out.resolve() == args.data.resolve():
        raise Failure("OUT is DATA itself; give another folder for the result")
    items = find_items(args.data)
    with tempfile.TemporaryDirectory() as folder:
        photos = inspect(items)
        if photos:
            crop_photos(photos, find_binary(args.celebcam), Path(folder))
        drop_duplicates([item for item in items if item.kept])
        gallery = [item for item in items if item.kept and item.split != "unknown"]
        check_people(items)
        if any(item.split in GIVEN for item in gallery):
            drop_leaks(gallery)
            if not any(item.split == "val" for item in gallery):
                split_items(
                    [i for i in gallery if i.kept and i.split == "train"], args.val, 0, args.seed
                )
        else:
            split_items(gallery, args.val, args.test, args.seed)
        write(items, args.out)
    print(
        f"{len(items)} pictures found, {sum(i.kept for i in items)} kept, in {os.fspath(args.out)}"
    )
    for reason, count in Counter(i.dropped for i in items if i.dropped).most_common():
        print(f"  dropped {count:5}  {reason}")
    print(data.table(args.out))


if __name__ == "__main__":
    run(main)
