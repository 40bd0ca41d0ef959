#!/usr/bin/env python3
"""Learns what is general about faces from many people: pretrained/embedding.onnx.

DATA holds celeb24/train/<name>/*.jpg (aligned), lfw/<name>/*.jpg, cfp/<number>/frontal/*.jpg with
names.tsv, and fairface/*.jpg with labels.csv. Of lfw and cfp one half of the people is taken, by
the hash of their names; the other half is for measuring. The file holds an int8 network from a crop
to an embedding and, in its metadata, how alike strangers are; no picture and nobody's embedding.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import subprocess
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from celebtrainer import REPOSITORY, background, mobilefacenet, modelfile, pretrained
from celebtrainer.data import pictures
from celebtrainer.faces import find_binary
from celebtrainer.failure import Failure, run
from celebtrainer.network import Network, WhitenedHead
from export import export
from quantize import image, quantize

WORK = REPOSITORY / "build" / "background"
# Pictures that set the ranges of the int8 network.
CALIBRATION_PICTURES = 400
# Pictures of one person of celeb24, and of anybody where strangers are compared.
MOST_PICTURES = 60
MOST_PROBES = 10
# Pictures of a person to whose mean strangers are compared.
LEAST_PICTURES = 3
# Pictures in a person's mean where the confidence is fitted.
MEAN_OF = 5


def plain(name: str) -> str:
    """A name as lower-case letters, in which data sets agree."""
    return "".join(c for c in name.lower() if c.isalpha())


def half(name: str) -> int:
    """Which half of the people somebody belongs to, 0 or 1."""
    return hashlib.sha256(plain(name).encode()).digest()[0] & 1


def crop(folder: Path, out: Path, binary: str) -> dict[Path, Path]:
    """Cuts the largest face out of each photo below a folder; photo -> crop."""
    if not out.is_dir():
        out.parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run([binary, "crop", str(folder), "--out", str(out)], check=False)
        if done.returncode not in (0, 66):
            raise Failure(f"{binary} crop failed with exit code {done.returncode}")
    found = {}
    for made in out.rglob("*.png"):
        found[folder / made.relative_to(out).with_suffix("")] = made
    return found


def cfp_names(data: Path) -> dict[str, str]:
    """The names of cfp's people by their folders."""
    with open(data / "cfp" / "names.tsv") as file:
        return dict(line.rstrip("\n").split("\t")[:2] for line in file)


def people_of(data: Path, work: Path, binary: str, part: int) -> list[tuple[str, Path]]:
    """Names and crops of everybody who is learned from."""
    found = []
    for folder in sorted((data / "celeb24" / "train").iterdir()):
        found += [(plain(folder.name), p) for p in pictures(folder)[:MOST_PICTURES]]
    names = cfp_names(data)
    lfw, cfp = crop(data / "lfw", work / "lfw", binary), crop(data / "cfp", work / "cfp", binary)
    photos = [(photo.parent.name, made) for photo, made in lfw.items()]
    photos += [(names[photo.parent.parent.name], made) for photo, made in cfp.items() if photo.parent.name == "frontal"]  # fmt: skip
    return found + sorted((plain(n), p) for n, p in photos if half(n) == part)


def groups_of(data: Path, work: Path, binary: str) -> dict[str, list[Path]]:
    """Crops of the groups of fairface."""
    made = crop(data / "fairface", work / "fairface", binary)
    found: dict[str, list[Path]] = {}
    with open(data / "fairface" / "labels.csv") as file:
        for row in csv.DictReader(file):
            photo = data / "fairface" / row["file"]
            if photo in made:
                found.setdefault(row["race"], []).append(made[photo])
    return found


