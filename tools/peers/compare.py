#!/usr/bin/env python3
"""Compares celebcam's speed with other runtimes on one int8 MobileNet V1, a picture at a time.

onnxruntime and OpenVINO read the same QDQ file as celebcam. LiteRT with XNNPACK gets the same
integer weights, biases and scales in its own format. That all give the same embedding is checked.

Machines are noisy, so the runtimes take turns: in each round every one does some runs, each in a
process of its own. celebcam's time is divided by the other's within a round, and the median and
the quartiles over the rounds are shown.

`make bench-peers` runs it. Without --model it makes a network of the trainer's with random weights,
for the values of weights do not change the time. The runtimes live in .venv-bench. They are called
from Python, celebcam is not; that costs them some 0.02 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1] / "recognizer"))

from celebtrainer.failure import Failure, run
from litert import INPUT_PX, LiteModel

# The workers run where torch and Pillow are not installed and the main process where LiteRT and
# OpenVINO are not, so these are imported where they are used.

ROOT = Path(__file__).resolve().parents[2]
MADE = ROOT / "build" / "bench"
PEERS = {"onnxruntime": "onnxruntime", "OpenVINO": "openvino", "LiteRT": "ai-edge-litert"}
PEOPLE = 18
CALIBRATION_PICTURES = 24
# Runs before those that count, in each turn: the others' data lie in the caches.
WARMUP = 10
# Threads of some runtimes look for more work for a while after a run; the next one waits for that.
SETTLE_S = 0.1
# For how long it is watched then what other programs do.
WATCH_S = 0.05
# Share of the cores that other programs may use before the table says that it is not to be trusted.
MOST_BUSY = 0.1
# The least cosine between the embeddings of two runtimes. They round in different places, and
# OpenVINO without VNNI lets sums of two products saturate.
LEAST_COSINE = 0.95
# What OpenVINO's environment variables call the instruction sets of CELEBCAM_ISA. oneDNN reads the
# one, OpenVINO the other, which older releases do not have.
OPENVINO_VARIABLES = ("ONEDNN_MAX_CPU_ISA", "OV_CPU_MAX_ISA")
OPENVINO_ISA = {"avx2": "AVX2", "avx512_vnni": "AVX512_CORE_VNNI"}


# The model


def make_pictures(folder: Path) -> list[Path]:
    """Seeded pictures of soft shapes and grain, the size of the trainer's crops."""
    from PIL import Image

    from celebtrainer.data import CROP_PX

    random, paths = np.random.default_rng(0), []
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(CALIBRATION_PICTURES):
        shapes = Image.fromarray(random.integers(0, 256, (7, 7, 3), dtype=np.uint8))
        soft = np.array(shapes.resize((CROP_PX, CROP_PX), Image.Resampling.BICUBIC), np.float32)
        grain = random.normal(0, 12, soft.shape)
        paths.append(folder / f"{index}.png")
        Image.fromarray((soft + grain).clip(0, 255).astype(np.uint8)).save(paths[-1])
    return paths


def make_model(folder: Path) -> Path:
    """A MobileNet V1 with seeded random weights, exported and quantized as the trainer does."""
    import onnx
    import torch
    from torch import nn

    import export
    import quantize
    from celebtrainer import modelfile, network, pretrained
    from celebtrainer.data import read_crops
    from celebtrainer.preset import Head

    paths = make_pictures(folder / "pictures")
    torch.manual_seed(0)
    backbone = pretrained.build("mobilenet_v1", "random", INPUT_PX)
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, nn.BatchNorm2d):
            # The mean over the batches: activations keep the spread that training gives them.
            module.momentum = None
    made = network.Network(backbone, network.make_head(Head(), backbone.features, PEOPLE))
    crops = read_crops(paths)
    with torch.inference_mode():
        made.train()(network.resize(torch.from_numpy(crops), INPUT_PX))
    float_path, path = folder / "mobilenet_v1_224.float.onnx", folder / "mobilenet_v1_224.onnx"
    model = export.export(made.eval(), INPUT_PX, float_path)
    properties = modelfile.common("recognizer") | {
        "labels": modelfile.labels([f"Person {number + 1}" for number in range(PEOPLE)]),
        "training": {},
        "source": "random weights, to measure speed only",
        "license": "none needed",
    }
    modelfile.write(model, properties)
    onnx.save(model, float_path)
    export.verify(made, float_path, crops[:4], INPUT_PX)
    # Only a whole file gets the name under which the next call finds it.
    unfinished = path.with_suffix(".unfinished.onnx")
    images = [quantize.image(path, INPUT_PX) for path in paths]
    quantize.quantize(float_path, unfinished, images)
    unfinished.rename(path)
    return path


