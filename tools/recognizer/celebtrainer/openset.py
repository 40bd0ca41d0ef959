"""Open-set decisions: thresholds for a false accept rate, calibration, stranger folds.

A similarity is the best of a picture's logits. Strangers are weighed by person, so that one with
many pictures counts as much as one with few.

Strangers differ: most are like nobody in the gallery, and a few are like somebody in every
picture. A threshold that keeps a rate on those at hand leaves it far behind on the next one who is
of the few. So it is the upper prediction bound for a picture of a further person (Hahn and Meeker,
"Statistical Intervals", 1991, chapter 4), who differs from the others as they do from one another.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

Scores = dict[str, np.ndarray]  # stranger -> similarities [n]

# Rates below this are those of nobody.
LEAST_RATE = 1e-9
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


def enough(strangers: Scores) -> bool:
    """Whether these are enough people to say how often further ones are accepted."""
    return sum(bool(np.isfinite(found).any()) for found in strangers.values()) >= LEAST_PEOPLE


def highest_refused(scores: np.ndarray, rate: float) -> float:
    """The highest similarity that has to be refused for one person to be accepted so rarely."""
    return float(np.sort(scores)[::-1][int(len(scores) * rate + 1e-9)])


def student(share: float, freedom: int) -> float:
    """The value that so large a share of Student's t distribution lies below.

    By its expansion around the normal distribution (Abramowitz and Stegun, 26.7.5).
    """
    z, n = NormalDist().inv_cdf(share), freedom
    first = (z**3 + z) / (4 * n)
    second = (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
    return z + first + second + third


def prediction_bound(people: list[np.ndarray], rate: float) -> float:
    """The value that a picture of a further person exceeds at this rate."""
    means = np.array([values.mean() for values in people])
    within = sum(((values - values.mean()) ** 2).sum() for values in people)
    within /= max(1, sum(len(values) - 1 for values in people))
    between = means.var(ddof=1) * (1 + 1 / len(means))
    return float(means.mean() + student(1 - rate, len(means) - 1) * np.sqrt(between + within))


def threshold_for(strangers: Scores, rate: float, score: str = "cosine") -> float:
    """The similarity from which on strangers' pictures are accepted at most at this rate.

    With fewer people than `enough`, none of theirs is accepted more often, and of others it says
    nothing.
    """
    # Pictures that are refused for a small margin say nothing of similarity.
    people = [found[np.isfinite(found)] for found in strangers.values()]
    people = [found for found in people if len(found)]
    if not people:
        return 0.0
    if score == "softmax":  # Shares crowd together below 1; their log-odds do not.
        shares = [np.clip(found, 1e-9, 1 - 1e-9) for found in people]
        people = [np.log(found / (1 - found)) for found in shares]
    if enough(strangers):
        found = prediction_bound(people, max(rate, LEAST_RATE))
    else:
        found = max(highest_refused(values, rate) for values in people)
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
