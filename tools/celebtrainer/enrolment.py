"""How people who are added on the device are judged: the scale and offset of their similarity.

The device compares a face with the mean embedding of each of them by a cosine. A linear function
of it is put beside the similarities of the model's own people, so that one threshold serves both.
It is found by adding people of the data set anew, from a few pictures each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import openset
from .openset import Scores

# Pictures of a person who is added, people in a gallery, and galleries drawn.
PICTURES = 5
PEOPLE = 5
DRAWS = 40
# With fewer people there are not enough left to be strangers.
LEAST_PEOPLE = 6


@dataclass(frozen=True)
class Pictures:
    """Embeddings [n, d] of length 1 and the person of each."""

    embeddings: np.ndarray
    people: np.ndarray

    def of(self, person: int) -> np.ndarray:
        """The embeddings of one person."""
        return self.embeddings[self.people == person]


def draw(
    train: Pictures, val: Pictures, strangers: Scores, random: np.random.Generator
) -> tuple[np.ndarray, Scores]:
    """One gallery: cosines of validation pictures to their own person, and of others to the best.

    `strangers` are embeddings by name.
    """
    added = random.choice(np.unique(train.people), PEOPLE, replace=False)
    means = []
    for person in added:
        own = train.of(person)
        mean = own[random.permutation(len(own))[:PICTURES]].mean(axis=0)
        means.append(mean / np.linalg.norm(mean))
    gallery = np.stack(means)
    genuine = [val.of(person) @ mean for person, mean in zip(added, gallery, strict=True)]
    others = {str(p): val.of(p) for p in np.unique(val.people) if p not in added} | strangers
    best = {name: (found @ gallery.T).max(axis=1) for name, found in others.items() if len(found)}
    return np.concatenate(genuine), best


def calibrate(
    train: Pictures, val: Pictures, strangers: Scores, slope: float, threshold: float, rate: float
) -> dict | None:
    """Scale and offset for a model with this slope of confidence and similarity to be named.

    The scale makes the confidence a logistic regression of "is the person" on the cosine; with the
    offset, strangers reach the threshold at most at the rate. None for too few people.
    """
    if len(np.unique(train.people)) < LEAST_PEOPLE:
        return None
    random = np.random.default_rng(0)
    genuine, limits, impostors = [], [], []
    for _ in range(DRAWS):
        own, others = draw(train, val, strangers, random)
        genuine.append(own)
        limits.append(openset.threshold_for(others, rate))
        impostors.append(others)
    own = np.concatenate(genuine)
    groups = [scores for others in impostors for scores in others.values()]
    cosine = np.concatenate([own, *groups])
    is_person = np.concatenate([np.ones(len(own)), np.zeros(len(cosine) - len(own))])
    weight = np.concatenate(
        [np.full(len(own), 1 / len(own))]
        + [np.full(len(scores), 1 / len(scores) / len(groups)) for scores in groups]
    )
    logistic, _ = openset.fit_logistic(cosine, is_person, weight)
    scale, limit = logistic / slope, float(np.mean(limits))
    return {
        "scale": scale,
        "offset": threshold - scale * limit,
        "cosine": limit,
        "true_accepts": float(np.mean(own >= limit)),
    }
