"""Fits a head on a backbone of PyTorch, and the backbone's last layers where the preset says so.

What is kept between runs, for going on with one, is replaced in one step.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from . import data, finetune, pretrained, resume, whitening
from .network import Network, make_head, resize
from .preset import Preset

# Features of the frozen backbone, of a split.
FEATURES = "features-{}.npz"


@dataclass(frozen=True)
class Run:
    """A prepared data set, the work folder, and what to train on which device."""

    folder: Path
    work: Path
    preset: Preset
    device: str

    @classmethod
    def of(cls, folder: Path, work: Path, preset: Preset, device: str | None) -> Run:
        """By default on a GPU where there is one."""
        return cls(folder, work, preset, device or ("cuda" if torch.cuda.is_available() else "cpu"))


def forget(work: Path) -> None:
    """Removes what an earlier run left for going on."""
    for stale in (FEATURES.format("train"), FEATURES.format("val"), finetune.CHECKPOINT):
        (work / stale).unlink(missing_ok=True)


def fit(run: Run, train: data.Part, val: data.Part) -> tuple[Network, list[dict], dict]:
    """The network with its history, one row an epoch, and facts for calibration."""
    torch.manual_seed(run.preset.seed)
    torch.backends.cudnn.deterministic = True
    backbone = pretrained.build(run.preset.backbone, run.preset.weights, run.preset.input_px)
    network = Network(backbone, make_head(run.preset.head, backbone.features, len(train.names)))
    if run.preset.head.kind == "whitened":
        history, facts = fit_whitened(network, train, val, run)
    else:
        print(class_table(train, val))
        history = finetune.train(network, train, val, run.preset, run.work, run.device)
        facts = {}
    return network.cpu().eval().to(memory_format=torch.contiguous_format), history, facts


def extract(backbone: pretrained.Backbone, part: data.Part, run: Run, cache: Path) -> np.ndarray:
    """Features [views, n, features] of a split: as it is and, if wanted, mirrored."""
    chosen = run.preset
    about = [chosen.backbone, chosen.weights, chosen.input_px, chosen.augmentation.flip]
    key = hashlib.sha256(repr([*about, *map(str, part.paths)]).encode()).hexdigest()
    if cache.is_file():
        stored = np.load(cache)
        if str(stored["key"]) == key:
            return stored["features"]
    mirrored = (False, True) if chosen.augmentation.flip else (False,)
    backbone = backbone.to(run.device, memory_format=torch.channels_last).eval()
    rows: list[list[np.ndarray]] = [[] for _ in mirrored]
    bar = tqdm(total=len(part), desc="features", unit="picture", disable=None)
    with torch.inference_mode(), bar:
        for start in range(0, len(part), 32):
            crops = torch.from_numpy(data.read_crops(part.paths[start : start + 32]))
            images = resize(crops, chosen.input_px).permute(0, 3, 1, 2).to(run.device).float()
            for view, mirror in enumerate(mirrored):
                rows[view].append(backbone(images.flip(3) if mirror else images).cpu().numpy())
            bar.update(len(crops))
    features = np.stack([np.concatenate(view) for view in rows])
    file = io.BytesIO()
    np.savez(file, key=key, features=features)
    resume.replace(cache, file.getvalue())
    return features


def fit_whitened(
    network: Network, train: data.Part, val: data.Part, run: Run
) -> tuple[list[dict], dict]:
    """Fits the whitened head; returns the history and facts for calibration."""
    chosen = run.preset
    views = extract(network.backbone, train, run, run.work / FEATURES.format("train"))
    check = extract(network.backbone, val, run, run.work / FEATURES.format("val"))[0]
    features, people = views.reshape(-1, views.shape[-1]), np.tile(train.people, len(views))
    projection = whitening.fit_projection(features, people, chosen.head)
    embeddings, checked = projection.embed(features), projection.embed(check).astype(np.float32)
    history: list[dict] = []

    def report(epoch: int, loss: float, weight: torch.Tensor, bias: torch.Tensor) -> None:
        right = (checked @ weight.numpy().T + bias.numpy()).argmax(axis=1) == val.people
        history.append({"epoch": epoch + 1, "loss": loss, "val_accuracy": float(right.mean())})

    rounds = chosen.training.epochs
    weight, bias = whitening.fit_rows(embeddings, people, chosen.head.l2, rounds, report)
    scale = whitening.fill(network.head, projection, weight, bias)
    # Pictures as they are, without their mirror images.
    seen = np.concatenate([views[0], check]), np.concatenate([train.people, val.people])
    scores = whitening.left_out_scores((features, people), seen, chosen.head, scale)
    left_out = {train.names[p]: s.tolist() for p, s in scores.items()}
    return history, {"left_out_scores": left_out}


def class_table(train: data.Part, val: data.Part) -> str:
    """Lines of text: number and name of each class, and its pictures."""
    counts = [np.bincount(part.people, minlength=len(train.names)) for part in (train, val)]
    wide = max(len("name"), *map(len, train.names))
    lines = [f"class  {'name':{wide}}  train  validation"]
    rows = enumerate(zip(train.names, *counts, strict=True))
    lines += [f"{n:>5}  {name:{wide}}  {a:>5}  {b:>10}" for n, (name, a, b) in rows]
    return "\n".join(lines)
