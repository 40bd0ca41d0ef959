#!/usr/bin/env python3
"""Trains on people and pictures drawn at random, again and again, and tests on their other pictures.

PEOPLE holds <name>/*.jpg, aligned crops; STRANGERS holds crops of others, one folder a person, from
whom nothing was learned. Each draw is a run of pipeline.py. The table says of each what share of the
test pictures is nearest to the right person, named rightly and named wrongly, and what share of the
strangers' pictures gets a name; for a network that was trained also the same before rounding and the
validation accuracy of its last epoch and of its best in hindsight.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from celebtrainer import RECOGNIZER, data, decision, modelfile, openset, preset, resume
from celebtrainer.failure import Failure, run

# Pictures of a person that are tested on, and that a network trained from them is chosen by.
MOST_TESTS = 400
MOST_CHECKS = 50


def draw(args: argparse.Namespace, seed: int, folder: Path, checks: int) -> None:
    """Lays links to the pictures of one draw into {train,val,test}/<name>/."""
    shutil.rmtree(folder, ignore_errors=True)
    random = np.random.default_rng(seed)
    parts = {"train": args.pictures, "val": checks, "test": MOST_TESTS}
    able = [name for name in data.people(args.people)
            if len(data.pictures(args.people / name)) > args.pictures + checks]  # fmt: skip
    if len(able) < args.count:
        raise Failure(
            f"{args.people} has {len(able)} people with enough pictures, not {args.count}"
        )
    for name in random.choice(able, args.count, replace=False):
        own = data.pictures(args.people / name)
        order = iter(random.permutation(len(own)))
        for part, most in parts.items():
            (folder / part / name).mkdir(parents=True)
            for _, index in zip(range(most), order, strict=False):
                (folder / part / name / own[index].name).symlink_to(own[index].resolve())


def said(model: Path, paths: list[Path], title: str) -> tuple[openset.Answers, np.ndarray]:
    """What a model file says of crops, and which of them get a name."""
    made = modelfile.read(modelfile.load(model))
    rule = decision.among(made["decision"], len(made["labels"]))
    found = openset.answers(modelfile.Runner(model).logits(paths, title), rule["score"])
    return found, found.rejected_below(rule["margin"]) >= decision.to_similarity(rule)


def one(args: argparse.Namespace, seed: int, strangers: list[Path]) -> dict[str, float]:
    """Trains one draw and measures it."""
    chosen = preset.load(args.preset)
    trained = chosen.head.kind != "prototypes"
    place = args.work / f"{chosen.name}-{args.count}x{args.pictures}-{seed}"
    done = place / "figures.json"
    if done.is_file():
        return json.loads(done.read_text())
    draw(args, seed, place / "people", MOST_CHECKS if trained else 0)
    command = [sys.executable, str(RECOGNIZER / "pipeline.py"), str(place / "people")]
    command += [str(place / "model.onnx"), "--preset", args.preset, "--trust"]
    command += ["--work", str(place / "work")]
    with open(place / "log", "w") as log:
        if subprocess.run(command, stdout=log, stderr=log, check=False).returncode:
            raise Failure(f"training failed; see {place / 'log'}")
    # A test picture that nearly equals a training picture stays out, which prepare.py sees to.
    part = data.read_part(place / "work" / "data", "test")
    answers, named = said(place / "model.onnx", part.paths, "test")
    right = answers.best == part.people
    figures = {"tests": len(part), "nearest": right.mean(), "named": (right & named).mean(),
               "wrong": (~right & named).mean()}  # fmt: skip
    if strangers:
        figures["strangers"] = said(place / "model.onnx", strangers, "strangers")[1].mean()
    if trained:
        metrics = json.loads((place / "work" / "metrics.json").read_text())
        history = json.loads((place / "work" / "history.json").read_text())
        accuracy = [row["val_accuracy"] for row in history]
        figures |= {"float": metrics["float_top1"], "last": accuracy[-1], "best": max(accuracy)}
    figures = {key: float(value) for key, value in figures.items()}
    resume.replace(done, json.dumps(figures).encode())
    for big in ("people", "work", "model.onnx"):
        path = place / big
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return figures


def line(title: object, figures: dict[str, float]) -> str:
    """A row of the table: counts as they are, shares in percent."""
    cells = [f"{v:.0f}" if k == "tests" else f"{v:.2%}" for k, v in figures.items()]
    return f"{title!s:>8}" + "".join(f"{cell:>10}" for cell in cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("people", type=Path, help="folder with a folder of crops for each person")
    parser.add_argument("count", type=int, help="people of a draw")
    parser.add_argument("pictures", type=int, help="pictures of a person to train on")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--strangers", type=Path, help="folder with a folder of crops for each")
    parser.add_argument("--work", type=Path, default=Path("build/draws"),
                        help="folder for the draws; those that are done are not done again")  # fmt: skip
    args = parser.parse_args()

    strangers = [path for name in data.people(args.strangers) for path in data.pictures(args.strangers / name)] if args.strangers else []  # fmt: skip
    rows = []
    for seed in range(args.draws):
        rows.append(one(args, seed, strangers))
        if seed == 0:
            print(f"{'draw':>8}" + "".join(f"{key:>10}" for key in rows[0]))
        print(line(seed, rows[-1]), flush=True)
    table = np.array([list(row.values()) for row in rows])
    for title, values in (("mean", table.mean(0)), ("lowest", table.min(0)), ("highest", table.max(0))):  # fmt: skip
        print(line(title, dict(zip(rows[0], values, strict=True))))


if __name__ == "__main__":
    run(main)
