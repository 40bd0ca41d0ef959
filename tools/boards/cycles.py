"""Estimates with llvm-mca how many cycles a processor takes for blocks of instructions.

Each block is taken as an endless loop of itself, with every load from the first cache and every branch
foreseen. So the estimate is of what the code could reach: it leaves out waiting for memory, and also
that a processor works on the end of one block and the start of the next at once.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass

from emulator import Block

# What llvm-mca calls the model of a CPU. The Neoverse N1 is the Cortex-A76 for servers, and has a
# model of its own; what llvm-mca knows as cortex-a76 is the model of an older core.
MODELS = {"cortex-a76": "neoverse-n1"}
ARCHITECTURE = ["-mattr=+v8.2a,+dotprod,+fullfp16,+i8mm"]
# The blocks worth a look: together they have this share of the instructions.
COVERED = 0.995
# How often each block is repeated.
REPEATS = 100
# Not in every model, and none of them in the loops that matter.
UNKNOWN = re.compile(
    r"svc|mrs|msr|[di]mb|dsb|isb|ld(a|x|add|set|clr)x?r|st(l|x)x?r|brk|[di]c |hint|cas|swp"
)


class CyclesError(Exception):
    """llvm-mca does not do as expected."""


@dataclass(frozen=True)
class Estimate:
    """Cycles for one run of each block, and for all of them together."""

    total: float
    per_block: dict[Block, float]


@dataclass(frozen=True)
class Analyser:
    """An llvm-mca and the llvm-mc beside it."""

    mca: str
    mc: str
    version: str

    @classmethod
    def find(cls) -> Analyser | None:
        """The newest on this machine."""
        for suffix in [*(f"-{number}" for number in range(40, 10, -1)), ""]:
            mca, mc = shutil.which(f"llvm-mca{suffix}"), shutil.which(f"llvm-mc{suffix}")
            if mca and mc:
                found = re.search(r"version (\S+)", call([mca, "--version"]))
                return cls(mca, mc, found[1] if found else "of an unknown version")
        return None

    def estimate(self, cpu: str, blocks: dict[Block, float]) -> Estimate:
        """Cycles for blocks, each with how often it is run."""
        instructions = sum(len(block) * runs for block, runs in blocks.items())
        chosen, covered = [], 0.0
        for block in sorted(blocks, key=lambda block: -len(block) * blocks[block]):
            if covered > COVERED * instructions:
                break
            chosen.append(block)
            covered += len(block) * blocks[block]
        if not chosen:
            return Estimate(0.0, {})
        listing = call(
            [
                self.mca,
                "-mtriple=aarch64",
                f"-mcpu={MODELS.get(cpu, cpu)}",
                *ARCHITECTURE,
                f"-iterations={REPEATS}",
                "-json",
                "-instruction-info=false",
                "-resource-pressure=false",
            ],
            "".join(self.regions(chosen)),
        )
        regions = json.loads(listing)["CodeRegions"]
        per_block = {
            chosen[int(region["Name"])]: region["SummaryView"]["TotalCycles"] / REPEATS
            for region in regions
        }
        cycles = sum(blocks[block] * cycles for block, cycles in per_block.items())
        return Estimate(cycles * instructions / covered, per_block)

    def regions(self, blocks: list[Block]) -> list[str]:
        """The blocks as text for llvm-mca, named by their number."""
        codes = [code for block in blocks for code in block]
        encoded = "".join(f"{bytes_of(code)}\n" for code in codes)
        text = call([self.mc, "-triple=aarch64", *ARCHITECTURE, "--disassemble"], encoded)
        lines = [line.strip() for line in text.splitlines()]
        lines = [line for line in lines if line and not line.startswith(".")]
        if len(lines) != len(codes):
            raise CyclesError(f"{self.mc} does not know all {len(codes)} instructions")
        remaining = iter(lines)
        regions = []
        for number, block in enumerate(blocks):
            regions.append(f"# LLVM-MCA-BEGIN {number}\n")
            for _ in block:
                line = next(remaining)
                regions.append("nop\n" if UNKNOWN.match(line) else f"{line}\n")
            regions.append("# LLVM-MCA-END\n")
        return regions


def bytes_of(code: str) -> str:
    """An instruction in hexadecimal as llvm-mc reads it: `0e228020` is `0x20 0x80 0x22 0x0e`."""
    return " ".join(f"{byte:#04x}" for byte in int(code, 16).to_bytes(4, "little"))


def call(command: list[str], text: str = "") -> str:
    """What a command prints for a text."""
    result = subprocess.run(command, check=False, input=text, capture_output=True, text=True)
    if result.returncode != 0:
        raise CyclesError(f"{command[0]}: {result.stderr.strip()[:1000]}")
    return result.stdout