# The other runtimes, each in a process of its own


def start_onnxruntime(model: Path, threads: int, picture: np.ndarray):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    feed = {"image": picture}
    return lambda: session.run(None, feed), lambda: session.run(["embedding"], feed)[0]


def start_openvino(model: Path, threads: int, picture: np.ndarray):
    import openvino

    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
    core = openvino.Core()
    request = core.compile_model(core.read_model(model), "CPU", settings).create_infer_request()
    request.set_input_tensor(openvino.Tensor(picture, shared_memory=True))
    return request.infer, lambda: request.infer()["embedding"].copy()


def start_litert(model: Path, threads: int, picture: np.ndarray):
    from ai_edge_litert.interpreter import Interpreter

    path = model.with_suffix(".tflite")
    interpreter = Interpreter(str(path), num_threads=threads)
    interpreter.allocate_tensors()
    signed = (picture ^ 0x80).view(np.int8)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], signed)
    embedding = interpreter.get_output_details()[0]["index"]

    def answer() -> np.ndarray:
        interpreter.invoke()
        return interpreter.get_tensor(embedding)

    return interpreter.invoke, answer


STARTS = {"onnxruntime": start_onnxruntime, "OpenVINO": start_openvino, "LiteRT": start_litert}


def work(name: str, model: Path, threads: int) -> None:
    """Says the embedding of one picture, then for each line "RUNS" the times in microseconds."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the runtimes print is no answer
    shape = (1, INPUT_PX, INPUT_PX, 3)
    picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    infer, answer = STARTS[name](model, threads, picture)
    print(json.dumps(answer().reshape(-1).tolist()), file=out, flush=True)
    for line in sys.stdin:
        for _ in range(WARMUP):
            infer()
        times = []
        for _ in range(int(line)):
            started = time.perf_counter_ns()
            infer()
            times.append((time.perf_counter_ns() - started) / 1e3)
        print(json.dumps(times), file=out, flush=True)


class Peer:
    """Another runtime, held ready in its process."""

    def __init__(self, name: str, args: argparse.Namespace, threads: int):
        self.name = name
        self.log = MADE / f"{name}.log"
        self.command = [args.python, __file__, "--worker", name, "--model", args.model,
                        "--threads", threads]  # fmt: skip
        self.held = name == "OpenVINO" and args.isa in OPENVINO_ISA
        if self.held:
            try:
                self.start(dict.fromkeys(OPENVINO_VARIABLES, OPENVINO_ISA[args.isa]))
                return
            except Failure:
                self.held = False
        self.start({})

    def start(self, variables: dict[str, str]) -> None:
        """Starts the process, which says the embedding when it is ready."""
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                list(map(str, self.command)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=dict(os.environ) | variables,
                text=True,
            )
        self.embedding = np.array(self.read())

    def read(self) -> list[float]:
        line = self.process.stdout.readline()
        if not line:
            raise Failure(f"{self.name} does not run; {self.log} says why")
        return json.loads(line)

    def measure_us(self, runs: int) -> float:
        """The median of some runs."""
        self.process.stdin.write(f"{runs}\n")
        self.process.stdin.flush()
        return float(np.median(self.read()))

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


class Celebcam:
    """The binary, started anew for each turn."""

    def __init__(self, args: argparse.Namespace, threads: int):
        self.command = [str(args.celebcam), "bench", str(args.model), "--threads", str(threads),
                        "--warmup", str(WARMUP), "--samples", "--no-peak",
                        "--format", "json", "--runs"]  # fmt: skip
        self.environment = dict(os.environ) | ({"CELEBCAM_ISA": args.isa} if args.isa else {})
        self.isa = ""

    def measure_us(self, runs: int) -> float:
        """The median of some runs."""
        done = subprocess.run(
            [*self.command, str(runs)], env=self.environment, capture_output=True, text=True
        )
        if done.returncode:
            raise Failure(f"{' '.join(self.command)} {runs} fails: {done.stderr.strip()}")
        report = json.loads(done.stdout)
        self.isa = report["isa"]
        return float(np.median(report["samples_us"]))

    def close(self) -> None:
        pass


# The comparison


def check_embeddings(peers: list[Peer]) -> dict[str, float]:
    """The cosines to the first one's embedding; a Failure when one computes something else."""
    first, cosines = peers[0], {}
    for peer in peers[1:]:
        lengths = np.linalg.norm(first.embedding) * np.linalg.norm(peer.embedding)
        cosine = float(first.embedding @ peer.embedding / lengths)
        if not cosine >= LEAST_COSINE:
            raise Failure(
                f"{peer.name} and {first.name} do not compute the same: the cosine of their "
                f"embeddings is {cosine:.3f}; their times cannot be compared"
            )
        cosines[peer.name] = cosine
    return cosines


