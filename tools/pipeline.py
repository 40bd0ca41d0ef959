#!/usr/bin/env python3
"""Trains a model from a folder of people: runs the single steps one after the other.

Each step is a script of its own; what they hand on lies in a work folder, by default
build/train/<name of the model>. --resume goes on with a training run that was stopped.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from celebtrainer import preset, pretrained
from celebtrainer.failure import Failure, run

TOOLS = Path(__file__).resolve().parent


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of people (see prepare.py)")
    parser.add_argument("out", type=Path, help="the model file to write")
    parser.add_argument("--preset", default="default")
    parser.add_argument("--weights", help="faces, vggface2, imagenet, a .safetensors file, or hub")
    parser.add_argument("--work", type=Path, help="folder for what lies between the steps")
    parser.add_argument("--celebcam", help="the celebcam binary, for photos")
    parser.add_argument("--resume", action="store_true")
    return parser.parse_args()


def step(script: str, *words: object) -> None:
    """Runs one script; its own message is enough when it fails."""
    command = [sys.executable, str(TOOLS / script), *map(str, words)]
    print(f"== {script}", flush=True)
    code = subprocess.run(command, check=False).returncode
    if code:
        raise Failure(f"{script} ended with exit code {code}")


def need_weights(weights: str) -> None:
    """Makes named weights that are not here yet."""
    if weights in pretrained.NAMED:
        try:
            pretrained.locate(weights)
        except Failure:
            step("weights.py", weights)


def main() -> None:
    args = arguments()
    work = args.work or pretrained.REPOSITORY / "build" / "train" / args.out.stem
    data = work / "data"
    weights = args.weights or preset.load(args.preset).weights
    step("prepare.py", args.data, data, *(["--celebcam", args.celebcam] if args.celebcam else []))
    need_weights(weights)
    training = ["--preset", args.preset, "--weights", weights]
    step("train.py", data, work, *training, *(["--resume"] if args.resume else []))
    step("export.py", data, work)
    step("quantize.py", data, work)
    step("calibrate.py", data, work, args.out)
    step("evaluate.py", data, work, args.out)
    step("report.py", work, args.out)


if __name__ == "__main__":
    run(main)
