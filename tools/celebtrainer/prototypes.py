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

from . import data, modelfile, resume
from .background import person_means, similarity_for, unit
from .modelfile import Runner
from .openset import Answers, accept_rate, answers

# A face is named only when the best person leads the second by this much.
MARGIN = 0.03
# Nothing is chosen by validation pictures, so they are learned from too.
SPLITS = ("train", "val")
EMBEDDING = Path(__file__).resolve().parent.parent / "pretrained" / "embedding.onnx"


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

    @classmethod
    def load(cls, work: Path) -> Known:
        """Reads what `save` wrote."""
        stored = np.load(work / "embeddings.npz")
        return cls(stored["embeddings"], stored["people"], stored["moments"])


def with_people(known: Known, names: list[str]) -> onnx.ModelProto:
    """The embedding's network with one similarity for each person on top."""
    model = modelfile.load(EMBEDDING)
    graph = model.graph
    rows = person_means(known.embeddings, known.people).astype(np.float32)
    graph.initializer.append(numpy_helper.from_array(rows, "people"))
    graph.node.append(
        helper.make_node("Gemm", ["embedding", "people"], ["logits"], name="similarities", transB=1)
    )
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, len(rows)])
    graph.output.insert(0, logits)
    del model.metadata_props[:]
    modelfile.write(model, modelfile.common("recognizer") | {"labels": modelfile.labels(names)})
    onnx.checker.check_model(model, full_check=True)
    return model


def left_out(known: Known) -> np.ndarray:
    """Similarities [n, people] of pictures, to their own person by the mean of the others.

    Pictures of one moment are left out together. Who has no other is like themselves as strangers
    are: 0.
    """
    embeddings, people = known.embeddings, known.people
    cosines = embeddings @ person_means(embeddings, people).T
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
    cosines = known.embeddings @ person_means(known.embeddings, known.people).T
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
