"""Shared by the tests: the tools on the path, generated faces, and where the data lies."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TOOLS = Path(__file__).resolve().parent.parent
RECOGNIZER = TOOLS / "recognizer"
REPOSITORY = TOOLS.parent
for folder in ("recognizer", "detector", "boards", "peers", "repo"):
    sys.path.append(str(TOOLS / folder))


def draw(person: int, seed: int) -> np.ndarray:
    """A smooth 112x112 picture: a pattern per person, with noise that differs by seed."""
    pattern = np.random.default_rng(person).uniform(0, 255, (6, 6, 3))
    noise = np.random.default_rng(1000 + 97 * person + seed).normal(0, 40, (6, 6, 3))
    small = np.clip(pattern + noise, 0, 255).astype(np.uint8)
    return np.array(Image.fromarray(small).resize((112, 112), Image.Resampling.BICUBIC))


@pytest.fixture
def people_folder(tmp_path: Path) -> Path:
    """Three people with twelve pictures each, and two strangers with six."""
    folder = tmp_path / "people"
    for person, name in enumerate(["Ada One", "Bob Two", "Cy Three", "unknown/x", "unknown/y"]):
        (folder / name).mkdir(parents=True)
        for seed in range(12 if person < 3 else 6):
            Image.fromarray(draw(person, seed)).save(folder / name / f"{seed:02}.png")
    return folder


def shared_file(relative: str) -> Path:
    """A file of the data that is not in the repository; skips loudly, fails where CI is set."""
    root = Path(os.environ.get("CELEBCAM_DATA", REPOSITORY.parent / "shared"))
    path = root / relative
    if not path.exists():
        message = f"SKIPPED: {path} is not here; set CELEBCAM_DATA to the folder that holds it"
        print(message, file=sys.__stderr__)
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return path
