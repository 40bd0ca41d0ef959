#!/usr/bin/env python3
"""Counts the instructions of one inference on emulated boards, and estimates the cycles they take.

The program runs each model a few times, and again a few times more; the difference is the inferences
alone. Unlike times under an emulator, such counts say something about a board: they repeat to a
fraction of a percent and change only with the code.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import instructions
from cycles import Analyser, CyclesError, Estimate
from emulator import Block, Emulator, EmulatorError, blocks_of

ROOT = Path(__file__).resolve().parents[2]
BINARY = ROOT / "target/boards/aarch64-unknown-linux-gnu/release/celebcam"
BUILT_IN = {
    "recognizer": ROOT / "models/celebrities.onnx",
    "detector": ROOT / "models/detector.onnx",
}


@dataclass(frozen=True)
class Inference:
    """What one inference of a model takes on a CPU."""

    model: str
    cpu: str
    isa: str
    blocks: dict[Block, float]
    texts: dict[str, str]
    kinds: Counter[str]
    estimate: Estimate | None

    @property
    def instructions(self) -> float:
        return self.kinds.total()


def measure(
    emulator: Emulator, analyser: Analyser | None, cpu: str, title: str, command: list, more: int
) -> Inference:
    """Counts the blocks of one inference: of 1 + more runs without those of 1 run, divided."""
    _, few = emulator.run(cpu, [*command, "--runs", "1"])
    said, many = emulator.run(cpu, [*command, "--runs", str(1 + more)])
    blocks = {block: runs / more for block, runs in blocks_of(many - few).items()}
    texts = instructions.disassemble(code for block in blocks for code in block)
    return Inference(
        model=title,
        cpu=cpu,
        isa=json.loads(said.splitlines()[0])["isa"],
        blocks=blocks,
        texts=texts,
        kinds=instructions.count_kinds(blocks, texts),
        estimate=analyser.estimate(cpu, blocks) if analyser else None,
    )


def table(inferences: list[Inference]) -> list[list[str]]:
    """Rows of cells: what it is, then a cell for each inference."""

    def row(title: str, cell) -> list[str]:
        return [title, *map(cell, inferences)]

    def millions(count: float) -> str:
        return f"{count / 1e6:.3f}"

    rows = [
        row("model", lambda one: one.model),
        row("processor", lambda one: one.cpu),
        row("kernels", lambda one: one.isa),
        row("instructions, million", lambda one: millions(one.instructions)),
    ]
    for name in instructions.NAMES:
        if any(one.kinds[name] >= 500 for one in inferences):
            rows.append(row(f"  {name}", lambda one, name=name: millions(one.kinds[name])))
    if all(one.estimate for one in inferences):
        rows += [
            row("cycles, million, estimated", lambda one: millions(one.estimate.total)),
            row(
                "instructions a cycle",
                lambda one: f"{one.instructions / max(one.estimate.total, 1):.2f}",
            ),
        ]
    return rows


def print_table(rows: list[list[str]]) -> None:
    """Prints rows of cells in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for title, *cells in rows:
        columns = [title.ljust(widths[0])]
        columns += [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        print("  ".join(columns).rstrip())


def print_blocks(inference: Inference, number: int) -> None:
    """Prints the blocks that take longest, for who wants to make them faster."""
    estimate = inference.estimate
    per_block = estimate.per_block if estimate else {b: len(b) for b in inference.blocks}
    unit = "cycles" if estimate else "instructions"
    total = sum(inference.blocks[block] * cost for block, cost in per_block.items())
    print(f"\n{inference.model} on {inference.cpu}: the blocks with the most {unit}")
    costliest = sorted(per_block, key=lambda block: -inference.blocks[block] * per_block[block])
    for block in costliest[:number]:
        runs, cost = inference.blocks[block], per_block[block]
        names = Counter(inference.texts[code].split()[0] for code in block)
        print(
            f"{100 * runs * cost / total:5.1f} %  {runs:9.0f} x {len(block):3} instructions"
            + (f", {cost:6.1f} cycles" if estimate else "")
            + "  "
            + " ".join(f"{name}:{count}" for name, count in names.most_common(6))
        )


def main() -> None:
    """Measures each model on each CPU and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, default=BINARY, help="celebcam for aarch64")
    parser.add_argument("--model", type=Path, help="model file to measure beside the built-in ones")
    parser.add_argument(
        "--cpus", nargs="+", default=["cortex-a72", "cortex-a76"], help="processors to emulate"
    )
    parser.add_argument("--runs", type=int, default=2, help="inferences to average (2)")
    parser.add_argument(
        "--blocks", type=int, default=0, help="list so many of the costliest blocks"
    )
    parser.add_argument(
        "--build", type=Path, default=ROOT / "build/bench-arm", help="folder for the plugin"
    )
    args = parser.parse_args()
    if not args.binary.exists():
        sys.exit(f"error: {args.binary} is not there; `make bench-arm` builds it")
    models = BUILT_IN | ({args.model.stem: args.model} if args.model else {})
    analyser = Analyser.find()
    try:
        emulator = Emulator.build(args.build)
        inferences = []
        for title, path in models.items():
            command = [args.binary, "bench", path, "--warmup", "0", "--no-peak", "--format", "json"]
            for cpu in args.cpus:
                print(f"{title} on {cpu} ...", file=sys.stderr)
                inferences.append(measure(emulator, analyser, cpu, title, command, args.runs))
    except (EmulatorError, CyclesError) as error:
        sys.exit(f"error: {error}")
    print_table(table(inferences))
    if analyser:
        print(f"\ncycles by llvm-mca {analyser.version}, without waiting for memory")
    else:
        print("\nno llvm-mca here, so cycles are not estimated")
    if args.blocks:
        for inference in inferences:
            print_blocks(inference, args.blocks)


if __name__ == "__main__":
    main()
