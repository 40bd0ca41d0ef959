"""Whose face is on a picture: embeddings made up, and pictures of celeb24 and of photos."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import RECOGNIZER, REPOSITORY, shared_file
from PIL import Image, ImageOps

from celebtrainer import data
from celebtrainer.inventory import Item
from prepare import clean

DIMENSIONS = 64


def faces(person: int, count: int, spread: float = 1.0) -> list[np.ndarray]:
    """Embeddings of one person: cosines between them are about 0.5."""
    random = np.random.default_rng(person)
    centre = random.normal(size=DIMENSIONS)
    found = centre + spread * random.normal(size=(count, DIMENSIONS))
    return list(found / np.linalg.norm(found, axis=1, keepdims=True))


def item(name: str, number: int, *found: np.ndarray) -> Item:
    """A picture with faces of these embeddings."""
    made = Item(Path(name, f"{number}.jpg"), "", name)
    made.embeddings = np.stack(found)
    made.crops = [Path(f"{number}-{k}.png") for k in range(len(found))]
    return made


def folder(name: str, pictures: list[list[np.ndarray]]) -> list[Item]:
    return [item(name, number, *found) for number, found in enumerate(pictures)]


def judged(*folders: list[Item]) -> dict[str, str]:
    """Judges folders as the preparation does; what is wrong with whole ones."""
    return clean([item for items in folders for item in items])


@pytest.mark.parametrize("right", [4, 8, 30])
def test_a_third_of_wrong_faces_is_found(right):
    husband = faces(1, right // 2)
    items = folder("Ada", [[face] for face in faces(0, right) + husband])
    assert judged(items) == {}
    assert [i.kept for i in items] == [True] * right + [False] * len(husband)
    assert items[-1].dropped == "no face like the others of the folder"


def test_of_several_faces_the_one_is_taken_that_fits():
    ada, others = faces(0, 6), [faces(9 + k, 1)[0] for k in range(12)]
    pictures = [[ada[0]], [others[0], ada[1]], [others[1], others[2], ada[2]], [ada[3], others[3]],
                [others[4], others[5]], [ada[4]]]  # fmt: skip
    items = folder("Ada", pictures)
    assert judged(items) == {}
    assert [i.taken for i in items if i.kept] == [0, 1, 2, 0, 0]
    assert items[4].dropped == "no face like the others of the folder: 2 faces"


def test_two_people_on_as_many_pictures_are_said_and_not_guessed():
    ada, bob = faces(0, 6), faces(1, 6)
    apart = folder("Ada", [[face] for face in ada + bob])
    assert "two people are on about as many" in judged(apart)["Ada"]
    together = [[a, b] for a, b in zip(ada, bob, strict=True)]
    assert "Ada" in judged(folder("Ada", together))
    # Who the other is, is known where that one has a folder.
    items = folder("Ada", together)
    known = folder("Bob", [[face] for face in faces(1, 12)[6:]])
    assert judged(items, known) == {}
    assert [i.taken for i in items] == [0] * 6 and all(i.kept for i in items)


def test_a_picture_of_somebody_else_who_has_a_folder_is_named_by_them():
    ada, bob = faces(0, 8), faces(1, 8)
    items = folder("Ada", [[face] for face in [*ada, bob[0]]])
    assert judged(items, folder("Bob", [[face] for face in bob[1:]])) == {}
    assert [i.dropped for i in items if not i.kept] == ["shows somebody else: Bob"]


def test_pictures_that_agree_on_nobody_are_no_person():
    items = folder("Crowd", [faces(20 + k, 1) for k in range(5)])
    assert "no two of its 5 pictures" in judged(items)["Crowd"]


def prepare(*words: object) -> subprocess.CompletedProcess:
    command = [sys.executable, str(RECOGNIZER / "prepare.py"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def manifest(out: Path) -> dict[str, dict]:
    with open(out / data.MANIFEST, newline="") as file:
        return {f"{row['name']}/{Path(row['source']).name}": row for row in csv.DictReader(file)}


def test_wrong_faces_and_copies_among_real_ones_are_found(tmp_path):
    source, people = shared_file("data/celeb24/val"), tmp_path / "people"
    names = ("Tina Fey", "Tom Hanks")
    for name in names:
        (people / name).mkdir(parents=True)
        for path in data.pictures(source / name)[:9]:
            shutil.copy(path, people / name)
    tina, tom = people / "Tina Fey", people / "Tom Hanks"
    for number, path in enumerate(data.pictures(source / "Hugh Laurie")[:3]):
        shutil.copy(path, tina / f"wrong{number}.jpg")
    shutil.copy(data.pictures(source / "Tom Hanks")[10], tina / "tom.jpg")
    first, second = data.pictures(tina)[:2]
    with Image.open(first) as picture:
        ImageOps.mirror(picture).save(tina / "zmirror.jpg", quality=60)
    with Image.open(second) as picture:
        picture.save(tom / "tina.jpg", quality=60)
    done = prepare(people, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    rows = manifest(tmp_path / "out")
    dropped = {name: row["dropped"] for name, row in rows.items() if row["dropped"]}
    mirrored = {f"Tina Fey/{first.name}", "Tina Fey/zmirror.jpg"} & dropped.keys()
    assert len(mirrored) == 1 and "copy: of" in dropped.pop(mirrored.pop())
    assert dropped == {
        **{f"Tina Fey/wrong{k}.jpg": "no face like the others of the folder" for k in range(3)},
        "Tina Fey/tom.jpg": "shows somebody else: Tom Hanks",
        "Tom Hanks/tina.jpg": "shows somebody else: Tina Fey",
    }


def test_on_photos_the_face_of_the_folder_is_taken(tmp_path):
    binary = next((path for kind in ("debug", "release")
                   if (path := REPOSITORY / "target" / kind / "celebcam").is_file()), None)  # fmt: skip
    if binary is None:
        pytest.skip("SKIPPED: celebcam is not built; run cargo build")
    source, people = shared_file("data/photos"), tmp_path / "people"
    (people / "messi").mkdir(parents=True)
    own = [source / "lionel_messi" / f"{number:03}.jpg" for number in (2, 4, 5)]
    for photo in own[:2]:
        shutil.copy(photo, people / "messi")
    # Beside somebody whose face is larger.
    with Image.open(own[2]) as one, Image.open(source / "roger_federer" / "003.jpg") as other:
        both = Image.new("RGB", (one.width + other.width, max(one.height, other.height)))
        both.paste(one, (0, 0))
        both.paste(other, (one.width, 0))
    both.save(people / "messi" / "both.jpg", quality=95)
    done = prepare(people, tmp_path / "out", "--celebcam", binary)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = manifest(tmp_path / "out")
    several = rows["messi/both.jpg"]
    assert several["faces"] == "2" and several["taken"] == "2" and not several["dropped"]
    assert not any(row["dropped"] for row in rows.values())
