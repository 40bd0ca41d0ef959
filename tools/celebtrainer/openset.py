"""Open-set decisions: thresholds for a false accept rate, calibration, stranger folds.

A similarity is the best of a picture's logits. Strangers are weighed by person, so that one with
many pictures counts as much as one with few.

Strangers differ: most are like nobody in the gallery, and a few are like somebody in every
picture. A threshold that keeps a rate on average over a handful of strangers leaves it far behind
on the next one who is of the few. So the threshold is set over people: each has the similarity
that keeps the rate on their own pictures, and the threshold is the upper prediction bound of these
(Hahn and Meeker, "Statistical Intervals", 1991, chapter 4), and at least the highest of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

Scores = dict[str, np.ndarray]  # stranger -> similarities [n]

# Share of strangers for whom the rate is meant to hold.
COVERAGE = 0.975
# Fewer people than this say too little about how people differ.
LEAST_PEOPLE = 8
# From the highest similarity that is refused to the threshold.
GAP = 1e-3


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


def highest_refused(scores: np.ndarray, rate: float) -> float:
    """The highest similarity that has to be refused for one person to be accepted so rarely."""
    return float(np.sort(scores)[::-1][int(len(scores) * rate + 1e-9)])


def prediction_bound(values: np.ndarray) -> float:
    """The value that a further one of the same normal distribution stays under, at `COVERAGE`."""
    z = NormalDist().inv_cdf(COVERAGE)
    # Student's t for the degrees of freedom, to the second term of its expansion.
    t = z + (z**3 + z) / (4 * (len(values) - 1))
    return float(values.mean() + t * values.std(ddof=1) * np.sqrt(1 + 1 / len(values)))


def threshold_for(strangers: Scores, rate: float, score: str = "cosine") -> float:
    """The similarity from which on strangers are accepted at most at this rate."""
    limits = np.array([highest_refused(scores, rate) for scores in strangers.values()])
    # Who is refused in every picture for a small margin says nothing of similarity.
    limits = limits[np.isfinite(limits)]
    if not len(limits):
        return 0.0
    if score == "softmax":  # Shares crowd together below 1; their log-odds do not.
        limits = np.log(np.clip(limits, 1e-9, 1 - 1e-9) / (1 - np.clip(limits, 1e-9, 1 - 1e-9)))
    found = limits.max()
    if len(limits) >= LEAST_PEOPLE:
        found = max(found, prediction_bound(limits))
    found += GAP
    return float(1 / (1 + np.exp(-found)) if score == "softmax" else found)


def false_accepts(strangers: Scores, threshold: float) -> float:
    """Share of strangers' pictures that are accepted, each person weighing the same."""
    return float(np.mean([np.mean(scores >= threshold) for scores in strangers.values()]))


def accept_rate(similarity: np.ndarray, right: np.ndarray, threshold: float) -> float:
    """Share of gallery pictures that are accepted with the right name."""
    return float(np.mean(right & (similarity >= threshold)))


def leave_one_out(
    gallery: np.ndarray,
    right: np.ndarray,
    strangers: Scores,
    others: Scores,
    rate: float,
    score: str = "cosine",
) -> list[dict]:
    """One row per stranger: threshold from everybody else, rates measured with it.

    `others` are strangers too, but are never held out.
    """
    rows = []
    for held_out, scores in strangers.items():
        rest = {name: s for name, s in (strangers | others).items() if name != held_out}
        if not rest:
            continue
        threshold = threshold_for(rest, rate, score)
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
