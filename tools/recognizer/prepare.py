#!/usr/bin/env python3
"""Turns folders of pictures into a data set of aligned faces.

DATA holds <name>/*.jpg, or {train,val,test}/<name>/*.jpg when it is split already; unknown/ may hold
strangers: unknown/<name>/*.jpg, or pictures of one stranger each. Photos go through `celebcam crop`,
as on the device; pictures of 112x112 pixels are taken as aligned crops. Of several faces the one is
taken that the other pictures of the folder show; copies and pictures of others are left out. OUT gets
{train,val,test,unknown}/<name>/ and manifest.csv, which names all that was left out, and why.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from celebtrainer import cleaning, data, duplicates, faces, inventory
from celebtrainer.failure import Failure, run
from celebtrainer.inventory import GIVEN, UNKNOWN, Item
from celebtrainer.words import counted, some

# With two pictures to learn from and one to check them, a person can be told from others.
FEWEST = 3
# Fewer than this make a person who is often missed.
FEW = 10
COLUMNS = ("path", "split", "name", "source", "group", "dropped", "faces", "taken", "fit", "doubt")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--val", type=float, default=0.15, help="share for validation")
    parser.add_argument("--test", type=float, default=0.15, help="share for the test")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--celebcam", help="the celebcam binary, for photos")
    parser.add_argument("--trust", action="store_true",
                        help="the folders are right: take the largest face of every picture, leave "
                        "out nothing but copies")  # fmt: skip
    return parser.parse_args()


def by_person(items: list[Item]) -> dict[str, list[Item]]:
    """The kept pictures of each person, strangers left out."""
    found = defaultdict(list)
    for item in items:
        if item.kept and not item.stranger:
            found[item.name].append(item)
    return dict(sorted(found.items()))


def clean(items: list[Item]) -> dict[str, str]:
    """Takes a face on every picture or drops it; what is wrong with whole folders, by name."""
    people = [cleaning.Person.of(name, found) for name, found in by_person(items).items()]
    wrong = cleaning.settle(people)
    means = {person.name: person.main.mean for person in people if person.name not in wrong}
    for person in people:
        if person.name not in wrong:
            cleaning.choose(person, {n: mean for n, mean in means.items() if n != person.name})
    for item in items:
        if item.kept and item.stranger:
            cleaning.choose_stranger(item, means)
    return wrong


def precedence(item: Item) -> tuple:
    """Of copies the first stays: that of a later split, then the one with more pixels."""
    split = ("test", "val", "train", "", UNKNOWN).index(item.split)
    return split, -item.source.stat().st_size, str(item.source)


def drop_copies(items: list[Item]) -> None:
    """Drops copies, and numbers groups of pictures that are nearly one within each person."""
    if not items:
        return
    items.sort(key=precedence)
    embeddings = None
    if all(item.embeddings is not None for item in items):
        embeddings = np.stack([item.embedding for item in items])
    found = duplicates.pairs(
        [item.hashes[item.taken] for item in items], embeddings, [item.photo for item in items]
    )
    owner = [(item.stranger, item.name) for item in items]
    for i, j in sorted(found.copies + found.photos):
        if owner[i] == owner[j] and items[i].kept:
            items[j].dropped = f"copy: of {short(items[i])}"
    # One photo may lie in the folders of two people who are both on it.
    same_face = [(i, j) for i, j in found.photos
                 if embeddings is not None and embeddings[i] @ embeddings[j] >= cleaning.SURELY]  # fmt: skip
    for i, j in found.copies + same_face:
        if owner[i] != owner[j]:  # Nobody knows whom it shows.
            for one, other in ((items[i], items[j]), (items[j], items[i])):
                one.dropped = f"also under another name: {short(other)}"
    near = [(i, j) for i, j in found.photos + found.copies + found.near if owner[i] == owner[j]]
    for item, group in zip(items, duplicates.groups(len(items), near), strict=True):
        item.group = int(group)


def short(item: Item) -> str:
    """A file as it stands in its person's folder."""
    return f"{item.name}/{item.source.name}"


def split_items(items: list[Item], val: float, test: float, seed: int) -> None:
    """Gives each picture a split; pictures that are nearly one stay together.

    A person whose pictures are not all nearly one gets at least one for validation.
    """
    random = np.random.default_rng(seed)
    for members in by_person(items).values():
        order = random.permutation(sorted({item.group for item in members}))
        wanted = {"test": round(test * len(members)), "val": max(1, round(val * len(members)))}
        sizes = Counter(item.group for item in members)
        left = len(members)
        for group in order:
            fitting = [s for s, n in wanted.items() if n >= sizes[group] and sizes[group] < left]
            target = fitting[0] if fitting else "train"
            for item in members:
                if item.group == group:
                    item.split = target
            if fitting:
                wanted[target] -= sizes[group]
                left -= sizes[group]
        need_validation(members)


def need_validation(members: list[Item]) -> None:
    """Moves the smallest group to validation where none was small enough for it."""
    sizes = Counter(item.group for item in members)
    if len(sizes) > 1 and not any(item.split == "val" for item in members):
        smallest = min(sizes, key=lambda group: (sizes[group], group))
        for item in members:
            if item.group == smallest:
                item.split = "val"


