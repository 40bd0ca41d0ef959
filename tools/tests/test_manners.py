"""What a training run says and does beside training: arguments, stops, resuming, words."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import RECOGNIZER, REPOSITORY

from celebtrainer import outcome, resume, words
from celebtrainer.failure import Failure


def pipeline(*given: object) -> subprocess.CompletedProcess:
    command = [sys.executable, RECOGNIZER / "pipeline.py", *given]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


def test_make_train_tells_its_usage_before_it_builds_anything():
    of_a_make = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")  # the tests may be run by one
    environment = {k: v for k, v in os.environ.items() if k not in ("DATA", "OUT", *of_a_make)}
    done = subprocess.run(
        ["make", "train"], cwd=REPOSITORY, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2 and done.stdout.startswith("usage: make train DATA=")
    assert all(name in done.stdout for name in ("CHECK=1", "RESUME=1", "BACKBONE", "hub"))
    assert "cargo" not in done.stdout


@pytest.mark.parametrize(
    ("out", "said"),
    [
        (".", "OUT is the folder"),
        ("people.txt", "ends in .onnx"),
        ("file/people.onnx", "cannot be written to"),
    ],
)
def test_where_the_model_goes_is_checked_first(tmp_path, out, said):
    (tmp_path / "file").write_text("")
    done = pipeline(tmp_path, tmp_path / out, "--work", tmp_path / "work")
    assert done.returncode == 1 and said in done.stderr, done.stderr
    assert "==" not in done.stdout and not (tmp_path / "work").exists()


def test_arguments_are_checked_without_any_package(tmp_path):
    command = [sys.executable, "-S", RECOGNIZER / "pipeline.py", tmp_path, "--only-arguments"]
    for more, code in ((["--check"], 0), ([tmp_path / "a.onnx"], 0), ([tmp_path], 1)):
        words_given = list(map(str, [*command, *more]))
        done = subprocess.run(words_given, capture_output=True, text=True, check=False)
        assert done.returncode == code and "Traceback" not in done.stderr, done.stderr
    assert not any(tmp_path.iterdir())


def test_a_run_that_is_stopped_says_one_line_and_leaves_nothing_running(people_folder, tmp_path):
    work, out = tmp_path / "work", tmp_path / "people.onnx"
    words_given = [people_folder, out, "--work", work]
    process = subprocess.Popen(
        [sys.executable, str(RECOGNIZER / "pipeline.py"), *map(str, words_given)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
    )  # fmt: skip
    assert process.stdout.readline() == "== prepare.py\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and said.count("\n") == 1
    assert said.startswith("stopped; to go on: make train DATA=") and "RESUME=1" in said
    assert not out.exists() and not running(str(work))
    (people_folder / "Ada One" / "00.png").write_bytes(b"changed")
    done = pipeline(*words_given, "--resume")
    assert done.returncode == 1 and "1 changed: Ada One/00.png" in done.stderr


def running(word: str) -> bool:
    """Whether a process has a word among its arguments, some moments later still."""
    for _ in range(20):
        found = False
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                found = found or word in path.read_text()
            except OSError:
                continue
        if not found:
            return False
        time.sleep(0.1)
    return True


def test_a_run_goes_on_only_with_what_it_was_started_on(tmp_path):
    with pytest.raises(Failure, match="no run to go on with"):
        resume.stopped(tmp_path, resume.Run({}, {}))
    before = resume.Run({"a/1.jpg": "x"}, {"preset": "p.toml#1"}, ["prepare"])
    before.begin("train", tmp_path)
    again = resume.stopped(tmp_path, resume.Run({"a/1.jpg": "x"}, {"preset": "p.toml#1"}))
    assert again.done == ["prepare"] and again.begin("train", tmp_path)
    with pytest.raises(Failure, match=r"file p.toml has changed"):
        resume.stopped(tmp_path, resume.Run({"a/1.jpg": "x"}, {"preset": "p.toml#2"}))
    with pytest.raises(Failure, match=r"1 new: b.jpg; 1 gone: a/1.jpg"):
        resume.stopped(tmp_path, resume.Run({"b.jpg": "x"}, {"preset": "p.toml#1"}))


def test_a_file_is_replaced_in_one_step(tmp_path, monkeypatch):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"before")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        resume.replace(path, b"after")
    assert path.read_bytes() == b"before" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"true_accepts": 0.95}, "names 95.0 %"),
        ({"true_accepts": 0.95, "false_accepts": None}, "WARNING: put pictures of 8 strangers"),
        ({"true_accepts": 0.95, "false_accepts": 0.002}, "at most 0.20 % of strangers"),
        ({"true_accepts": 0.5}, "WARNING: that is poor"),
        ({"true_accepts": 0.9, "enrolled_true_accepts": 0.95}, "WARNING: `celebcam enroll`"),
    ],
)
def test_the_last_line_says_what_came_of_it(tmp_path, figures, said):
    given = {"split": "test", "closed_set": {"pictures": 200}, "false_accepts": 0.001} | figures
    (tmp_path / "metrics.json").write_text(json.dumps(given))
    line = outcome.last_line(Path("people.onnx"), tmp_path)
    assert line.startswith("people.onnx: ") and said in line and "\n" not in line
    assert ("WARNING" in line) == ("WARNING" in said)


def test_intervals_are_wide_for_few_pictures():
    low, high = words.wilson(5, 5)
    assert 0.5 < low < 0.6 and high == 1
    assert words.wilson(0, 0) == (0, 1)
    low, high = words.wilson(500, 1000)
    assert low == pytest.approx(0.469, abs=1e-3) and high == pytest.approx(0.531, abs=1e-3)
