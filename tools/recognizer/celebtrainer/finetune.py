"""Trains the head and the last layers of the backbone by gradient descent."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from tqdm import tqdm

from . import data, pretrained
from .network import Network, resize, save_torch
from .preset import Augmentation, Preset, Training

CHECKPOINT = "checkpoint.pt"
# Batches from which statistics are measured anew.
STATISTICS_BATCHES = 20


def augment(images: torch.Tensor, how: Augmentation, random: torch.Generator) -> torch.Tensor:
    """Rotates, shifts and mirrors pictures [n, 3, h, w]; what comes in from outside is the edge."""
    count = len(images)

    def uniform(limit: float) -> torch.Tensor:
        return (2 * torch.rand(count, generator=random) - 1) * limit

    angle = uniform(math.radians(how.rotation_degrees))
    mirror = torch.ones(count)
    if how.flip:
        mirror = 1 - 2 * torch.randint(0, 2, (count,), generator=random).float()
    # The grid runs from -1 to 1, so a shift by a fraction of the side is twice that.
    across, down = uniform(2 * how.shift), uniform(2 * how.shift)
    rows = [
        torch.stack([mirror * angle.cos(), -mirror * angle.sin(), across], dim=1),
        torch.stack([angle.sin(), angle.cos(), down], dim=1),
    ]
    theta = torch.stack(rows, dim=1).to(images.device)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def set_modes(network: Network, trainable: list[nn.Module]) -> None:
    """Frozen batch norms keep their statistics; trained ones update them."""
    network.train()
    network.backbone.eval()
    for layer in trainable:
        layer.train()


def batches(count: int, size: int, random: torch.Generator | None) -> list[np.ndarray]:
    """Indices in batches, shuffled when given a generator; a batch of one joins its neighbour."""
    order = torch.randperm(count, generator=random) if random else torch.arange(count)
    parts = [part.numpy() for part in order.split(size)]
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [np.concatenate(parts[-2:])]
    return parts


def epoch_batches(count: int, training: Training, random: torch.Generator) -> Iterator[np.ndarray]:
    """Indices of one epoch's batches: every picture once, or `steps` full batches.

    These are cut from one shuffled pass over all pictures after another.
    """
    if not training.steps:
        yield from batches(count, training.batch, random)
        return
    waiting = np.zeros(0, np.int64)
    for _ in range(training.steps):
        while len(waiting) < training.batch:
            waiting = np.concatenate([waiting, torch.randperm(count, generator=random).numpy()])
        yield waiting[: training.batch]
        waiting = waiting[training.batch :]


def images_of(part: data.Part, index: np.ndarray, input_px: int, device: str) -> torch.Tensor:
    """Pictures [n, 3, h, w], 0..255."""
    crops = torch.from_numpy(data.read_crops([part.paths[i] for i in index]))
    return resize(crops, input_px).permute(0, 3, 1, 2).to(device).float()


def validate(network: Network, part: data.Part, preset: Preset, device: str) -> dict:
    """Mean loss and accuracy on a split."""
    network.eval()
    loss, right = 0.0, 0
    with torch.inference_mode():
        for index in batches(len(part), preset.training.batch, None):
            images = images_of(part, index, preset.input_px, device)
            logits = network.head(network.backbone(images))
            target = torch.from_numpy(part.people[index]).to(device)
            loss += float(functional.cross_entropy(logits, target, reduction="sum"))
            right += int((logits.argmax(dim=1) == target).sum())
    return {"val_loss": loss / len(part), "val_accuracy": right / len(part)}


def augmented(
    part: data.Part, index: np.ndarray, preset: Preset, device: str, random: torch.Generator
) -> torch.Tensor:
    """Pictures as they are trained on, [n, 3, h, w], the channels last in memory."""
    images = augment(images_of(part, index, preset.input_px, device), preset.augmentation, random)
    return images.contiguous(memory_format=torch.channels_last)


def measure_statistics(
    network: Network, part: data.Part, preset: Preset, device: str, random: torch.Generator
) -> None:
    """Sets the statistics of batch norms in training mode to those of the weights as they are."""
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d) and m.training]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
    training = dataclasses.replace(preset.training, steps=STATISTICS_BATCHES)
    with torch.no_grad():
        for index in epoch_batches(len(part), training, random):
            network.backbone(augmented(part, index, preset, device, random))
    for norm in norms:
        norm.momentum = preset.training.momentum


def train_epoch(network, part, preset, device, optimizer, random, title) -> dict:
    """Trains on one epoch's batches; mean loss and accuracy over their pictures."""
    loss, right, seen = 0.0, 0, 0
    steps = epoch_batches(len(part), preset.training, random)
    total = preset.training.steps or -(-len(part) // preset.training.batch)
    for index in tqdm(steps, desc=title, unit="batch", total=total, disable=None):
        images = augmented(part, index, preset, device, random)
        target = torch.from_numpy(part.people[index]).to(device)
        logits = network.head(network.backbone(images))
        batch_loss = functional.cross_entropy(logits, target)
        optimizer.zero_grad()
        batch_loss.backward()
        optimizer.step()
        loss += float(batch_loss.detach()) * len(index)
        right += int((logits.argmax(dim=1) == target).sum())
        seen += len(index)
    return {"loss": loss / seen, "accuracy": right / seen}


def train(
    network: Network, part: data.Part, val: data.Part, preset: Preset, work: Path, device: str
) -> list[dict]:
    """Trains until the epochs are over or the validation loss stops falling; keeps the best."""
    network.to(device, memory_format=torch.channels_last)
    trainable = pretrained.freeze(network.backbone, preset.training.trainable_layers)
    for layer in trainable:
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = preset.training.momentum
    print(pretrained.layer_table(network, preset.input_px, trainable))
    parameters = [p for p in network.parameters() if p.requires_grad]
    # Keras' RMSprop: a decay of 0.9 and an epsilon of 1e-7.
    optimizer = torch.optim.RMSprop(
        parameters, lr=preset.training.learning_rate, alpha=0.9, eps=1e-7
    )
    random = torch.Generator().manual_seed(preset.seed)
    state = {"history": [], "best": network.state_dict()}
    checkpoint = work / CHECKPOINT
    if checkpoint.is_file():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        random.set_state(state["random"].cpu())
    history = state["history"]
    while len(history) < preset.training.epochs and not stalled(history, preset.training.patience):
        epoch = len(history) + 1
        set_modes(network, trainable)
        title = f"epoch {epoch}/{preset.training.epochs}"
        row = train_epoch(network, part, preset, device, optimizer, random, title)
        if preset.training.fresh_statistics:
            measure_statistics(network, part, preset, device, random)
        history.append({"epoch": epoch, **row, **validate(network, val, preset, device)})
        print("  ".join(f"{k} {v:.4g}" for k, v in history[-1].items()))
        if history[-1]["val_loss"] == min(past["val_loss"] for past in history):
            state["best"] = {k: v.detach().clone() for k, v in network.state_dict().items()}
        state |= {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
        state |= {"history": history, "random": random.get_state()}
        save_torch(checkpoint, state)
    network.load_state_dict(state["best"])
    return history


def stalled(history: list[dict], patience: int) -> bool:
    """Whether the last `patience` epochs brought no better validation loss."""
    losses = [row["val_loss"] for row in history]
    return len(losses) > patience and min(losses[-patience:]) >= min(losses[:-patience])