def drop_leaks(items: list[Item]) -> None:
    """In a data set that came split, drops training pictures that nearly equal a later split's."""
    rank = {"test": 0, "val": 1, "train": 2}
    best: dict[int, int] = {}
    for item in items:
        best[item.group] = min(best.get(item.group, 9), rank[item.split])
    for item in items:
        if rank[item.split] > best[item.group]:
            item.dropped = "nearly equal to a validation or test picture"


def split(items: list[Item], args: argparse.Namespace) -> None:
    """Gives every kept picture of the gallery a split."""
    gallery = [item for item in items if item.kept and not item.stranger]
    if not any(item.split in GIVEN for item in gallery):
        split_items(gallery, args.val, args.test, args.seed)
        return
    drop_leaks(gallery)
    checked = {item.name for item in gallery if item.kept and item.split == "val"}
    training = [item for item in gallery if item.kept and item.split == "train"]
    unchecked = [item for item in training if item.name not in checked]
    if unchecked:
        split_items(unchecked, args.val, 0, args.seed)


def check_people(items: list[Item], wrong: dict[str, str]) -> None:
    """A Failure that names every person who cannot be trained."""
    found = {
        item.name for item in items if item.name and not item.stranger and item.source.is_file()
    }
    kept = by_person(items)
    for name in found - set(wrong):
        count = len(kept.get(name, []))
        if count < FEWEST:
            wrong[name] = (
                f"{counted(count, 'usable picture')}, at least {FEWEST} are needed; "
                "add pictures or take the folder out"
            )
        elif all(item.split != "val" for item in kept[name]):
            wrong[name] = "all its pictures are nearly one; add others"
    if wrong:
        lines = [f"{name}: {what}" for name, what in sorted(wrong.items())]
        raise Failure("\n  ".join(["these folders cannot be used:", *lines]))


def write(items: list[Item], out: Path) -> None:
    """Writes the crops and the manifest."""
    if out.exists() and any(out.iterdir()) and not (out / data.MANIFEST).is_file():
        raise Failure(f"{out} is not empty and was not made by prepare.py; give another folder")
    for part in data.SPLITS:
        shutil.rmtree(out / part, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    with open(out / data.MANIFEST, "w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, COLUMNS)
        rows.writeheader()
        for item in items:
            path = copy(item, out) if item.kept else ""
            fit = "" if item.fit is None else f"{item.fit:.3f}"
            taken = item.taken + 1 if path else ""
            rows.writerow(dict(zip(COLUMNS, (
                path, item.split, item.name, item.source.absolute(), item.group, item.dropped,
                len(item.crops), taken, fit, item.doubt), strict=True)))  # fmt: skip


def copy(item: Item, out: Path) -> str:
    """Copies an item's crop to its place; returns that, relative to `out`."""
    suffix = item.crop.suffix if item.crop == item.source else ".png"
    target = out / item.split / item.name / (item.source.stem + suffix)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        target = target.with_name(f"{item.source.name}{suffix}")
    shutil.copyfile(item.crop, target)
    return str(target.relative_to(out))


def summary(items: list[Item], out: Path) -> str:
    """What was found and left out, counted and a few of each kind named."""
    lines = [f"{counted(len(items), 'file')} found, {sum(i.kept for i in items)} kept in {out}"]
    kinds = defaultdict(list)
    for item in items:
        if item.dropped:
            kinds[item.dropped.partition(": ")[0]].append(
                str(Path(item.split, item.name, item.source.name))
            )
    for why, names in sorted(kinds.items(), key=lambda pair: -len(pair[1])):
        lines.append(f"  left out {len(names):5}  {why}: {some(names)}")
    doubted = [short(item) for item in items if item.kept and item.doubt]
    if doubted:
        lines.append(f"  to look at {len(doubted):3}  hardly like the others: {some(doubted)}")
    few = {name: len(found) for name, found in by_person(items).items() if len(found) < FEW}
    if few:
        each = [f"{name} {count}" for name, count in sorted(few.items(), key=lambda p: p[1])]
        lines.append(
            f"  few pictures of {some(each)}: under {FEW} a person is often not recognized"
        )
    lines.append(f"every picture left out stands in {out / data.MANIFEST}")
    return "\n".join(lines)


def main() -> None:
    args = arguments()
    if not 0 < args.val + args.test < 0.9 or min(args.val, args.test) < 0 or args.val == 0:
        raise Failure("--val and --test are shares: above 0, together below 0.9")
    if args.out.resolve() == args.data.resolve():
        raise Failure("OUT is DATA itself; give another folder for the result")
    items = inventory.find(args.data)
    with tempfile.TemporaryDirectory() as folder:
        photos = faces.inspect([item for item in items if item.kept])
        if photos:
            faces.crop(photos, faces.find_binary(args.celebcam), Path(folder))
        faces.describe([item for item in items if item.kept], embed=not args.trust)
        wrong = {} if args.trust else clean(items)
        drop_copies([item for item in items if item.kept])
        split(items, args)
        write(items, args.out)
    print(summary(items, args.out))
    check_people(items, wrong)
    print(data.table(args.out))


if __name__ == "__main__":
    run(main)
