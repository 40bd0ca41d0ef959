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
# Similarities to other people are compared where they come near to confusing them.
OTHERS_QUANTILE = 0.99
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


@dataclass(frozen=True)
class Gallery:
    """What a gallery of people added anew says: cosines."""

    # Of pictures to their own person.
    genuine: np.ndarray
    # Of everybody else to the most similar person, by name.
    strangers: Scores
    # Of everybody else to each person.
    others: np.ndarray


def draw(train: Pictures, val: Pictures, strangers: Scores, random: np.random.Generator) -> Gallery:
    """A gallery of a few people; `strangers` are embeddings by name."""
    added = random.choice(np.unique(train.people), PEOPLE, replace=False)
    means = []
    for person in added:
        own = train.of(person)
        mean = own[random.permutation(len(own))[:PICTURES]].mean(axis=0)
        means.append(mean / np.linalg.norm(mean))
    gallery = np.stack(means)
    genuine = [val.of(person) @ mean for person, mean in zip(added, gallery, strict=True)]
    not_added = {str(p): val.of(p) for p in np.unique(val.people) if p not in added}
    cosines = {
        name: found @ gallery.T for name, found in (not_added | strangers).items() if len(found)
    }
    best = {name: found.max(axis=1) for name, found in cosines.items()}
    others = np.concatenate([cosines[name].ravel() for name in not_added])
    return Gallery(np.concatenate(genuine), best, others)


def calibrate(
    train: Pictures,
    val: Pictures,
    strangers: Scores,
    own: np.ndarray,
    threshold: float,
    rate: float,
) -> dict | None:
    """Scale and offset for a model that names people from the similarity `threshold` on.

    `own` are similarities of validation pictures to the model's people who are not on them. The
    line goes through two points: strangers reach the threshold at most at the rate, and pictures of
    others are as similar to people who are added as to the model's own, so that neither take the
    pictures of the others. None for too few people.
    """
    if len(np.unique(train.people)) < LEAST_PEOPLE:
        return None
    random = np.random.default_rng(0)
    galleries = [draw(train, val, strangers, random) for _ in range(DRAWS)]
    cosine = float(np.mean([openset.threshold_for(g.strangers, rate) for g in galleries]))
    others = np.concatenate([gallery.others for gallery in galleries])
    unlike = float(np.quantile(others, OTHERS_QUANTILE))
    scale = (threshold - float(np.quantile(own, OTHERS_QUANTILE))) / (cosine - unlike)
    if not 0 < scale < np.inf:
        return None
    genuine = np.concatenate([gallery.genuine for gallery in galleries])
    return {
        "scale": scale,
        "offset": threshold - scale * cosine,
        "cosine": cosine,
        "true_accepts": float(np.mean(genuine >= cosine)),
    }
