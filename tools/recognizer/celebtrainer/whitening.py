"""Fits the whitened head on features of a frozen backbone.

The embedding keeps the principal directions and divides by the spread within a person
(within-class covariance normalisation; Hatch et al., "Within-class covariance normalization for
SVM-based speaker recognition", 2006). On top stands one logistic problem per person, each side
and each other person weighing the same, solved by L-BFGS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm

from .network import WhitenedHead
from .preset import Head

Report = Callable[[int, float, torch.Tensor, torch.Tensor], None]


@dataclass(frozen=True)
class Projection:
    """embedding = normalise((features - mean) @ matrix)"""

    mean: np.ndarray
    matrix: np.ndarray

    def embed(self, features: np.ndarray) -> np.ndarray:
        """Embeddings of length 1."""
        projected = (features - self.mean) @ self.matrix
        return projected / (np.linalg.norm(projected, axis=1, keepdims=True) + 1e-12)


def class_means(features: np.ndarray, people: np.ndarray) -> np.ndarray:
    """The mean feature of each person, in the order of the indices."""
    return np.stack([features[people == p].mean(axis=0) for p in np.unique(people)])


def fit_projection(features: np.ndarray, people: np.ndarray, head: Head) -> Projection:
    """Principal directions, then division by the spread within a person."""
    features = features.astype(np.float64)
    mean = class_means(features, people).mean(axis=0)
    _, directions = np.linalg.eigh(np.cov(features.T))
    directions = directions[:, ::-1][:, : head.embedding]
    kept = (features - mean) @ directions
    _, index = np.unique(people, return_inverse=True)
    residual = kept - class_means(kept, people)[index]
    values, vectors = np.linalg.eigh(residual.T @ residual / len(residual))
    values = (1 - head.shrinkage) * values + head.shrinkage * values.mean()
    return Projection(mean, directions @ (vectors * values**-0.5))


def fit_rows(
    embeddings: np.ndarray, people: np.ndarray, l2: float, rounds: int, report: Report | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights and biases of one logistic problem per person; `report` gets every round's loss."""
    count = int(people.max()) + 1
    target = torch.from_numpy(people[:, None] == np.arange(count)).float()
    pictures = torch.from_numpy(np.bincount(people))[torch.from_numpy(people)][:, None].float()
    share = torch.where(target > 0, 0.5, 0.5 / max(1, count - 1)) / pictures
    x = torch.from_numpy(embeddings.astype(np.float32))
    weight = 4 * functional.normalize(
        torch.from_numpy(class_means(embeddings, people).astype(np.float32))
    )
    weight.requires_grad_()
    bias = torch.full((count,), -2.0, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=10, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        logits = x @ weight.T + bias
        loss = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
        total = (loss * share).sum() + l2 * weight.square().sum()
        total.backward()
        return total

    for round_number in range(rounds):
        before = float(optimizer.step(closure).detach())
        if report:
            report(round_number, before / count, weight.detach(), bias.detach())
    return weight.detach(), bias.detach()


def fill(
    head: WhitenedHead, projection: Projection, weight: torch.Tensor, bias: torch.Tensor
) -> float:
    """Copies a fit into the head; returns the factor that keeps its logits within -1 to 1."""
    scale = 1 / float((weight.norm(dim=1) + bias.abs()).max())
    with torch.no_grad():
        head.project.weight.copy_(torch.from_numpy(projection.matrix.T))
        head.project.bias.copy_(torch.from_numpy(-projection.mean @ projection.matrix))
        head.classify.weight.copy_(weight * scale)
        head.classify.bias.copy_(bias * scale)
    return scale


def left_out_scores(
    train: tuple[np.ndarray, np.ndarray],
    seen: tuple[np.ndarray, np.ndarray],
    head: Head,
    scale: float,
) -> dict[int, np.ndarray]:
    """Each person as a stranger: the best similarities of their pictures to a head without them.

    `train` are the features and people to fit on, `seen` those to look at.
    """
    scores = {}
    if len(np.unique(train[1])) < 3:
        return scores
    everybody = np.unique(train[1])
    for person in tqdm(everybody, desc="each person left out", unit="person", disable=None):
        kept = train[1] != person
        _, people = np.unique(train[1][kept], return_inverse=True)
        projection = fit_projection(train[0][kept], people, head)
        weight, bias = fit_rows(projection.embed(train[0][kept]), people, head.l2, rounds=8)
        features = seen[0][seen[1] == person]
        if len(features):
            embeddings = projection.embed(features).astype(np.float32)
            rows = embeddings @ weight.numpy().T + bias.numpy()
            scores[int(person)] = scale * rows.max(axis=1)
    return scores
