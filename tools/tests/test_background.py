"""What is general about faces: the linear map, the curve of strangers and people as means."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
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
    curve = background.tail(background.impostors(embeddings, people, 2, 2))
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
    assert known.similarities(embeddings)[0, 1] == cosines[0, 1]
    found = prototypes.as_strangers(known, list("abcdef"))
    assert len(found["c"]) == 4 and found["c"][0] == pytest.approx(
        np.delete(embeddings[8] @ background.person_means(embeddings, people).T, 2).max()
    )


def test_strangers_of_the_user_get_no_name_and_take_none(tmp_path):
    length = background.EMBEDDING
    centres = background.unit(RANDOM.normal(size=(4, length)))
    centres[3] = background.unit((0.6 * centres[0] + 0.8 * centres[3])[None])[0]

    def pictures(whose: list[int]) -> np.ndarray:
        return background.unit(centres[whose] + 0.04 * RANDOM.normal(size=(len(whose), length)))

    people = np.repeat([0, 1], 10)
    known = prototypes.Known(pictures(list(people)), people, np.arange(20))
    # One stranger who is like a person, and one who is that person.
    whose = [3] * 5 + [0] * 5
    strangers = prototypes.Known(pictures(whose), np.array(whose), np.arange(10))
    rows = prototypes.told_apart(known, strangers)
    assert rows.shape == (1, length) and rows[0] @ centres[3] > 0.9
    model = prototypes.with_people(known, ["a", "b"], rows)
    del model.graph.node[:-9], model.graph.output[1:]
    model.graph.input[0].CopyFrom(
        onnx.helper.make_tensor_value_info("embedding", onnx.TensorProto.FLOAT, [1, length])
    )
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for who, loss in ((0, 0), (1, 0), (2, None), (3, 1)):
        embedding = pictures([who]).astype(np.float32)
        (logits,) = session.run(["logits"], {"embedding": embedding})
        if loss is not None:
            assert logits == pytest.approx(known.similarities(embedding) - loss, abs=1e-5)