def used_by_others() -> float:
    """The share of the cores that is in use while nothing of the comparison runs."""

    def clocks() -> tuple[int, int]:
        values = list(map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9]))
        return sum(values), values[3] + values[4]

    total, idle = clocks()
    time.sleep(WATCH_S)
    total_after, idle_after = clocks()
    return 1 - (idle_after - idle) / max(1, total_after - total)


def measure(args: argparse.Namespace) -> tuple[dict, dict]:
    """Median time in ms of each round by threads and runtime, and what else was found."""
    runtimes: dict[int, dict] = {}
    for threads in args.threads:
        peers = {name: Peer(name, args, threads) for name in PEERS}
        cosines = check_embeddings(list(peers.values()))
        own = {} if args.without_celebcam else {"celebcam": Celebcam(args, threads)}
        runtimes[threads] = own | peers
    times = {threads: {name: [] for name in row} for threads, row in runtimes.items()}
    busy = []
    for turn in range(args.rounds):
        for threads, row in runtimes.items():
            # Nobody always comes after the same neighbour.
            names = list(row)[turn % len(row) :] + list(row)[: turn % len(row)]
            for name in names[:: -1 if turn // len(row) % 2 else 1]:
                time.sleep(SETTLE_S)
                busy.append(used_by_others())
                times[threads][name].append(row[name].measure_us(args.runs) / 1e3)
        print(f"\rround {turn + 1} of {args.rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    row = runtimes[args.threads[0]]
    facts = {
        "isa": "" if args.without_celebcam else row["celebcam"].isa,
        "openvino_held": row["OpenVINO"].held,
        "cosine_to_onnxruntime": cosines,
        "used_by_others": float(np.mean(busy)),
    }
    for row in runtimes.values():
        for runtime in row.values():
            runtime.close()
    return times, facts


def spread(values) -> dict:
    """Median and quartiles."""
    low, median, high = np.percentile(values, [25, 50, 75])
    return {"median": float(median), "quartiles": [float(low), float(high)]}


def summarize(times: dict) -> dict:
    """What the table shows, by runtime and threads."""
    result: dict = {}
    for threads, row in times.items():
        for name, rounds in row.items():
            entry = {"median_ms": float(np.median(rounds)), "rounds_ms": rounds}
            if "celebcam" in row and name != "celebcam":
                entry["celebcam_ratio"] = spread(np.divide(row["celebcam"], rounds))
            result.setdefault(name, {"threads": {}})["threads"][threads] = entry
    if 1 in times and 2 in times:
        for name, entry in result.items():
            entry["speed_up_of_2_threads"] = spread(np.divide(times[1][name], times[2][name]))
    return result


def table(result: dict, threads: list[int]) -> str:
    """One line for each runtime."""

    def figures(value: dict | None) -> str:
        if value is None:
            return "-"
        low, high = value["quartiles"]
        return f"{value['median']:.2f} ({low:.2f} to {high:.2f})"

    header = ["runtime"]
    for count in threads:
        unit = f"{count} thread" + "s" * (count > 1)
        header += [f"{unit}, ms", "celebcam's time / its"]
    rows = [header + ["2 threads are faster by"] * ({1, 2} <= set(threads))]
    for name, entry in result.items():
        row = [f"{name} {entry['version']}".strip()]
        for count in threads:
            cell = entry["threads"][count]
            row += [f"{cell['median_ms']:.2f}", figures(cell.get("celebcam_ratio"))]
        if "speed_up_of_2_threads" in entry:
            row.append(figures(entry["speed_up_of_2_threads"]))
        rows.append(row)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def machine() -> str:
    """The processor as it calls itself, and how many cores the process may use."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.machine()
    return f"{name}, {len(os.sched_getaffinity(0))} cores"


def versions(args: argparse.Namespace) -> dict[str, str]:
    """The version of each runtime, from the environment that it runs in."""
    code = "import importlib.metadata as m, sys; print(*map(m.version, sys.argv[1:]))"
    command = [str(args.python), "-c", code, *PEERS.values()]
    found = subprocess.run(command, capture_output=True, text=True)
    if found.returncode:
        raise Failure(f"{args.python} lacks a runtime: {found.stderr.strip().splitlines()[-1]}; "
                      "run make bench-peers, which installs them")  # fmt: skip
    return dict(zip(PEERS, (v.split("+")[0].split("-")[0] for v in found.stdout.split()),
                    strict=True))  # fmt: skip


def notes(args: argparse.Namespace, facts: dict) -> list[str]:
    """What one has to know to read the table."""
    lines = [
        f"Times are the medians of {args.rounds} rounds of {args.runs} runs; in brackets the "
        "quartiles of the rounds.",
        "LiteRT is spared the conversion of the picture from unsigned bytes.",
        "Cosine of the embedding to onnxruntime's: "
        + ", ".join(f"{k} {v:.3f}" for k, v in facts["cosine_to_onnxruntime"].items())
        + ".",
    ]
    if facts["used_by_others"] > MOST_BUSY:
        lines.append(
            f"Other programs used {facts['used_by_others']:.0%} of the cores: do not trust these "
            "figures, above all not those of several threads, but repeat them on an idle machine."
        )
    if facts["isa"]:
        lines.insert(0, f"celebcam ran its {facts['isa']} kernels. A ratio below 1: it is faster.")
    if args.isa:
        free = [name for name in PEERS if not (facts["openvino_held"] and name == "OpenVINO")]
        if facts["openvino_held"]:
            lines.append(f"OpenVINO was held to {args.isa} too.")
        lines.append(
            f"Not held to {args.isa}, for lack of a setting that works: {', '.join(free)}. They "
            "used the best that this machine has."
        )
    return lines


def prepare(args: argparse.Namespace) -> None:
    """Checks what is given, and makes what is not."""
    if not args.python.is_file():
        raise Failure(f"there is no {args.python}; run make bench-peers, which makes it")
    if not args.without_celebcam and not args.celebcam.is_file():
        raise Failure(f"there is no {args.celebcam}; run make build, or give --celebcam")
    available = len(os.sched_getaffinity(0))
    if max(args.threads) > available:
        raise Failure(f"this machine has {available} cores; give --threads {available}")
    MADE.mkdir(parents=True, exist_ok=True)
    if args.model is None:
        args.model = MADE / "mobilenet_v1_224.onnx"
        if not args.model.is_file():
            make_model(MADE)
    elif not args.model.is_file():
        raise Failure(f"there is no model {args.model}")
    # LiteRT's file lies where nothing of the user's is overwritten.
    linked = MADE / "compared" / "model.onnx"
    linked.parent.mkdir(exist_ok=True)
    linked.write_bytes(args.model.read_bytes())
    args.model = linked
    command = [str(args.python), __file__, "--convert", "--model", str(linked)]
    if subprocess.run(command).returncode:
        raise Failure("LiteRT's file could not be made, see above")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, help="int8 MobileNet V1 of the trainer's, 224 pixels")
    parser.add_argument("--celebcam", type=Path, default=ROOT / "target/release/celebcam")
    parser.add_argument("--without-celebcam", action="store_true", help="measure the others only")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--runs", type=int, default=30, help="runs of each runtime in a round")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], metavar="N")
    parser.add_argument("--isa", help="hold celebcam to these kernels, and others if they can be")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here too")
    parser.add_argument("--python", type=Path, default=ROOT / ".venv-bench/bin/python",
                        help="interpreter that has the other runtimes")  # fmt: skip
    parser.add_argument("--worker", choices=STARTS, help=argparse.SUPPRESS)
    parser.add_argument("--convert", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work(args.worker, args.model, args.threads[0])
        return
    if args.convert:
        args.model.with_suffix(".tflite").write_bytes(LiteModel(args.model).convert())
        return

    prepare(args)
    found = versions(args)
    times, facts = measure(args)
    result = summarize(times)
    for name, entry in result.items():
        entry["version"] = found.get(name, "")
    said = notes(args, facts)
    print(f"MobileNet V1 1.0, int8, {INPUT_PX}x{INPUT_PX}, one picture at a time, on {machine()}\n")
    print(table(result, args.threads), "", *said, sep="\n")
    if args.json:
        content = {"machine": machine(), "input_px": INPUT_PX, "rounds": args.rounds,
                   "runs": args.runs, **facts, "notes": said, "runtimes": result}  # fmt: skip
        args.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
