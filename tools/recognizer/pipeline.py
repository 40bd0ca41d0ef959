#!/usr/bin/env python3
"""Trains a model from a folder of people: runs the single steps one after the other.

Each step is a script of its own; what they hand on lies in a work folder, by default
build/train/<name of the model>. The model is written when every step is done, beside it a card.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

# The arguments are checked before the environment is made: nothing here may need a package.
from celebtrainer import RECOGNIZER, REPOSITORY, outcome, preset, resume
from celebtrainer.failure import INTERRUPTED, Failure, run

WORKS = REPOSITORY / "build" / "train"
# Seconds that a stopped step has for its end.
GRACE_S = 10
# A closed terminal and `kill` stop a run as Ctrl-C does.
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
OWN_WEIGHTS = {"mobilefacenet": "faces", "mobilenet_v1": "vggface2"}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of people (see prepare.py)")
    parser.add_argument("out", type=Path, nargs="?", help="the model file to write")
    parser.add_argument("--preset", default="default")
    parser.add_argument("--backbone", help="mobilefacenet, mobilenet_v1 or a model of timm")
    parser.add_argument("--weights", help="faces, vggface2, imagenet, a .safetensors file, or hub")
    parser.add_argument("--work", type=Path, help="folder for what lies between the steps")
    parser.add_argument("--celebcam", help="the celebcam binary, for photos")
    parser.add_argument(
        "--trust", action="store_true", help="the folders are right (see prepare.py)"
    )
    parser.add_argument("--check", action="store_true", help="look at the pictures and stop")
    parser.add_argument("--resume", action="store_true", help="go on with a run that was stopped")
    parser.add_argument(
        "--only-arguments", action="store_true", help="look at the arguments and stop"
    )
    args = parser.parse_intermixed_args()
    if args.check:
        args.work = args.work or WORKS / f"check-{args.data.resolve().name}"
    elif args.out is None:
        parser.error("give the model file to write, such as people.onnx")
    else:
        args.work = args.work or WORKS / args.out.stem
    return args


def check_arguments(args: argparse.Namespace) -> None:
    """A Failure where the arguments cannot end in a model."""
    if not args.data.is_dir():
        raise Failure(
            f"there is no folder {args.data}; give one with a folder of pictures for each person"
        )
    if args.check and args.resume:
        raise Failure("CHECK only looks at the pictures and RESUME goes on; give one of them")
    chosen = preset.load(args.preset)
    args.backbone = args.backbone or chosen.backbone
    # Weights fit one backbone only.
    other = None if args.backbone == chosen.backbone else OWN_WEIGHTS.get(args.backbone, "hub")
    args.weights = args.weights or other or chosen.weights
    try:
        preset.from_dict(chosen.as_dict() | {"backbone": args.backbone, "weights": args.weights})
    except ValueError as error:
        raise Failure(str(error)) from error
    if not args.check:
        check_out(args.out)


def check_out(out: Path) -> None:
    """A Failure where the model cannot be written to `out`."""
    if out.is_dir():
        raise Failure(f"OUT is the folder {out}; give the file to write, such as {out}/people.onnx")
    if out.suffix.lower() != ".onnx":
        raise Failure(f"OUT is {out}; the name of a model file ends in .onnx, such as people.onnx")
    folder = out.absolute().parent
    while not folder.exists():
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise Failure(f"OUT is {out}, and {folder} cannot be written to: {error.strerror}") from (
            error
        )


def settings(args: argparse.Namespace) -> dict[str, str]:
    """What a run depends on beside its pictures; after a # stands the digest of a file."""

    def named(value: str) -> str:
        path = Path(value)
        return f"{value}#{hashlib.sha256(path.read_bytes()).hexdigest()}" if path.is_file() else value  # fmt: skip

    file = args.preset if args.preset.endswith(".toml") else preset.PRESETS / f"{args.preset}.toml"
    return {
        "preset": named(str(file)),
        "embedding": named(str(RECOGNIZER / "pretrained" / "embedding.onnx")),
        "backbone": args.backbone,
        "weights": named(args.weights),
        "trust": "yes" if args.trust else "no",
    }


