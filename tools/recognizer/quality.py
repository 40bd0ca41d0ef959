#!/usr/bin/env python3
"""Shows what the quality gate of the binary does: error rates with and without it.

Takes pictures of a prepared data set and makes them small, blurred and dark, step by step. The
binary recognizes each once with its gate and once with --any-quality. "wrong" is the share of
faces looked at whose most similar person is another one; "named" and "misnamed" are shares of all
pictures; strangers are misnamed whenever they get a name.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from celebtrainer.data import Part, need_part, people, read_crop, read_part
from celebtrainer.failure import Failure, run

FRAME_PX = 320
# Sides of a crop in a frame, spreads of a blur in pixels of the crop, shares of the light.
SIDES_PX = (112, 56, 45, 36, 27, 20)
BLURS_PX = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
LIGHTS = (0.4, 0.25, 0.15, 0.1, 0.06, 0.03)
# Noise of a sensor in the dark, in steps of 255.
NOISE = 2.0


def framed(crop: np.ndarray, side_px: int) -> np.ndarray:
    """A crop at another size in the middle of a plain picture."""
    frame = Image.new("RGB", (FRAME_PX, FRAME_PX), tuple(int(v) for v in crop.mean(axis=(0, 1))))
    start = (FRAME_PX - side_px) // 2
    frame.paste(Image.fromarray(crop).resize((side_px, side_px), Image.Resampling.BOX), (start, start))  # fmt: skip
    return np.asarray(frame)


def blurred(crop: np.ndarray, spread_px: float) -> np.ndarray:
    """A crop out of focus."""
    return np.asarray(Image.fromarray(crop).filter(ImageFilter.GaussianBlur(spread_px)))


def darkened(crop: np.ndarray, light: float) -> np.ndarray:
    """A crop in little light."""
    noise = np.random.default_rng(int(crop.sum())).normal(0, NOISE, crop.shape)
    return np.clip(crop * light + noise, 0, 255).astype(np.uint8)


def answers(binary: str, model: Path, folder: Path, crops: bool, gate: bool) -> list[dict]:
    """What the binary says to the pictures in a folder, one line a face."""
    command = [binary, "--quiet", "identify", "--format", "json", "--model", str(model)]
    command += ["--crops"] if crops else []
    command += [] if gate else ["--any-quality"]
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(f"{binary} failed: {done.stderr.strip()}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def is_refused(line: dict) -> bool:
    """Whether the gate kept the face from being looked at."""
    return line["reason"] in ("too_small", "blurred", "too_dark", "profile")


def rates(lines: list[dict], part: Part) -> dict[str, float]:
    """Error rates; a picture's index is its file name."""
    best = {int(Path(line["file"]).stem): line for line in reversed(lines)}
    seen = {i: line for i, line in best.items() if not is_refused(line)}
    truth = {i: part.names[part.people[i]] for i in best}
    known = part.people >= 0
    nearest = [line["top"][0]["name"] != truth[i] for i, line in seen.items() if known[i]]
    named = [seen[i]["name"] == truth[i] for i in seen if known[i]]
    misnamed = [line["name"] not in (None, truth[i]) for i, line in seen.items()]
    return {
        "looked at": len(seen) / len(part),
        "wrong": float(np.mean(nearest)) if nearest else 0.0,
        "named": sum(named) / max(1, int(known.sum())),
        "misnamed": sum(misnamed) / len(part),
    }


def measure(
    args: argparse.Namespace, part: Part, change: Callable[[np.ndarray], np.ndarray], crops: bool
) -> list[dict[str, float]]:
    """The rates with and without the gate for one change."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for index, path in enumerate(part.paths):
            Image.fromarray(change(read_crop(path))).save(folder / f"{index}.png")
        return [
            rates(answers(args.celebcam, args.model, folder, crops, gate), part)
            for gate in (True, False)
        ]


def chosen(data: Path, split: str, step: int) -> Part:
    """Every so many pictures of the gallery and of strangers, whose index is -1."""
    gallery = need_part(data, split)
    strangers = read_part(data, "unknown", people(data / "unknown"))
    paths = [*gallery.paths[::step], *strangers.paths[::step]]
    truth = np.concatenate([gallery.people[::step], np.full(len(strangers.paths[::step]), -1)])
    return Part(paths, truth, [*gallery.names, "a stranger"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder that prepare.py wrote")
    parser.add_argument("--celebcam", default="target/release/celebcam", help="the binary")
    parser.add_argument("--model", type=Path, default=Path("models/celebrities.onnx"))
    parser.add_argument("--split", choices=("val", "test"), default="val")
    parser.add_argument("--step", type=int, default=2, help="take every so many pictures")
    args = parser.parse_args()

    part = chosen(args.data, args.split, args.step)
    changes = [(f"{side} px", lambda crop, v=side: framed(crop, v), False) for side in SIDES_PX]
    changes += [(f"blur {b}", lambda crop, v=b: blurred(crop, v), True) for b in BLURS_PX]
    changes += [(f"light {v}", lambda crop, v=v: darkened(crop, v), True) for v in LIGHTS]
    columns = ("looked at", "wrong", "named", "misnamed")
    print(f"{len(part)} pictures\n{'':12}{'with the gate':>40}{'without it':>40}")
    print(f"{'':12}" + "".join(f"{column:>10}" for column in columns * 2))
    sums = []
    for title, change, crops in changes:
        both = measure(args, part, change, crops)
        sums.append([[row[column] for column in columns] for row in both])
        values = [row[column] for row in both for column in columns]
        print(f"{title:12}" + "".join(f"{value:>10.2%}" for value in values), flush=True)
    means = np.mean(sums, axis=0).ravel()
    print(f"{'mean':12}" + "".join(f"{value:>10.2%}" for value in means))


if __name__ == "__main__":
    run(main)
