"""Preparation: duplicates, splits and what is said about bad input."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from conftest import TOOLS, draw
from PIL import Image

from celebtrainer import duplicates


def prepare(*words: object) -> subprocess.CompletedProcess:
    command = [sys.executable, str(TOOLS / "prepare.py"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def manifest(out: Path) -> list[dict]:
    with open(out / "manifest.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_near_duplicates_share_a_group_and_others_do_not():
    first, second = draw(0, 0), draw(1, 0)
    brighter = np.clip(first.astype(int) + 12, 0, 255).astype(np.uint8)
    hashes = np.stack([duplicates.difference_hash(c) for c in (first, second, brighter)])
    found = duplicates.groups(hashes, duplicates.NEAR_BITS)
    assert found[0] == found[2] != found[1]


def test_chains_of_near_duplicates_are_one_group():
    hashes = np.array([[0b0], [0b11], [0b1111], [0b11111111]], dtype=np.uint8)
    assert duplicates.groups(hashes, 2).tolist() == [0, 0, 0, 3]


def test_splits_hold_everything_and_leak_nothing(people_folder, tmp_path):
    for seed in range(6):
        crop = draw(0, seed)
        crop = np.clip(crop.astype(int) + 10 + seed, 0, 255).astype(np.uint8)
        Image.fromarray(crop).save(people_folder / "Ada One" / f"copy{seed}.jpg", quality=80)
    out = tmp_path / "out"
    done = prepare(people_folder, out)
    assert done.returncode == 0, done.stderr
    kept = [row for row in manifest(out) if not row["dropped"]]
    splits = defaultdict(set)
    for row in kept:
        assert (out / row["path"]).is_file()
        splits[row["group"]].add(row["split"])
    assert {row["split"] for row in kept} == {"train", "val", "test", "unknown"}
    assert all(len(found) == 1 for found in splits.values())
    assert "validation" in done.stdout and "strangers" in done.stdout


def test_broken_duplicate_and_shared_pictures_are_dropped(people_folder, tmp_path):
    (people_folder / "Ada One" / "broken.jpg").write_bytes(b"not a picture")
    (people_folder / "Ada One" / "empty.jpg").write_bytes(b"")
    shutil.copy(people_folder / "Ada One" / "00.png", people_folder / "Ada One" / "again.png")
    shutil.copy(people_folder / "Ada One" / "01.png", people_folder / "Bob Two" / "whose.png")
    done = prepare(people_folder, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    reasons = [row["dropped"] for row in manifest(tmp_path / "out") if row["dropped"]]
    assert sorted(reasons) == [
        "broken",
        "broken",
        "duplicate",
        "under two names",
        "under two names",
    ]


def test_a_given_split_loses_training_pictures_that_are_in_the_test(people_folder, tmp_path):
    split = tmp_path / "split"
    for name in ("Ada One", "Bob Two"):
        for index, path in enumerate(sorted((people_folder / name).iterdir())):
            part = "test" if index < 3 else "val" if index < 5 else "train"
            (split / part / name).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, split / part / name)
    shutil.copy(split / "test" / "Ada One" / "00.png", split / "train" / "Ada One" / "leak.png")
    done = prepare(split, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    dropped = [row for row in manifest(tmp_path / "out") if row["dropped"]]
    assert "leak.png" in [Path(row["source"]).name for row in dropped]
    assert {row["split"] for row in dropped} == {"train"}


def test_what_is_wrong_is_said(people_folder, tmp_path):
    done = prepare(tmp_path / "nowhere", tmp_path / "out")
    assert done.returncode == 1 and "there is no folder" in done.stderr
    (people_folder / "Few").mkdir()
    Image.fromarray(draw(9, 0)).save(people_folder / "Few" / "a.png")
    done = prepare(people_folder, tmp_path / "out")
    assert done.returncode == 1 and "Few has 1 usable pictures" in done.stderr
    assert "Traceback" not in done.stderr
