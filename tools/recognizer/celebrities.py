#!/usr/bin/env python3
"""Makes the models that ship: celebrities.onnx with 18 people and celebrities135.onnx with all.

DATA holds celeb24/{train,val,test}/<name>/*.jpg and cfp/<number>/{frontal,profile}/*.jpg.
Who of cfp is taken, under which name, with which page, says celebrities.tsv.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import onnx

from celebtrainer import RECOGNIZER, REPOSITORY, modelfile
from celebtrainer.failure import Failure, run

PAGES = "https://en.wikipedia.org/wiki/"


def table() -> list[list[str]]:
    """Folder, name, id and page of each person of cfp."""
    lines = (RECOGNIZER / "celebrities.tsv").read_text().splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


def assemble(data: Path, folder: Path, everybody: bool) -> None:
    """A folder of people out of links to the pictures."""
    shutil.rmtree(folder, ignore_errors=True)
    # No strangers: a model keeps a row for each, and these files go to others.
    for split in ("train", "val", "test"):
        (folder / split).mkdir(parents=True)
        for person in (data / "celeb24" / split).iterdir():
            (folder / split / person.name).symlink_to(person.resolve())
    for number, name, _, _ in table() if everybody else []:
        place = folder / "train" / name
        place.mkdir()
        for photo in sorted((data / "cfp" / number).glob("*/*.*")):
            (place / f"{photo.parent.name}-{photo.name}").symlink_to(photo.resolve())


def label(path: Path) -> None:
    """Gives each person their id and page."""
    known = {name: (identifier, page) for _, name, identifier, page in table()}
    model = onnx.load(path)
    labels = modelfile.read(model)["labels"]
    for entry in labels:
        page = PAGES + entry["name"].replace(" ", "_")
        entry["id"], entry["url"] = known.get(entry["name"], (entry["id"], page))
    modelfile.write(model, {"labels": labels})
    onnx.save(model, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with celeb24 and cfp")
    parser.add_argument("out", type=Path, help="the model file to write")
    parser.add_argument("--all", action="store_true", help="the people of cfp as well")
    parser.add_argument("--celebcam", help="the celebcam binary, which cuts the crops")
    args = parser.parse_args()

    folder = REPOSITORY / "build" / "people" / args.out.stem
    assemble(args.data, folder, args.all)
    # The folders are right, and nothing of the test pictures may be chosen.
    pipeline = RECOGNIZER / "pipeline.py"
    command = [sys.executable, str(pipeline), str(folder), str(args.out), "--trust"]
    command += ["--celebcam", args.celebcam] if args.celebcam else []
    if subprocess.run(command, check=False).returncode:
        raise Failure("no model was made")
    label(args.out)
    # models/celebrities.md is the card of both.
    args.out.with_name(f"{args.out.name}.md").unlink(missing_ok=True)


if __name__ == "__main__":
    run(main)
