"""Open-set decisions: thresholds for a false accept rate, calibration, stranger folds.

A similarity is the best of a picture's logits. Strangers are weighed by person, so that one with
many pictures counts as much as one with few.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Scores = dict[str, np.ndarray]  # stranger -> similarities [n]


@dataclass(frozen=True)
class Answers:
    """What a model says to a set of pictures."""

    best: np.ndarray
    similarity: np.ndarray
    margin: np.ndarray

    def rejected_below(self, margin: float) -> np.ndarray:
        """The similarities, minus infinity where the margin is too small."""
        return np.where(self.margin >= margin, self.similarity, -np.inf)


def similarities(logits: np.ndarray, score: str) -> np.ndarray:
    """Logits to similarities per person: themselves, or their softmax."""
    if score == "cosine":
        return logits
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def answers(logits: np.ndarray, score: str) -> Answers:
    """Best person, similarity to it and distance to the second."""
    scores = similarities(logits, score)
    best = scores.argmax(axis=1)
    if scores.shape[1] == 1:
        return Answers(best, scores[:, 0], np.full(len(scores), np.inf))
    ordered = np.sort(scores, axis=1)
    return Answers(best, ordered[:, -1], ordered[:, -1] - ordered[:, -2])


def threshold_at(strangers: Scores, false_accepts: float) -> float:
    """The lowest similarity at which at most that share of strangers' pictures is accepted."""
    scores = np.concatenate(list(strangers.values()))
    weights = np.concatenate(
        [np.full(len(s), 1 / len(s) / len(strangers)) for s in strangers.values()]
    )
    order = np.argsort(-scores)
    scores, accepted = scores[order], np.cumsum(weights[order])
    kept = int(np.searchsorted(accepted, false_accepts + 1e-9, side="right"))
    if kept == len(scores):
        return float(scores[-1])
    # Above the first stranger that must be refused, halfway to the next one that is accepted.
    above = scores[kept - 1] if kept else scores[0] + 0.02
    above = above if np.isfinite(above) else scores[kept] + 0.02
    return float((scores[kept] + above) / 2 if np.isfinite(scores[kept]) else above)


def strictest_threshold(pools: list[Scores], false_accepts: float) -> float:
    """The threshold that keeps a rate in each group of strangers.

    Were the groups mixed, the easier ones would pay for the harder ones.
    """
    return max(threshold_at(pool, false_accepts) for pool in pools)


def accept_rate(similarity: np.ndarray, right: np.ndarray, threshold: float) -> float:
    """Share of gallery pictures that are accepted with the right name."""
    return float(np.mean(right & (similarity >= threshold)))


def leave_one_out(
    gallery: np.ndarray, right: np.ndarray, strangers: Scores, others: Scores, target: float
) -> list[dict]:
    """One row per stranger: threshold from all the others, rates measured with it.

    `others` are a group of their own that is never held out.
    """
    rows = []
    for held_out, scores in strangers.items():
        rest = {name: s for name, s in strangers.items() if name != held_out}
        pools = [pool for pool in (rest, others) if pool]
        if not pools:
            continue
        threshold = strictest_threshold(pools, target)
        rows.append(
            {
                "stranger": held_out,
                "pictures": len(scores),
                "threshold": threshold,
                "true_accepts": accept_rate(gallery, right, threshold),
                "false_accepts": float(np.mean(scores >= threshold)),
            }
        )
    return rows


def fit_logistic(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Slope and intercept of weighted logistic regression, by Newton's method.

    A weak pull towards 0 keeps the slope finite when the classes do not overlap.
    """
    design = np.stack([x, np.ones_like(x)], axis=1)
    weights = weights / weights.sum()
    solution, pull = np.zeros(2), 1e-5 * np.eye(2)
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(design @ solution, -40, 40)))
        gradient = design.T @ (weights * (p - y)) + pull @ solution
        curvature = (design * (weights * p * (1 - p))[:, None]).T @ design + pull
        step = np.linalg.solve(curvature, gradient)
        solution -= step * min(1.0, 5 / (np.abs(step).max() + 1e-12))
        if np.abs(step).max() < 1e-9:
            break
    return float(solution[0]), float(solution[1])


def confidence(similarity: np.ndarray | float, slope: float, intercept: float):
    """Similarity to the estimated probability that the best name is right."""
    return 1 / (1 + np.exp(-np.clip(slope * similarity + intercept, -60, 60)))