def network(projection: background.Map | None) -> Network:
    """The face network with a linear map on it, joined with its own last layer, which is linear too."""
    backbone = pretrained.build("mobilefacenet", "faces", mobilefacenet.INPUT_PX)
    last = backbone.net.pool[-1]
    weight = last.weight.detach().flatten(1).double().numpy()
    bias = last.bias.detach().double().numpy()
    if projection is not None:
        weight, bias = projection.matrix.T @ weight, projection.matrix.T @ (bias - projection.mean)
    backbone.net.pool = nn.Sequential(*list(backbone.net.pool)[:-1])
    head = WhitenedHead(weight.shape[1], len(weight), 1)
    with torch.no_grad():
        head.project.weight.copy_(torch.from_numpy(weight))
        head.project.bias.copy_(torch.from_numpy(bias))
    return Network(backbone, head).eval()


def make(
    projection: background.Map | None, calibration: list[Path], path: Path, output: str
) -> None:
    """Writes the int8 network that ends in `output`: `features` or `embedding`."""
    source = path.with_suffix(".float.onnx")
    export(network(projection), mobilefacenet.INPUT_PX, source)
    model = quantize(source, path, [image(p, mobilefacenet.INPUT_PX) for p in calibration])
    graph = model.graph
    before_length = next(node.input[0] for node in graph.node if node.op_type == "ReduceL2")
    kept = "embedding" if output == "embedding" else before_length
    width = len(projection.matrix.T) if projection else mobilefacenet.FEATURES
    del graph.output[:]
    graph.output.append(
        onnx.helper.make_tensor_value_info(kept, onnx.TensorProto.FLOAT, [1, width])
    )
    modelfile.drop_unused(graph)
    modelfile.save_checked(model, path)
    source.unlink()


def outputs(path: Path, paths: list[Path], title: str) -> np.ndarray:
    """What the int8 network makes of crops, [n, values]."""
    runner = modelfile.Runner(path)
    return runner.outputs_of(paths, title, runner.outputs[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with celeb24, lfw, cfp and fairface")
    parser.add_argument("out", type=Path, help="the file to write")
    parser.add_argument("--half", type=int, choices=(0, 1), default=0, help="half of the people")
    parser.add_argument("--work", type=Path, default=WORK, help="folder for crops")
    parser.add_argument("--celebcam", help="the celebcam binary, which cuts the crops")
    args = parser.parse_args()

    work = args.work or REPOSITORY / "build" / "background"
    binary = find_binary(args.celebcam)
    named = people_of(args.data, work / "crops", binary, args.half)
    grouped = groups_of(args.data, work / "crops", binary)
    paths = [path for _, path in named]
    numbers = {name: k for k, name in enumerate(sorted({name for name, _ in named}))}
    people = np.array([numbers[name] for name, _ in named])
    random = np.random.default_rng(0)
    calibration = [paths[i] for i in random.permutation(len(paths))[:CALIBRATION_PICTURES]]

    work.mkdir(parents=True, exist_ok=True)
    features_net = work / f"features-{args.half}.onnx"
    make(None, calibration, features_net, "features")
    features = outputs(features_net, paths, "features")
    of_groups = {g: outputs(features_net, p, g) for g, p in grouped.items()}
    projection = background.fit_map(features, people, of_groups)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    make(projection, calibration, args.out, "embedding")

    embeddings = outputs(args.out, paths, "embeddings")
    kept = ~background.misplaced(embeddings, people)
    kept &= ~np.isin(people, list(background.doubles(embeddings[kept], people[kept])))
    embeddings, people = embeddings[kept], people[kept]
    strangers = background.impostors(embeddings, people, LEAST_PICTURES, MOST_PROBES)
    curve = background.tail(strangers)
    same = background.genuine(embeddings, people, MEAN_OF)
    slope, intercept = background.confidence(same, curve)
    general = {
        "impostors": curve,
        "slope": slope,
        "intercept": intercept,
        "people": len(np.unique(people)),
        "pictures": len(people),
        "left_out": int((~kept).sum()),
        "comparisons": len(strangers),
        "half": args.half,
    }
    model = onnx.load(args.out)
    about = pretrained.NAMED["faces"]
    modelfile.write(model, modelfile.common("embedding") | {
        "background": general, "source": about.source, "license": about.license})  # fmt: skip
    onnx.save(model, args.out)
    print(json.dumps(general, indent=1))


if __name__ == "__main__":
    run(main)
