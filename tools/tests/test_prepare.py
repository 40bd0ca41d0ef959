"""Preparation: duplicates, splits and what is said about bad input."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from conftest import RECOGNIZER, draw
from PIL import Image

from celebtrainer import duplicates


def prepare(*words: object) -> subprocess.CompletedProcess:
    command = [sys.executable, str(RECOGNIZER / "prepare.py"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def manifest(out: Path) -> list[dict]:
    with open(out / "manifest.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_near_duplicates_share_a_group_and_others_do_not():
    first, second = draw(0, 0), draw(1, 0)
    brighter = np.clip(first.astype(int) + 12, 0, 255).astype(np.uint8)
    hashed = [duplicates.hashes(c) for c in (first, second, brighter, first[:, ::-1])]
    none = [None] * 4
    found = duplicates.pairs(hashed, None, none)
    assert found.copies == [(0, 2), (0, 3), (2, 3)] and found.near == found.copies
    unlike = np.eye(4)
    assert duplicates.pairs(hashed, unlike, none) == duplicates.Pairs([], [], [])
    assert duplicates.pairs([hashed[0], hashed[1]] * 2, unlike, hashed).photos == found.copies


def test_chains_of_near_duplicates_are_one_group():
    assert duplicates.groups(4, [(1, 2), (0, 1)]).tolist() == [0, 0, 0, 3]


def test_splits_hold_everything_and_leak_nothing(people_folder, tmp_path):
    for seed in range(6):
        crop = draw(0, seed)
        crop = np.clip(crop.astype(int) + 10 + seed, 0, 255).astype(np.uint8)
        Image.fromarray(crop).save(people_folder / "Ada One" / f"copy{seed}.jpg", quality=80)
    out = tmp_path / "out"
    done = prepare(people_folder, out, "--trust")
    assert done.returncode == 0, done.stderr
    kept = [row for row in manifest(out) if not row["dropped"]]
    splits = defaultdict(set)
    for row in kept:
        assert (out / row["path"]).is_file()
        splits[row["group"]].add(row["split"])
    assert {row["split"] for row in kept} == {"train", "val", "test", "unknown"}
    assert all(len(found) == 1 for found in splits.values())
    assert "validation" in done.stdout and "strangers" in done.stdout


def test_everything_left_out_is_named_with_its_reason(people_folder, tmp_path):
    ada, bob = people_folder / "Ada One", people_folder / "Bob Two"
    (ada / "broken.jpg").write_bytes(b"not a picture")
    (ada / "empty.jpg").write_bytes(b"")
    (ada / "phone.heic").write_bytes(b"heic")
    (ada / "notes").write_text("text")
    (ada / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (ada / "Thumbs.db").write_bytes(b"")
    (ada / ".hidden.jpg").write_bytes(b"")
    (ada / "2019").mkdir()
    shutil.copy(ada / "03.png", ada / "2019" / "03.png")
    shutil.copy(ada / "00.png", ada / "again.png")
    shutil.copy(ada / "01.png", bob / "whose.png")
    (people_folder / "Nobody").mkdir()
    shutil.copy(ada / "02.png", people_folder / "loose.png")
    done = prepare(people_folder, tmp_path / "out", "--trust")
    assert done.returncode == 0, done.stderr
    dropped = {Path(r["source"]).relative_to(people_folder).as_posix(): r["dropped"]
               for r in manifest(tmp_path / "out") if r["dropped"]}  # fmt: skip
    assert dropped.keys() == {
        "Ada One/broken.jpg", "Ada One/empty.jpg", "Ada One/phone.heic", "Ada One/notes",
        "Ada One/gone.jpg", "Ada One/2019/03.png", "Ada One/again.png", "Ada One/01.png",
        "Bob Two/whose.png", "Nobody", "loose.png",
    }  # fmt: skip
    assert dropped["Ada One/broken.jpg"].startswith("broken")
    assert ".heic" in dropped["Ada One/phone.heic"]
    assert dropped["Ada One/2019/03.png"].startswith("in a folder of its own")
    assert dropped["Ada One/again.png"] == "copy: of Ada One/00.png"
    assert dropped["Ada One/01.png"] == "also under another name: Bob Two/whose.png"
    assert dropped["Bob Two/whose.png"] == "also under another name: Ada One/01.png"
    assert dropped["Nobody"] == "an empty folder"
    assert "Ada One/phone.heic" in done.stdout and "left out     2  broken" in done.stdout


def test_pictures_directly_in_unknown_are_a_stranger_each(people_folder, tmp_path):
    for seed in range(3):
        Image.fromarray(draw(20 + seed, 0)).save(people_folder / "unknown" / f"s{seed}.png")
    done = prepare(people_folder, tmp_path / "out", "--trust")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "unknown" / "s1" / "s1.png").is_file()
    assert len(list((tmp_path / "out" / "unknown").iterdir())) == 5


def test_one_person_with_three_pictures_is_enough(tmp_path):
    folder = tmp_path / "people" / "Ada One"
    folder.mkdir(parents=True)
    for seed in range(3):
        Image.fromarray(draw(0, seed)).save(folder / f"{seed}.png")
    done = prepare(tmp_path / "people", tmp_path / "out", "--trust")
    assert done.returncode == 0, done.stderr
    splits = sorted(row["split"] for row in manifest(tmp_path / "out"))
    assert splits == ["train", "train", "val"] and "few pictures of Ada One 3" in done.stdout


def test_a_given_split_loses_training_pictures_that_are_in_the_test(people_folder, tmp_path):
    split = tmp_path / "split"
    for name in ("Ada One", "Bob Two"):
        for index, path in enumerate(sorted((people_folder / name).iterdir())):
            part = "test" if index < 3 else "val" if index < 5 else "train"
            (split / part / name).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, split / part / name)
    shutil.copy(split / "test" / "Ada One" / "00.png", split / "train" / "Ada One" / "leak.png")
    done = prepare(split, tmp_path / "out", "--trust")
    assert done.returncode == 0, done.stderr
    dropped = [row for row in manifest(tmp_path / "out") if row["dropped"]]
    assert "leak.png" in [Path(row["source"]).name for row in dropped]
    assert {row["split"] for row in dropped} == {"train"}


def test_what_is_wrong_is_said(people_folder, tmp_path):
    done = prepare(tmp_path / "nowhere", tmp_path / "out")
    assert done.returncode == 1 and "there is no folder" in done.stderr
    (people_folder / "Few").mkdir()
    Image.fromarray(draw(9, 0)).save(people_folder / "Few" / "a.png")
    done = prepare(people_folder, tmp_path / "out", "--trust")
    assert done.returncode == 1 and "Few: 1 usable picture, at least 3" in done.stderr
    (people_folder / "ada_one").mkdir()
    shutil.copy(people_folder / "Few" / "a.png", people_folder / "ada_one")
    done = prepare(people_folder, tmp_path / "out", "--trust")
    assert done.returncode == 1 and "have the same name" in done.stderr
    assert "Traceback" not in done.stderr
