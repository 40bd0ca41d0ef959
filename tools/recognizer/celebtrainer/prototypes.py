"""The head that needs no training: a person is the mean of the embeddings of their pictures.

On the embedding of `background.py` the mean (Snell et al., "Prototypical Networks for Few-shot
Learning", 2017) is as good as any head that is fitted on few people, and it is judged as people are
who are added on the device: by the cosine, and by how alike strangers are.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from . import RECOGNIZER, data, modelfile, resume
from .background import person_means, similarity_for, unit
from .modelfile import Runner
from .openset import Answers, accept_rate, answers

# A face is named only when the best person leads the second by this much.
MARGIN = 0.03
# Whoever has a name at this rate of false accepts keeps it.
HIGHEST_RATE = 0.01
# Strangers beyond this many are hardly like anybody.
MOST_STRANGERS = 256
# Nothing is chosen by validation pictures, so they are learned from too.
SPLITS = ("train", "val")
EMBEDDING = RECOGNIZER / "pretrained" / "embedding.onnx"


def background() -> dict:
    """What the embedding's file says of strangers in general."""
    return modelfile.read(modelfile.load(EMBEDDING))["background"]


@dataclass(frozen=True)
class Known:
    """Embeddings [n, d] of length 1, the person of each, and a number for what is nearly one."""

    embeddings: np.ndarray
    people: np.ndarray
    moments: np.ndarray

    def save(self, work: Path) -> None:
        """Writes them for the steps that follow; they stay in the work folder."""
        file = io.BytesIO()
        np.savez(file, **vars(self))
        resume.replace(work / "embeddings.npz", file.getvalue())

    def similarities(self, embeddings: np.ndarray) -> np.ndarray:
        """Similarities [k, people] of other embeddings."""
        return embeddings @ person_means(self.embeddings, self.people).T

    @classmethod
    def load(cls, work: Path) -> Known:
        """Reads what `save` wrote."""
        stored = np.load(work / "embeddings.npz")
        return cls(stored["embeddings"], stored["people"], stored["moments"])


def with_people(known: Known, names: list[str], strangers: np.ndarray) -> onnx.ModelProto:
    """The embedding's network with one similarity for each person on top.

    Who is more like one of the `strangers` [k, d], or nearly, loses 1 from every similarity.
    """
    model = modelfile.load(EMBEDDING)
    graph = model.graph
    rows = person_means(known.embeddings, known.people).astype(np.float32)
    similarities = "similarities" if len(strangers) else "logits"
    compare(graph, "people", rows, similarities)
    if len(strangers):
        compare(graph, "strangers", strangers.astype(np.float32), "alike")
        take_off_strangers(graph)
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, len(rows)])
    graph.output.insert(0, logits)
    del model.metadata_props[:]
    modelfile.write(model, modelfile.common("recognizer") | {"labels": modelfile.labels(names)})
    onnx.checker.check_model(model, full_check=True)
    return model


def compare(graph: onnx.GraphProto, name: str, rows: np.ndarray, result: str) -> None:
    """Adds the cosines of the embedding and some rows to the graph."""
    graph.initializer.append(numpy_helper.from_array(rows, name))
    graph.node.append(
        helper.make_node("Gemm", ["embedding", name], [result], name=f"compare_{name}", transB=1)
    )


def take_off_strangers(graph: onnx.GraphProto) -> None:
    """Adds logits = similarities - 1 where the best lead over a stranger is less than the margin."""
    # A step; where the lead is within a millionth of the margin, a part of it.
    for name, value in (("margin", MARGIN), ("steep", 1e6), ("none", 0.0), ("all", 1.0)):
        graph.initializer.append(numpy_helper.from_array(np.float32(value), name))
    for kind, given, result in (
        ("ReduceMax", ["similarities"], "best"),
        ("ReduceMax", ["alike"], "stranger"),
        ("Sub", ["stranger", "best"], "behind"),
        ("Add", ["behind", "margin"], "missing"),
        ("Mul", ["missing", "steep"], "steps"),
        ("Clip", ["steps", "none", "all"], "loss"),
        ("Sub", ["similarities", "loss"], "logits"),
    ):
        more = {"axes": [1], "keepdims": 1} if kind == "ReduceMax" else {}
        graph.node.append(
            helper.make_node(kind, given, [result], name=f"strangers_{result}", **more)
        )


def told_apart(known: Known, strangers: Known) -> np.ndarray:
    """A row for each stranger whom the people can be told from, those most like somebody [k, d].

    Who would take the name off a picture of the people is none, and may be one of them.
    """
    if not len(strangers.people):
        return np.zeros((0, known.embeddings.shape[1]))
    rows = person_means(strangers.embeddings, strangers.people)
    people, own = np.unique(known.people, return_inverse=True)
    others = left_out(known)[np.arange(len(own)), own]
    named = others >= similarity_for(background()["impostors"], HIGHEST_RATE, len(people))
    takes = known.embeddings[named] @ rows.T > others[named, None] - MARGIN
    rows = rows[~takes.any(axis=0)]
    likeness = known.similarities(rows).max(axis=1)
    return rows[np.argsort(-likeness)[:MOST_STRANGERS]]


def left_out(known: Known) -> np.ndarray:
    """Similarities [n, people] of pictures, to their own person by the mean of the others.

    Pictures of one moment are left out together. Who has no other is like themselves as strangers
    are: 0.
    """
    embeddings, people = known.embeddings, known.people
    cosines = known.similarities(embeddings)
    _, own = np.unique(people, return_inverse=True)
    _, moment = np.unique(known.moments, return_inverse=True)
    others = sums(embeddings, own)[own] - sums(embeddings, moment)[moment]
    cosines[np.arange(len(people)), own] = (embeddings * unit(others)).sum(axis=1)
    return cosines


def sums(rows: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """The sum of the rows of each number from 0 on."""
    found = np.zeros((numbers.max() + 1, rows.shape[1]))
    np.add.at(found, numbers, rows)
    return found


def as_strangers(known: Known, names: list[str]) -> dict:
    """Each person as a stranger to the others: the best similarities of their pictures, by name."""
    if len(names) < 2:
        return {}
    cosines = known.similarities(known.embeddings)
    cosines[np.arange(len(known.people)), known.people] = -np.inf
    return {name: cosines[known.people == p].max(axis=1) for p, name in enumerate(names)}


def measured(known: Known) -> tuple[Answers, np.ndarray]:
    """What is said of each picture when it is left out, and whether it is right."""
    found = answers(left_out(known), "cosine")
    return found, found.best == np.unique(known.people, return_inverse=True)[1]


def enrolled(others: data.Part, part: data.Part, rate: float) -> float:
    """The share of pictures that is named rightly when the people are added on the device.

    `others` are the pictures they are added from.
    """
    runner = Runner(EMBEDDING)
    known, found = (
        runner.outputs_of(some.paths, "enrolled instead", "embedding") for some in (others, part)
    )
    said = answers(found @ person_means(known, others.people).T, "cosine")
    threshold = similarity_for(background()["impostors"], rate, len(part.names))
    return accept_rate(said.rejected_below(MARGIN), said.best == part.people, threshold)
