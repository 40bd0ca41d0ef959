"""What is general about faces, learned once from many people.

The pretrained network's features are made into an embedding by a linear map: the mean face is taken
off, and so are the directions in which the means of groups of people differ, because what a whole
group shares makes its members look alike to the network and tells nobody apart. What is left is
turned to its principal directions; nothing is divided by the spread within a person, which costs
accuracy on people who were not there (models/celebrities.md has the figures). A person is the mean
of the embeddings of some pictures, and a face is compared by the cosine to it.

How alike strangers are to one person then hardly depends on who it is or on how many pictures of
them there are, so one measured curve serves every gallery: `Tail`.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

# Length of the embedding; the features have no more independent directions.
EMBEDDING = 128
# Shares of false matches in one comparison for which the curve has a point.
SHARES = [10.0**-k for k in np.arange(0.5, 12.01, 0.5)]
# The tail is a straight line over the quantiles of a normal distribution. It is fitted between these
# shares, and taken in place of what was measured where that rests on some tens of comparisons.
FITTED = (1e-2, 1e-5)
MEASURED = 1e-4
# Shares of false matches between whose similarities most decisions fall.
DECIDED = (1e-3, 1e-7)
# Pictures of two names that are more alike than this show one person.
SAME_PERSON = 0.62
# A picture that is less like the mean of its person's others shows somebody else.
OTHER_PERSON = 0.15


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    return rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-12)


@dataclass(frozen=True)
class Map:
    """embedding = unit((features - mean) @ matrix)"""

    mean: np.ndarray
    matrix: np.ndarray

    def embed(self, features: np.ndarray) -> np.ndarray:
        """Embeddings [n, EMBEDDING] of length 1."""
        return unit((features - self.mean) @ self.matrix)


def fit_map(features: np.ndarray, people: np.ndarray, groups: dict[str, np.ndarray]) -> Map:
    """The map from many people's features and, for each group of others, theirs."""
    group_means = np.stack([found.mean(axis=0) for found in groups.values()])
    mean = group_means.mean(axis=0)
    _, _, shared = np.linalg.svd(group_means - mean, full_matrices=False)
    shared = shared[: len(groups) - 1]
    kept = np.eye(features.shape[1]) - shared.T @ shared
    of_people = person_means(unit((features - mean) @ kept), people)
    of_groups = [unit((found - mean) @ kept) for found in groups.values()]
    spread = sum(np.cov(part.T) / 2 / count for parts, count in (([of_people], 1), (of_groups, len(groups))) for part in parts)  # fmt: skip
    _, directions = np.linalg.eigh(spread)
    return Map(mean, kept @ directions[:, ::-1][:, :EMBEDDING])


def person_means(embeddings: np.ndarray, people: np.ndarray) -> np.ndarray:
    """The mean of each person, in the order of the numbers, of length 1."""
    return unit(np.stack([embeddings[people == p].mean(axis=0) for p in np.unique(people)]))


def misplaced(embeddings: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Which pictures are unlike the others of their person, as truth values."""
    wrong = np.zeros(len(people), bool)
    for person in np.unique(people):
        own = np.flatnonzero(people == person)
        if len(own) < 3:
            continue
        total = embeddings[own].sum(axis=0)
        others = unit(total - embeddings[own])
        wrong[own] = (embeddings[own] * others).sum(axis=1) < OTHER_PERSON
    return wrong


def doubles(embeddings: np.ndarray, people: np.ndarray) -> set[int]:
    """People who are another person under a second name; the one with more pictures stays."""
    numbers, counts = np.unique(people, return_counts=True)
    means = person_means(embeddings, people)
    alike = means @ means.T
    found = set()
    for a, b in zip(*np.nonzero(np.triu(alike > SAME_PERSON, 1)), strict=True):
        found.add(int(numbers[a] if counts[a] < counts[b] else numbers[b]))
    return found


def impostors(embeddings: np.ndarray, people: np.ndarray, least: int, most: int) -> np.ndarray:
    """Cosines of pictures, at most `most` of a person, to the means of other people of whom there are
    at least `least` pictures: those of one picture are a little farther from everybody."""
    numbers, counts = np.unique(people, return_counts=True)
    known = counts >= least
    means = person_means(embeddings, people)[known]
    probes = np.concatenate([np.flatnonzero(people == p)[:most] for p in numbers])
    cosines = embeddings[probes] @ means.T
    return cosines[people[probes][:, None] != numbers[known][None]]


def genuine(embeddings: np.ndarray, people: np.ndarray, pictures: int) -> np.ndarray:
    """Cosines of pictures to the mean of others of the same person, of so many at most."""
    random = np.random.default_rng(0)
    found = []
    for person in np.unique(people):
        own = random.permutation(np.flatnonzero(people == person))
        if len(own) > 1:
            count = min(pictures, len(own) - 1)
            mean = unit(embeddings[own[:count]].mean(axis=0)[None])[0]
            found.append(embeddings[own[count:]] @ mean)
    return np.concatenate(found)


def tail(cosines: np.ndarray) -> list[dict]:
    """The curve of false matches: cosines that shares of comparisons reach, the most alike first."""
    ordered = np.sort(cosines)[::-1]

    def measured(share: float) -> float:
        return float(ordered[int(share * len(ordered))])

    def deviations(share: float) -> float:
        return NormalDist().inv_cdf(1 - share)

    first, last = FITTED
    shares = np.geomspace(first, last, 25)
    line = np.polyfit([deviations(s) for s in shares], [measured(s) for s in shares], 1)
    rows, cosine = [], -1.0
    for share in SHARES:
        found = measured(share) if share >= MEASURED else np.polyval(line, deviations(share))
        # It rises, where the line begins too.
        cosine = max(cosine + 1e-4, round(float(found), 4))
        rows.append({"false_matches": share, "similarity": round(cosine, 4)})
    return rows[::-1]


def confidence(same: np.ndarray, curve: list[dict]) -> tuple[float, float]:
    """Slope and intercept of the log odds that a face is a person, in one comparison.

    `same` are cosines of pictures to the means of their own people. The odds are the ratio of the
    two densities, where people and strangers come equally often; a line is laid through their
    logarithm over the similarities at which decisions fall, `DECIDED`.
    """
    low, high = (similarity_for(curve, share, 1) for share in DECIDED)
    places = np.linspace(low, high, 30)
    width = (high - low) / 10
    own = [np.mean(np.abs(same - place) < width) / (2 * width) for place in places]
    shares = np.log([point["false_matches"] for point in curve])
    known = [point["similarity"] for point in curve]

    def reached(similarity: np.ndarray) -> np.ndarray:
        return np.exp(np.interp(similarity, known[::-1], shares[::-1]))

    others = (reached(places - width) - reached(places + width)) / (2 * width)
    slope, intercept = np.polyfit(places, np.log(np.maximum(own, 1e-6) / others), 1)
    return float(slope), float(intercept)


def similarity_for(curve: list[dict], false_accepts: float, people: int) -> float:
    """The similarity that at most this share of strangers' faces reach to any of `people`."""
    one = -np.expm1(np.log1p(-false_accepts) / max(1, people))
    shares = np.log([point["false_matches"] for point in curve])
    return float(np.interp(np.log(one), shares, [point["similarity"] for point in curve]))


def intercept_among(intercept: float, people: int) -> float:
    """The confidence's intercept among `people`, each of whom a stranger may be taken for."""
    return float(intercept - np.log(max(1, people)))
