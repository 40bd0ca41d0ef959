"""Presets: one TOML file holds every hyperparameter of a training run."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path

from . import RECOGNIZER
from .failure import Failure

# The backbone and weights of pretrained/embedding.onnx.
EMBEDDED = ("mobilefacenet", "faces")
PRESETS = RECOGNIZER / "presets"


@dataclass(frozen=True)
class Augmentation:
    """Random changes of training pictures; shifts are fractions of the side."""

    flip: bool = False
    rotation_degrees: float = 0.0
    shift: float = 0.0


@dataclass(frozen=True)
class Head:
    """The fully connected layers on the pooled features."""

    kind: str = "whitened"
    embedding: int = 512
    shrinkage: float = 0.1
    l2: float = 0.003
    hidden: tuple[int, ...] = ()

    @property
    def score(self) -> str:
        """What the logits are, as the model file says it."""
        return "softmax" if self.kind == "dense" else "cosine"


@dataclass(frozen=True)
class Training:
    """How the layers are trained; `trainable_layers` counts from the end of the backbone.

    `steps` are batches an epoch; 0: every picture is seen once. `momentum` is the share of a new
    batch in the statistics of trained batch norms, which `fresh_statistics` measures anew with each
    epoch's last weights.
    """

    trainable_layers: int = 0
    epochs: int = 30
    steps: int = 0
    batch: int = 32
    learning_rate: float = 1e-3
    patience: int = 5
    momentum: float = 0.1
    fresh_statistics: bool = False


@dataclass(frozen=True)
class Preset:
    """A whole preset."""

    name: str
    backbone: str
    weights: str
    input_px: int
    seed: int = 0
    head: Head = dataclasses.field(default_factory=Head)
    training: Training = dataclasses.field(default_factory=Training)
    augmentation: Augmentation = dataclasses.field(default_factory=Augmentation)

    def as_dict(self) -> dict:
        """The preset as plain values, for metadata and checkpoints."""
        return dataclasses.asdict(self)


def load(name: str) -> Preset:
    """Reads a preset by name from the presets folder, or from a path ending in .toml."""
    path = Path(name) if name.endswith(".toml") else PRESETS / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in PRESETS.glob("*.toml")))
        raise Failure(f"there is no preset {path}; give one of {known} or the path of a .toml file")
    try:
        table = tomllib.loads(path.read_text())
        return from_dict({"name": path.stem, **table})
    except (tomllib.TOMLDecodeError, TypeError, ValueError) as error:
        raise Failure(f"the preset {path} is not valid: {error}") from error


def from_dict(table: dict) -> Preset:
    """Builds and checks a preset; raises TypeError or ValueError."""
    table = dict(table)
    sections = {"head": Head, "training": Training, "augmentation": Augmentation}
    for key, section in sections.items():
        table[key] = section(**table.get(key, {}))
    table["head"] = dataclasses.replace(table["head"], hidden=tuple(table["head"].hidden))
    preset = Preset(**table)
    if preset.head.kind not in ("prototypes", "whitened", "dense"):
        raise ValueError(f'head.kind is "{preset.head.kind}"; use prototypes, whitened or dense')
    if preset.head.kind == "prototypes" and (preset.backbone, preset.weights) != EMBEDDED:
        raise ValueError(
            "prototypes stand on the embedding that comes with the trainer; for another backbone or "
            "other weights take the preset original or mobilenet_v1"
        )
    if preset.head.kind == "whitened" and preset.training.trainable_layers:
        raise ValueError("a whitened head needs a frozen backbone: training.trainable_layers = 0")
    if not 32 <= preset.input_px <= 512:
        raise ValueError(f"input_px is {preset.input_px}; use 32 to 512")
    if not 0 < preset.head.shrinkage <= 1:
        raise ValueError(f"head.shrinkage is {preset.head.shrinkage}; use a value in (0, 1]")
    if preset.training.epochs < 1 or preset.training.batch < 2 or preset.training.steps < 0:
        raise ValueError("training needs at least 1 epoch, a batch of 2 and no negative steps")
    if not 0 < preset.training.momentum <= 1:
        raise ValueError(f"training.momentum is {preset.training.momentum}; use a value in (0, 1]")
    return preset
