"""Runs an aarch64 program on an emulated processor and counts how often it runs each instruction."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PLUGIN_SOURCE = Path(__file__).with_name("count_blocks.c")
LOADER = "/lib/ld-linux-aarch64.so.1"

# How often the instruction at an address was run; each with its code in hexadecimal.
Counts = Counter[tuple[int, str]]
# Instructions that are run one after the other.
Block = tuple[str, ...]


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

    def run(
        self, cpu: str, command: list[str | Path], stdin: IO[bytes] | None = None
    ) -> tuple[str, Counts]:
        """Gives what a program prints on a CPU, and how often it runs which instruction."""
        with tempfile.TemporaryDirectory() as folder:
            counts = Path(folder, "counts")
            emulator = ["qemu-aarch64", "-cpu", cpu, "-L", self.sysroot]
            emulator += ["-plugin", f"file={self.plugin},out={counts}"]
            result = subprocess.run(
                [*emulator, *command], check=False, capture_output=True, text=True, stdin=stdin
            )
            if result.returncode != 0:
                said = result.stderr.strip() or f"exit code {result.returncode}"
                raise EmulatorError(f"{' '.join(map(str, command))} on {cpu}: {said}")
            if not counts.exists():
                raise EmulatorError("this qemu-aarch64 runs no plugins; Debian 12's does")
            return result.stdout, read_counts(counts)


def plugin_version() -> int:
    """The version of the plugin interface to ask of the installed emulator."""
    text = subprocess.run(
        ["qemu-aarch64", "--version"], check=True, capture_output=True, text=True
    ).stdout
    found = re.search(r"version (\d+)\.", text)
    # QEMU 9 refuses what was written for older ones; nothing used here changed.
    return 1 if found and int(found[1]) < 9 else 3


def read_counts(path: Path) -> Counts:
    """Reads what the plugin wrote."""
    counts: Counts = Counter()
    with path.open() as lines:
        for line in lines:
            runs, address, *codes = line.split()
            for at, code in enumerate(codes):
                counts[int(address, 16) + 4 * at, code] += int(runs)
    return counts


def blocks_of(counts: Counts) -> dict[Block, int]:
    """Joins instructions that follow each other equally often, up to a branch.

    The emulator's own blocks depend on where the code lies: they end with each page.
    """
    blocks: Counter[Block] = Counter()
    block: list[str] = []
    expected = None
    for (address, code), runs in sorted(counts.items()):
        if block and (address, runs) != expected:
            blocks[tuple(block)] += expected[1]
            block = []
        block.append(code)
        expected = (address + 4, runs)
        if is_branch(code):
            blocks[tuple(block)] += runs
            block = []
    if block:
        blocks[tuple(block)] += expected[1]
    return dict(blocks)


def is_branch(code: str) -> bool:
    """Whether an instruction in hexadecimal is a branch, a call or a return."""
    word = int(code, 16)
    return (
        word >> 26 & 0b011111 == 0b000101  # b, bl
        or word >> 25 & 0b0111111 in (0b0011010, 0b0011011)  # cbz, cbnz, tbz, tbnz
        or word >> 25 in (0b0101010, 0b1101011)  # b.cond; br, blr, ret
    )
