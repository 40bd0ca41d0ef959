#!/usr/bin/env python3
"""Trains a head, and the last layers of the backbone where the preset says so.

Reads a data set that prepare.py made, writes to the work folder: description.json (what was trained
on whom), history.json (one row per epoch), the best network as network.pt, or as int8.onnx where it
is int8 already, and what --resume needs.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np

from celebtrainer import data, description, modelfile, preset, prototypes, resume
from celebtrainer.failure import Failure, run


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
    parser.add_argument("--device", help="cuda or cpu; default: cuda where there is a GPU")
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


def train_prototypes(work: Path, folder: Path, names: list[str], chosen: preset.Preset) -> dict:
    """Writes the int8 model with a row for each person; returns what is to be known of it.

    Nothing is chosen by the validation pictures, so they count as the others do.
    """
    runner = modelfile.Runner(prototypes.EMBEDDING)
    part = data.read_parts(folder, prototypes.SPLITS, names)
    embeddings = runner.outputs_of(part.paths, "embeddings", "embedding")
    known = prototypes.Known(embeddings, part.people, data.moments(folder, part.paths))
    strangers = prototypes.told_apart(known, unknown(runner, folder))
    model = prototypes.with_people(known, names, strangers)
    facts = {
        "preset": chosen.as_dict(),
        "people": len(names),
        "train_pictures": len(part),
        "strangers": len(strangers),
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
    modelfile.save(model, work / "int8.onnx")
    known.save(work)
    left_out = prototypes.as_strangers(known, names)
    return {**facts, "left_out_scores": {name: found.tolist() for name, found in left_out.items()}}


def unknown(runner: modelfile.Runner, folder: Path) -> prototypes.Known:
    """The pictures of strangers."""
    part = data.read_part(folder, "unknown")
    embeddings = runner.outputs_of(part.paths, "strangers", "embedding")
    return prototypes.Known(embeddings, part.people, np.arange(len(part)))


def train_network(
    args: argparse.Namespace, train: data.Part, val: data.Part, chosen: preset.Preset
) -> tuple[list[dict], dict]:
    """Trains a network of PyTorch; returns its history and what is to be known of it."""
    # Prototypes do without these, which take seconds to load.
    from celebtrainer import fitting, network

    if not args.resume:
        fitting.forget(args.work)
    fit = fitting.Run.of(args.data, args.work, chosen, args.device)
    trained, history, extra = fitting.fit(fit, train, val)
    facts = {
        "preset": chosen.as_dict(),
        "people": len(train.names),
        "train_pictures": len(train),
        "val_pictures": len(val),
        **extra,
    }
    network.save(args.work / "network.pt", trained, chosen, train.names)
    kept = min(history, key=lambda row: row.get("val_loss", -row["epoch"]))
    print(
        f"validation accuracy {kept['val_accuracy']:.4f} (epoch {kept['epoch']}); wrote {args.work / 'network.pt'}"
    )
    return history, facts


def main() -> None:
    args = arguments()
    chosen = configured(args)
    train = data.need_part(args.data, "train")
    val = data.need_part(args.data, "val", train.names)
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
        history, facts = [], train_prototypes(args.work, args.data, train.names, chosen)
        pictures = facts["train_pictures"]
        print(
            f"{len(train.names)} people from {pictures} pictures; wrote {args.work / 'int8.onnx'}"
        )
    else:
        history, facts = train_network(args, train, val, chosen)
    description.Description(chosen, train.names, facts).write(args.work)
    resume.replace(args.work / "history.json", json.dumps(history, indent=1).encode())


if __name__ == "__main__":
    run(main)
