#!/usr/bin/env python3
"""Trains a head, and the last layers of the backbone where the preset says so.

Reads a data set that prepare.py made, writes to the work folder: network.pt (the best network),
history.json (one row per epoch), what --resume needs and, where layers are trained by gradient
descent, predictions.html (test pictures with what is said of each).
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import random
from pathlib import Path

import numpy as np
import onnx
import torch
from tqdm import tqdm

from celebtrainer import (
    data,
    finetune,
    modelfile,
    preset,
    pretrained,
    prototypes,
    sheet,
    whitening,
)
from celebtrainer.failure import Failure, run
from celebtrainer.network import Network, describe, make_head, resize, save

# Pictures on the page of predictions.
SHOWN = 48
TITLES = {"test": "test", "val": "validation"}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder that prepare.py wrote")
    parser.add_argument("work", type=Path, help="folder for the network and the history")
    parser.add_argument("--preset", default="default", help="default, original or a .toml file")
    parser.add_argument(
        "--backbone", help="mobilefacenet, mobilenet_v1 or a model of timm; default: the preset's"
    )
    parser.add_argument(
        "--weights", help="faces, vggface2, imagenet, a .safetensors file, or hub (timm)"
    )
    parser.add_argument("--trainable-layers", type=int, help="layers to train, from the end")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--resume", action="store_true", help="go on where a run was stopped")
    return parser.parse_args()


def configured(args: argparse.Namespace) -> preset.Preset:
    """The preset with what the command line changes in it."""
    chosen = preset.load(args.preset)
    for key in ("backbone", "weights", "seed"):
        if getattr(args, key) is not None:
            chosen = dataclasses.replace(chosen, **{key: getattr(args, key)})
    if args.trainable_layers is not None:
        training = dataclasses.replace(chosen.training, trainable_layers=args.trainable_layers)
        chosen = dataclasses.replace(chosen, training=training)
    try:
        return preset.from_dict(chosen.as_dict())
    except ValueError as error:
        raise Failure(str(error)) from error


def extract(
    backbone: pretrained.Backbone, part: data.Part, chosen: preset.Preset, device: str, cache: Path
) -> np.ndarray:
    """Features [views, n, features] of a split: as it is and, if wanted, mirrored."""
    about = [chosen.backbone, chosen.weights, chosen.input_px, chosen.augmentation.flip]
    key = hashlib.sha256(repr([*about, *map(str, part.paths)]).encode()).hexdigest()
    if cache.is_file():
        stored = np.load(cache)
        if str(stored["key"]) == key:
            return stored["features"]
    mirrored = (False, True) if chosen.augmentation.flip else (False,)
    backbone = backbone.to(device, memory_format=torch.channels_last).eval()
    rows: list[list[np.ndarray]] = [[] for _ in mirrored]
    with torch.inference_mode(), tqdm(total=len(part), desc="features", unit="picture") as bar:
        for start in range(0, len(part), 32):
            crops = torch.from_numpy(data.read_crops(part.paths[start : start + 32]))
            images = resize(crops, chosen.input_px).permute(0, 3, 1, 2).to(device).float()
            for view, mirror in enumerate(mirrored):
                rows[view].append(backbone(images.flip(3) if mirror else images).cpu().numpy())
            bar.update(len(crops))
    features = np.stack([np.concatenate(view) for view in rows])
    np.savez(cache, key=key, features=features)
    return features


def train_whitened(
    network: Network, train: data.Part, val: data.Part, chosen: preset.Preset, work: Path, args
) -> tuple[list[dict], dict]:
    """Fits the whitened head; returns the history and facts for calibration."""
    views = extract(network.backbone, train, chosen, args.device, work / "features-train.npz")
    check = extract(network.backbone, val, chosen, args.device, work / "features-val.npz")[0]
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


def train_prototypes(work: Path, train: data.Part, val: data.Part, chosen: preset.Preset) -> dict:
    """Writes the int8 model with a row for each person; returns what is to be known of it.

    Nothing is chosen by the validation pictures, so they count as the others do.
    """
    runner = modelfile.Runner(prototypes.EMBEDDING)
    paths, people = [*train.paths, *val.paths], np.concatenate([train.people, val.people])
    embeddings = runner.outputs_of(paths, "embeddings", "embedding")
    model = prototypes.with_people(embeddings, people, train.names)
    facts = {
        "preset": chosen.as_dict(),
        "people": len(train.names),
        "train_pictures": len(paths),
    }
    properties = modelfile.read(modelfile.load(prototypes.EMBEDDING))
    modelfile.write(
        model,
        {
            "training": facts,
            "source": properties["source"],
            "license": modelfile.license_note(properties["license"]),
        },
    )
    onnx.save(model, work / "int8.onnx")
    prototypes.save(work, embeddings, people)
    strangers = prototypes.as_strangers(embeddings, people, train.names)
    return {**facts, "left_out_scores": {name: found.tolist() for name, found in strangers.items()}}


def class_table(train: data.Part, val: data.Part) -> str:
    """Lines of text: number and name of each class, and its pictures."""
    counts = [np.bincount(part.people, minlength=len(train.names)) for part in (train, val)]
    wide = max(len("name"), *map(len, train.names))
    lines = [f"class  {'name':{wide}}  train  validation"]
    rows = enumerate(zip(train.names, *counts, strict=True))
    lines += [f"{n:>5}  {name:{wide}}  {a:>5}  {b:>10}" for n, (name, a, b) in rows]
    return "\n".join(lines)


def show_predictions(
    network: Network, folder: Path, names: list[str], chosen: preset.Preset, out: Path
) -> None:
    """Writes what the float network says of test pictures, or of validation pictures without."""
    split = "test" if data.people(folder / "test") else "val"
    part = data.read_part(folder, split, names)
    index = np.unique(np.linspace(0, len(part) - 1, min(SHOWN, len(part))).astype(int))
    best, probability = finetune.predict(network, part, index, chosen)
    rows = [
        sheet.Said(part.paths[i], names[part.people[i]], names[b], float(p))
        for i, b, p in zip(index, best, probability, strict=True)
    ]
    right = sum(row.said == row.truth for row in rows)
    title = f"{right} of {len(rows)} {TITLES[split]} pictures said rightly, before rounding to int8"
    out.write_text(sheet.page(title, rows), encoding="utf-8")
    print(f"{title}: {out}")


def train_dense(
    network: Network, train: data.Part, val: data.Part, chosen: preset.Preset, args
) -> list[dict]:
    """Trains by gradient descent and shows what came of it; returns the history."""
    print(class_table(train, val))
    history = finetune.train(network, train, val, chosen, args.work, args.device)
    show_predictions(network, args.data, train.names, chosen, args.work / "predictions.html")
    return history


def main() -> None:
    args = arguments()
    chosen = configured(args)
    random.seed(chosen.seed)
    np.random.seed(chosen.seed)
    torch.manual_seed(chosen.seed)
    torch.backends.cudnn.deterministic = True

    train = data.require(data.read_part(args.data, "train"), args.data, "train")
    val = data.require(data.read_part(args.data, "val", train.names), args.data, "val")
    if len(train.names) < 2 and chosen.head.kind != "prototypes":
        raise Failure(
            f"the preset {chosen.name} tells people from one another and needs two at least; add a "
            "folder of another person, or take the preset default"
        )
    print(data.table(args.data))
    print(
        f"preset {chosen.name}: {chosen.backbone}, weights {chosen.weights}, {chosen.input_px} px"
    )

    args.work.mkdir(parents=True, exist_ok=True)
    if chosen.head.kind == "prototypes":
        facts = train_prototypes(args.work, train, val, chosen)
        describe(args.work / "network.pt", chosen, train.names, facts)
        (args.work / "history.json").write_text("[]")
        pictures = facts["train_pictures"]
        print(
            f"{len(train.names)} people from {pictures} pictures; wrote {args.work / 'int8.onnx'}"
        )
        return
    backbone = pretrained.build(chosen.backbone, chosen.weights, chosen.input_px)
    network = Network(backbone, make_head(chosen.head, backbone.features, len(train.names)))
    if not args.resume:
        for stale in ("features-train.npz", "features-val.npz", finetune.CHECKPOINT):
            (args.work / stale).unlink(missing_ok=True)
    if chosen.head.kind == "whitened":
        history, extra = train_whitened(network, train, val, chosen, args.work, args)
    else:
        history, extra = train_dense(network, train, val, chosen, args), {}

    kept = min(history, key=lambda row: row.get("val_loss", -row["epoch"]))
    facts = {
        "preset": chosen.as_dict(),
        "people": len(train.names),
        "train_pictures": len(train),
        "val_pictures": len(val),
        **extra,
    }
    network = network.cpu().eval().to(memory_format=torch.contiguous_format)
    save(args.work / "network.pt", network, chosen, train.names, facts)
    (args.work / "history.json").write_text(json.dumps(history, indent=1))
    print(
        f"validation accuracy {kept['val_accuracy']:.4f} (epoch {kept['epoch']}); wrote {args.work / 'network.pt'}"
    )


if __name__ == "__main__":
    run(main)
