#!/usr/bin/env python3
"""Counts the instructions that a second before an empty room takes on an emulated board.

A camera is played that gives 15 pictures a second of a room in which nothing moves but the sensor's
noise. The run is counted for some seconds and for some seconds more; the difference is the room alone.
For comparison, the same pictures with faces looked for in every one of them.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from bench import BINARY, ROOT, print_table
from emulator import Emulator, EmulatorError

CAMERA_RATE = 15
LOOK_RATE = 5
SIZE = (640, 480)
NOISE_STEPS = 4.0


def room(count: int) -> list[bytes]:
    """Return JPEG pictures of one empty room, each with noise of its own."""
    random = np.random.default_rng(1)
    coarse = random.integers(40, 200, (8, 10, 3), dtype=np.uint8)
    walls = Image.fromarray(coarse).resize(SIZE, Image.BICUBIC).filter(ImageFilter.GaussianBlur(3))
    pictures = []
    for _ in range(count):
        pixels = np.asarray(walls) + random.normal(0, NOISE_STEPS, (SIZE[1], SIZE[0], 1))
        file = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=85)
        pictures.append(file.getvalue())
    return pictures


def play(folder: Path, seconds: float) -> None:
    """Write pictures to standard output at the camera's rate."""
    pictures = [file.read_bytes() for file in sorted(folder.iterdir())]
    start = time.monotonic()
    for number in range(int(seconds * CAMERA_RATE)):
        time.sleep(max(0.0, start + number / CAMERA_RATE - time.monotonic()))
        sys.stdout.buffer.write(pictures[number % len(pictures)])
        sys.stdout.buffer.flush()


def live_instructions(emulator: Emulator, cpu: str, run: list, folder: Path, seconds: int) -> int:
    """Count a run that watches the room for some seconds."""
    player = [sys.executable, __file__, "--play", str(folder), str(seconds)]
    with subprocess.Popen(player, stdout=subprocess.PIPE) as camera:
        _, counts = emulator.run(cpu, [*run, "--stdin"], stdin=camera.stdout)
    return counts.total()


def look_instructions(emulator: Emulator, cpu: str, run: list, pictures: list[Path]) -> int:
    """Count a run that looks for faces in each picture."""
    _, counts = emulator.run(cpu, [*run, "--pictures", *pictures])
    return counts.total()


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, default=BINARY, help="celebcam for aarch64")
    parser.add_argument("--cpus", nargs="+", default=["cortex-a72", "cortex-a76"])
    parser.add_argument("--seconds", type=int, default=30, help="seconds of the room to count (30)")
    parser.add_argument("--build", type=Path, default=ROOT / "build/bench-arm")
    parser.add_argument("--play", nargs=2, metavar=("FOLDER", "SECONDS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.play:
        play(Path(args.play[0]), float(args.play[1]))
        return
    run = [args.binary, "--quiet", "run"]
    # Long enough for the models to load and for the room to be known as empty.
    settled = 15
    rows: list[list[str]] = [["instructions a second, million"]]
    rows += [[f"faces looked for {rate} times a second"] for rate in (CAMERA_RATE, LOOK_RATE)]
    rows += [["an empty room in which nothing moves"], ["share of the first"]]
    try:
        emulator = Emulator.build(args.build)
        with tempfile.TemporaryDirectory() as name:
            for number, picture in enumerate(room(8)):
                Path(name, f"{number}.jpg").write_bytes(picture)
            pictures = sorted(Path(name).iterdir())
            for cpu in args.cpus:
                print(f"{cpu} ...", file=sys.stderr)
                few = look_instructions(emulator, cpu, run, pictures[:2])
                look = (look_instructions(emulator, cpu, run, pictures) - few) / 6
                short = live_instructions(emulator, cpu, run, Path(name), settled)
                long = live_instructions(emulator, cpu, run, Path(name), settled + args.seconds)
                idle = (long - short) / args.seconds
                cells = [cpu, *(f"{look * rate / 1e6:.1f}" for rate in (CAMERA_RATE, LOOK_RATE))]
                cells += [f"{idle / 1e6:.1f}", f"{idle / (look * CAMERA_RATE):.1%}"]
                for row, cell in zip(rows, cells, strict=True):
                    row.append(cell)
    except EmulatorError as error:
        sys.exit(f"error: {error}")
    print_table(rows)


if __name__ == "__main__":
    main()