def step(script: str, *words: object) -> None:
    """Runs one script; its own message is enough when it fails."""
    command = [sys.executable, str(RECOGNIZER / script), *map(str, words)]
    print(f"== {script}", flush=True)
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    if not sys.stderr.isatty():
        environment["TQDM_DISABLE"] = "1"
    process = None
    try:
        with deferred() as stops:
            # In a group of its own a Ctrl-C does not reach it, and its children end with it.
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, env=environment, process_group=0
            )
        if stops:
            raise KeyboardInterrupt
        code = process.wait()
    except KeyboardInterrupt:
        if process:
            end(process)
        raise
    if code:
        raise Failure(f"{script} ended with exit code {code}")


@contextlib.contextmanager
def deferred() -> Iterator[list[int]]:
    """Collects signals to stop: one that came amid starting a script would lose the script."""
    came: list[int] = []
    before = {number: signal.signal(number, lambda n, _: came.append(n)) for number in STOPS}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end(process: subprocess.Popen) -> None:
    """Ends a script and what it started."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def need_weights(weights: str) -> None:
    """Makes named weights that are not here yet; a Failure where there are none of the name."""
    if weights in ("hub", "random"):
        return
    from celebtrainer import pretrained

    try:
        pretrained.locate(weights)
    except Failure:
        if weights not in pretrained.NAMED:
            raise
        step("weights.py", weights)


def prepare(args: argparse.Namespace) -> None:
    """Prepares the pictures; where they do not suffice, a page shows what was left out."""
    words = [*(["--celebcam", args.celebcam] if args.celebcam else []), *["--trust"] * args.trust]
    if preset.load(args.preset).head.kind == "prototypes":
        # Each picture is a test of the others.
        words += ["--test", "0"]
    try:
        step("prepare.py", args.data, args.work / "data", *words)
    except Failure:
        if (args.work / "data" / "manifest.csv").is_file():
            step("report.py", args.work)
        raise


def train(args: argparse.Namespace) -> None:
    """All steps from pictures to the model, those left out that are done."""
    state = resume.Run(resume.digests(args.data), settings(args))
    if args.resume:
        state = resume.stopped(args.work, state)
    else:
        state.save(args.work)
    need_weights(args.weights)
    work, data = args.work, args.work / "data"
    # Not beside the files of the steps: it may have the name of one of them.
    model = work / "model" / args.out.name
    training = ["--preset", args.preset, "--backbone", args.backbone, "--weights", args.weights]
    steps = {
        "prepare": lambda again: prepare(args),
        "train": lambda again: step("train.py", data, work, *training, *["--resume"] * again),
        "export": lambda again: step("export.py", data, work),
        "quantize": lambda again: step("quantize.py", data, work),
        "calibrate": lambda again: step("calibrate.py", data, work, model),
        "evaluate": lambda again: step("evaluate.py", data, work, model),
        "report": lambda again: step("report.py", work, model),
    }
    if preset.load(args.preset).head.kind == "prototypes":
        # Its network is int8 already.
        del steps["export"], steps["quantize"]
    for name, take in steps.items():
        if name not in state.done:
            take(state.begin(name, work))
            state.finish(name, work)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    resume.replace(args.out, model.read_bytes())
    card = args.out.with_name(f"{args.out.name}.md")
    resume.replace(card, (work / "model" / card.name).read_bytes())
    print(outcome.last_line(args.out, work))


def command(args: argparse.Namespace) -> str:
    """What to type for going on."""
    variables = {"DATA": args.data, "OUT": args.out, "PRESET": args.preset,
                 "BACKBONE": args.backbone, "WEIGHTS": args.weights, **({"TRUST": 1} if args.trust else {}), "RESUME": 1}  # fmt: skip
    return "make train " + " ".join(f"{k}={shlex.quote(str(v))}" for k, v in variables.items())


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> None:
    args = arguments()
    check_arguments(args)
    if args.only_arguments:
        return
    for number in STOPS:
        signal.signal(number, interrupt)
    try:
        if args.check:
            prepare(args)
            step("report.py", args.work)
            print(outcome.checked(args.data, args.work))
        else:
            train(args)
    except KeyboardInterrupt:
        again = "" if args.check else f"; to go on: {command(args)}"
        # A terminal shows ^C on the line.
        line = "\n" * sys.stderr.isatty() + "stopped" + again
        print(line, file=sys.stderr)
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    run(main)
