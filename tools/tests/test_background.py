"""What is general about faces: the linear map, the curve of strangers and people as means."""

from __future__ import annotations

import numpy as np
import pytest

from celebtrainer import background, prototypes

RANDOM = np.random.default_rng(5)
LENGTH = 40


def draw(people: int, pictures: int, spread: float = 0.5, shift=0.0):
    """Features of people, [people * pictures, LENGTH], and the person of each."""
    centres = RANDOM.normal(size=(people, LENGTH)) + shift
    features = np.repeat(centres, pictures, axis=0)
    features += spread * RANDOM.normal(size=features.shape)
    return features, np.repeat(np.arange(people), pictures)


def test_what_a_group_shares_tells_nobody_apart():
    shared = np.zeros(LENGTH)
    shared[0] = 4.0
    groups = {"a": draw(60, 1, shift=shared)[0], "b": draw(60, 1, shift=-shared)[0]}
    features, people = draw(80, 3)
    found = background.fit_map(features, people, groups)
    for shift in (shared, -shared):
        embeddings = found.embed(draw(80, 1, shift=shift)[0])
        cosines = (embeddings @ embeddings.T)[np.triu_indices(80, 1)]
        assert abs(cosines.mean()) < 0.02
    assert found.matrix.shape == (LENGTH, LENGTH)


def test_the_curve_tells_how_many_strangers_are_accepted():
    features, people = draw(600, 2)
    embeddings = background.unit(features)
    curve = background.tail(background.impostors(embeddings, people, 2))
    shares = [point["false_matches"] for point in curve]
    similarities = [point["similarity"] for point in curve]
    assert shares == sorted(shares) and similarities == sorted(similarities, reverse=True)
    strangers = background.unit(draw(4000, 1)[0])
    for count in (1, 20, 200):
        gallery = background.person_means(embeddings, people)[:count]
        threshold = background.similarity_for(curve, 0.01, count)
        accepted = float(np.mean((strangers @ gallery.T).max(axis=1) >= threshold))
        assert 0.005 < accepted < 0.016, (count, accepted)
    assert background.similarity_for(curve, 0.001, 100_000) > background.similarity_for(
        curve, 0.001, 1
    )


def test_wrong_pictures_and_second_names_are_found():
    features, people = draw(30, 5)
    features[7] = -features[7]
    embeddings = background.unit(features)
    wrong = background.misplaced(embeddings, people)
    assert list(np.flatnonzero(wrong)) == [7]
    twice = background.unit(np.concatenate([features, features[10:15]]))
    again = np.concatenate([people, np.full(5, 77)])
    assert background.doubles(twice, again) & {2, 77}


def test_each_picture_is_compared_with_the_others_of_its_person():
    features, people = draw(6, 4)
    embeddings = background.unit(features)
    known = prototypes.Known(embeddings, people, np.arange(len(people)))
    cosines = prototypes.left_out(known)
    others = background.unit(embeddings[1:4].mean(axis=0)[None])[0]
    assert cosines[0, 0] == pytest.approx(embeddings[0] @ others)
    assert cosines[0, 1] == pytest.approx(
        embeddings[0] @ background.person_means(embeddings, people)[1]
    )
    of_one_moment = prototypes.Known(embeddings, people, np.array([0, 0, *range(2, 24)]))
    others = background.unit(embeddings[2:4].mean(axis=0)[None])[0]
    assert prototypes.left_out(of_one_moment)[0, 0] == pytest.approx(embeddings[0] @ others)
    alone = prototypes.Known(embeddings[:5], np.array([0, 0, 0, 0, 1]), np.arange(5))
    assert prototypes.left_out(alone)[4, 1] == pytest.approx(0)
    found = prototypes.as_strangers(known, list("abcdef"))
    assert len(found["c"]) == 4 and found["c"][0] == pytest.approx(
        np.delete(embeddings[8] @ background.person_means(embeddings, people).T, 2).max()
    )
