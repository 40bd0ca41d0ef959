"""Runs an aarch64 program on an emulated processor and counts the blocks of instructions it runs."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

PLUGIN_SOURCE = Path(__file__).with_name("count_blocks.c")
LOADER = "/lib/ld-linux-aarch64.so.1"

# Instructions in hexadecimal, and how often the block of them was run.
Block = tuple[str, ...]
Blocks = Counter[Block]


class EmulatorError(Exception):
    """The emulator, or the program on it, failed."""


@dataclass(frozen=True)
class Emulator:
    """QEMU's user mode emulator with the plugin that counts."""

    plugin: Path
    # As in cross.sh: the C library of Debian's arm64 package where there is one, which the emulated
    # loader finds by itself, else the cross compiler's.
    sysroot: str = "/" if Path(LOADER).exists() else "/usr/aarch64-linux-gnu"

    @classmethod
    def build(cls, folder: Path) -> Emulator:
        """Compiles the plugin into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        plugin = folder.resolve() / "count_blocks.so"
        options = ["-O2", "-Wall", "-shared", "-fPIC", f"-DPLUGIN_VERSION={plugin_version()}"]
        subprocess.run(["cc", *options, "-o", plugin, PLUGIN_SOURCE], check=True)
        return cls(plugin)

    def run(self, cpu: str, command: list[str | Path]) -> tuple[str, Blocks]:
        """Gives what a program prints on a CPU, and the blocks that it runs."""
        with tempfile.TemporaryDirectory() as folder:
            counts = Path(folder, "counts")
            emulator = ["qemu-aarch64", "-cpu", cpu, "-L", self.sysroot]
            emulator += ["-plugin", f"file={self.plugin},out={counts}"]
            result = subprocess.run(
                [*emulator, *command], check=False, capture_output=True, text=True
            )
            if result.returncode != 0:
                said = result.stderr.strip() or f"exit code {result.returncode}"
                raise EmulatorError(f"{' '.join(map(str, command))} on {cpu}: {said}")
            if not counts.exists():
                raise EmulatorError("this qemu-aarch64 runs no plugins; Debian 12's does")
            return result.stdout, read_blocks(counts)


def plugin_version() -> int:
    """The version of the plugin interface to ask of the installed emulator."""
    text = subprocess.run(
        ["qemu-aarch64", "--version"], check=True, capture_output=True, text=True
    ).stdout
    found = re.search(r"version (\d+)\.", text)
    # QEMU 9 refuses what was written for older ones; nothing used here changed.
    return 1 if found and int(found[1]) < 9 else 3


def read_blocks(path: Path) -> Blocks:
    """Reads what the plugin wrote."""
    blocks: Blocks = Counter()
    with path.open() as lines:
        for line in lines:
            count, *instructions = line.split()
            blocks[tuple(instructions)] += int(count)
    return blocks
