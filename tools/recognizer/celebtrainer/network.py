"""The whole network: backbone and head, from a uint8 picture to logits and embedding."""

from __future__ import annotations

import dataclasses
import io
import itertools
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from . import preset as presets
from . import pretrained, resume
from .failure import Failure
from .preset import Head, Preset


class WhitenedHead(nn.Module):
    """A linear embedding of length 1 and one similarity per person, about -1 to 1."""

    score = "cosine"

    def __init__(self, features: int, embedding: int, people: int):
        super().__init__()
        self.project = nn.Linear(features, embedding)
        self.classify = nn.Linear(embedding, people)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        projected = self.project(features)
        embedding = projected / (projected.norm(dim=1, keepdim=True) + 1e-12)
        return self.classify(embedding), embedding


class DenseHead(nn.Module):
    """ReLU layers and a softmax over the people; it has no embedding."""

    score = "softmax"

    def __init__(self, features: int, hidden: tuple[int, ...], people: int):
        super().__init__()
        sizes = [features, *hidden]
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], people))
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.layers(features)


class Network(nn.Module):
    """Takes uint8 pictures [n, h, w, 3], RGB."""

    def __init__(self, backbone: pretrained.Backbone, head: nn.Module):
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, image: torch.Tensor):
        return self.head(self.backbone(image.permute(0, 3, 1, 2).to(torch.float32)))


def resize(crops: torch.Tensor, input_px: int) -> torch.Tensor:
    """Resizes uint8 pictures [n, h, w, 3] as the device does: bilinear, half-pixel centres."""
    if crops.shape[1:3] == (input_px, input_px):
        return crops
    planes = crops.permute(0, 3, 1, 2).to(torch.float32)
    planes = functional.interpolate(
        planes, (input_px, input_px), mode="bilinear", align_corners=False, antialias=False
    )
    return (planes + 0.5).floor().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def make_head(head: Head, features: int, people: int) -> nn.Module:
    """An untrained head."""
    if head.kind == "whitened":
        return WhitenedHead(features, min(head.embedding, features), people)
    return DenseHead(features, head.hidden, people)


def save(path: Path, network: Network, preset: Preset, names: list[str]) -> None:
    """Writes a trained network with everything that its export needs."""
    content = {
        "preset": preset.as_dict(),
        "names": names,
        "about": network.backbone.about,
        "normalisation": dataclasses.asdict(network.backbone.normalisation),
        "state": network.state_dict(),
    }
    save_torch(path, content)


def save_torch(path: Path, content: dict) -> None:
    """Writes values as PyTorch does, in one step."""
    file = io.BytesIO()
    torch.save(content, file)
    resume.replace(path, file.getvalue())


def load(path: Path) -> tuple[Network, dict]:
    """Reads what `save` wrote; the second value is the rest of the file."""
    if not path.is_file():
        raise Failure(f"there is no trained network {path}; run train.py first")
    content = torch.load(path, map_location="cpu", weights_only=True)
    preset = presets.from_dict(content["preset"])
    untrained = pretrained.build(preset.backbone, "random", preset.input_px)
    normalisation = pretrained.Normalisation(**content["normalisation"])
    backbone = pretrained.Backbone(
        untrained.net, normalisation, untrained.features, content["about"]
    )
    head = make_head(preset.head, backbone.features, len(content["names"]))
    network = Network(backbone, head)
    network.load_state_dict(content["state"])
    content["preset"] = preset
    return network.eval(), content
