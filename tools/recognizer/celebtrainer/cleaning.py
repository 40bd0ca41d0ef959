"""Whose face is on a picture: the one that fits the others of the folder, or nobody's.

A folder's pictures agree on a face: the mean of the largest set of faces, one a picture, that are
all alike to the mean of the others. It holds while less than half of the pictures show somebody
else, and no single other person appears nearly as often.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .inventory import Item

# Cosines between a face and the mean of others of the same person, measured on training pictures
# of celeb24: 99 % of right faces are above FITS, 0.4 % of wrong ones.
FITS = 0.3
# Right faces below this are kept, and shown to whoever looks at the report.
DOUBT = 0.42
# On a picture with several faces the right one stands out by this.
STANDS_OUT = 0.12
# Two faces on one picture that are both this alike to the others are of the same person.
SURELY = 0.55
# Means of two sets of faces of one person are alike by this; of two people, never.
SAME_PERSON = 0.65
# From this share of the pictures of the person on, somebody else might be meant as well.
RIVAL = 0.75
SEEDS, ROUNDS = 5, 20


@dataclass(frozen=True)
class Agreement:
    """Faces that are alike: their places in the arrays they were sought in, and their mean."""

    members: np.ndarray
    mean: np.ndarray

    def __len__(self) -> int:
        return len(self.members)


def unit(vector: np.ndarray) -> np.ndarray:
    """The vector with length 1."""
    return vector / (np.linalg.norm(vector) + 1e-12)


def alike(faces: np.ndarray, members: np.ndarray) -> np.ndarray:
    """The cosine of each face [n, d] to the mean of the members, its own part taken out of it."""
    total = faces[members].sum(axis=0)
    found = faces @ unit(total)
    if len(members) > 1:
        others = total - faces[members]
        norms = np.linalg.norm(others, axis=1) + 1e-12
        found[members] = (others * faces[members]).sum(axis=1) / norms
    return found


def agree(faces: np.ndarray, pictures: np.ndarray) -> Agreement:
    """The largest set of faces that are alike, at most one of each picture.

    `faces` [n, d] have length 1, `pictures` [n] says which picture each is on.
    """
    near = (faces @ faces.T) >= FITS
    support = np.array([len(np.unique(pictures[row])) for row in near])
    best = Agreement(np.zeros(0, np.int64), np.zeros(faces.shape[1]))
    for seed in np.argsort(-support, kind="stable")[:SEEDS]:
        members = np.array([seed])
        for _ in range(ROUNDS):
            scores = alike(faces, members)
            order = np.argsort(-scores, kind="stable")
            _, first = np.unique(pictures[order], return_index=True)
            chosen = np.sort(order[first])
            chosen = chosen[scores[chosen] >= FITS]
            if not len(chosen) or np.array_equal(chosen, members):
                break
            members = chosen
        if len(members) > len(best):
            best = Agreement(members, unit(faces[members].sum(axis=0)))
    return best


@dataclass
class Person:
    """The pictures of a folder, the face they agree on, and whoever else is on many of them."""

    name: str
    items: list[Item]
    faces: np.ndarray
    pictures: np.ndarray
    main: Agreement
    rival: Agreement

    @classmethod
    def of(cls, name: str, items: list[Item]) -> Person:
        """Looks for the two faces that are on most of the pictures."""
        faces = np.concatenate([item.embeddings for item in items])
        pictures = np.repeat(np.arange(len(items)), [len(item.embeddings) for item in items])
        main = agree(faces, pictures)
        rest = np.setdiff1d(np.arange(len(faces)), main.members)
        rival = Agreement(rest, main.mean)
        if len(rest):
            found = agree(faces[rest], pictures[rest])
            rival = Agreement(rest[found.members], found.mean)
        return cls(name, items, faces, pictures, main, rival)

    def scores(self) -> list[np.ndarray]:
        """How alike each face of each picture is to the person's face on the other pictures."""
        members = self.main.members
        own = np.zeros((len(self.items), self.faces.shape[1]))
        own[self.pictures[members]] = self.faces[members]
        others = own.sum(axis=0) - own[self.pictures]
        norms = np.linalg.norm(others, axis=1) + 1e-12
        found = (self.faces * others).sum(axis=1) / norms
        return np.split(found, np.flatnonzero(np.diff(self.pictures)) + 1)

    @property
    def contested(self) -> bool:
        """Whether somebody else is on nearly as many pictures."""
        return len(self.rival) > 1 and len(self.rival) >= RIVAL * len(self.main)


def settle(people: list[Person]) -> dict[str, str]:
    """Tells folders apart by each other; what is wrong with those that stay unclear, by name."""
    clear = {person.name: person.main.mean for person in people if not person.contested}
    wrong = {}
    for person in people:
        if person.contested:
            others = [mean for name, mean in clear.items() if name != person.name]
            known = [
                any(found.mean @ mean >= SAME_PERSON for mean in others)
                for found in (person.main, person.rival)
            ]
            if known == [True, False]:
                person.main, person.rival = person.rival, person.main
            elif known != [False, True]:
                wrong[person.name] = (
                    f"two people are on about as many of its pictures ({len(person.main)} and "
                    f"{len(person.rival)}); take out those of the one who is not meant"
                )
                drop_all(person, "two people are on as many pictures of the folder")
        elif len(person.main) < 2 <= len(person.items):
            wrong[person.name] = (
                f"no two of its {len(person.items)} pictures show the same face; "
                "are they of one person?"
            )
            drop_all(person, "no two pictures of the folder show the same face")
    return wrong


def drop_all(person: Person, why: str) -> None:
    """Drops every picture of a folder, and says which of two people is on it."""
    first, second = (set(person.pictures[found.members]) for found in (person.main, person.rival))
    for number, item in enumerate(person.items):
        who = [
            name for name, found in (("the one", first), ("the other", second)) if number in found
        ]
        item.dropped = f"{why}: {' and '.join(who) or 'neither'}"


def choose(person: Person, others: dict[str, np.ndarray]) -> None:
    """Takes the person's face on each picture, or drops the picture; `others` are means by name."""
    for item, scores in zip(person.items, person.scores(), strict=True):
        item.taken = int(scores.argmax())
        item.fit = float(scores[item.taken])
        rest = np.delete(scores, item.taken)
        name, other = nearest(item.embedding, others)
        if other >= FITS and other > item.fit:
            item.dropped = f"shows somebody else: {name}"
        elif item.fit < FITS and len(rest):
            item.dropped = f"no face like the others of the folder: {len(scores)} faces"
        elif item.fit < FITS:
            item.dropped = "no face like the others of the folder"
        elif len(rest) and max(item.fit - STANDS_OUT, 0) < rest.max() < SURELY:
            item.dropped = f"more than one face like the others of the folder: {len(scores)} faces"
        elif item.fit < DOUBT:
            item.doubt = "hardly like the others of the folder"


def choose_stranger(item: Item, people: dict[str, np.ndarray]) -> None:
    """Takes the largest face that is none of the people's."""
    found = [nearest(embedding, people) for embedding in item.embeddings]
    strange = [face for face, (_, score) in enumerate(found) if score < SAME_PERSON]
    if strange:
        item.taken = strange[0]
    else:
        item.dropped = f"no stranger: {found[0][0]}"


def nearest(embedding: np.ndarray, means: dict[str, np.ndarray]) -> tuple[str, float]:
    """The person most like an embedding, and how much."""
    if not means:
        return "", -1.0
    scores = {name: float(embedding @ mean) for name, mean in means.items()}
    name = max(scores, key=scores.get)
    return name, scores[name]
