"""What a training run was started on and which of its steps are done, so that it can go on.

Kept as run.json in the work folder. Pictures are told by what they hold, not by their dates.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .failure import Failure

FILE = "run.json"
# Differences that a message names.
NAMED = 3


@dataclass
class Run:
    """A run: digests of the files of DATA by relative path, settings, and how far it came."""

    pictures: dict[str, str]
    settings: dict[str, str]
    done: list[str] = field(default_factory=list)
    begun: str = ""

    def save(self, work: Path) -> None:
        """Writes the run into its work folder."""
        work.mkdir(parents=True, exist_ok=True)
        replace(work / FILE, json.dumps(asdict(self), indent=1).encode())

    def begin(self, step: str, work: Path) -> bool:
        """Notes that a step begins; whether it was begun before."""
        again, self.begun = self.begun == step, step
        self.save(work)
        return again

    def finish(self, step: str, work: Path) -> None:
        """Notes that a step is done."""
        self.done.append(step)
        self.save(work)


def digests(folder: Path) -> dict[str, str]:
    """The digest of each file below a folder, by its path there; hidden ones are left out."""
    found = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts):
            try:
                digest = hashlib.sha256(path.read_bytes()).hexdigest()[:32]
            except OSError:  # What cannot be read is left out, and named, by the preparation.
                digest = "unreadable"
            found[str(relative)] = digest
    return found


def stopped(work: Path, now: Run) -> Run:
    """The run that was stopped in a work folder; a Failure where it was one on something else."""
    try:
        before = Run(**json.loads((work / FILE).read_text()))
    except FileNotFoundError:
        raise Failure(f"there is no run to go on with in {work}; leave RESUME out") from None
    except (ValueError, TypeError) as error:
        raise Failure(f"{work / FILE} cannot be read: {error}; leave RESUME out") from error
    for key in sorted(before.settings | now.settings):
        old, new = before.settings.get(key, ""), now.settings.get(key, "")
        if old != new:
            names = [value.split("#")[0] or "none" for value in (old, new)]
            what = f"another {key} ({names[0]}, now {names[1]})"
            if names[0] == names[1]:
                what = f"another {key} (the file {names[0]} has changed)"
            raise Failure(
                f"the run in {work} was started with {what}; go on as it was started, or leave "
                "RESUME out to begin again"
            )
    changes = differences(before.pictures, now.pictures)
    if changes:
        raise Failure(
            f"the pictures are not those the run in {work} was started on ({changes}); "
            "put them back, or leave RESUME out to begin again"
        )
    return before


def differences(old: dict[str, str], new: dict[str, str]) -> str:
    """Which files came, went or changed, in words; empty where none did."""
    parts = []
    for what, files in (
        ("new", new.keys() - old.keys()),
        ("gone", old.keys() - new.keys()),
        ("changed", {f for f in old.keys() & new.keys() if old[f] != new[f]}),
    ):
        if files:
            some = ", ".join(sorted(files)[:NAMED]) + (", .." if len(files) > NAMED else "")
            parts.append(f"{len(files)} {what}: {some}")
    return "; ".join(parts)


def replace(path: Path, content: bytes) -> None:
    """Writes a file in one step: it is there wholly, or as it was before."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
