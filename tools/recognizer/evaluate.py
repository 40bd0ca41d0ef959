#!/usr/bin/env python3
"""Measures a finished model file and writes the figures as JSON, and into the model's metadata.

Top-1 and confusions on the test split or, where there is none, on validation pictures, or for people
who are means on all pictures, each left out of the mean in turn. Where a network was trained, also
the float model beside the int8 one, what adding the same people on the device would give, and, with
a dense head, predictions.html: pictures with what the int8 model says of each. Open-set rates with
each stranger left out of the threshold in turn.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from celebtrainer import cost, decision, modelfile, openset, prototypes, resume, sheet
from celebtrainer.data import Part, need_part, people, read_part, read_parts
from celebtrainer.description import Description
from celebtrainer.failure import Failure, run
from celebtrainer.words import LEFT_OUT, probes

WORST = 24
SHOWN = 48
BINS = 60
TARGETS = (0.001, 0.01)
# The pictures of each stranger and what is said of them.
Strangers = dict[str, tuple[Part, openset.Answers]]


def confusion(truth: np.ndarray, best: np.ndarray, count: int) -> list[list[int]]:
    """Rows: who it is; columns: who the model says."""
    table = np.zeros((count, count), int)
    np.add.at(table, (truth, best), 1)
    return table.tolist()


def closed_set(part: Part, answers: openset.Answers) -> dict:
    """Accuracy over all pictures, by person, and the confusions."""
    right = answers.best == part.people
    by_person = {n: float(right[part.people == p].mean())
                 for p, n in enumerate(part.names) if (part.people == p).any()}  # fmt: skip
    return {
        "pictures": len(part),
        "top1": float(right.mean()),
        "top1_by_person": by_person,
        "confusion": confusion(part.people, answers.best, len(part.names)),
    }


def row(path: Path, truth: str, said: str, similarity: float, made: dict) -> dict:
    """A picture for the report."""
    confidence = openset.confidence(similarity, made["slope"], made["intercept"])
    return {"path": str(path), "truth": truth, "said": said, "confidence": float(confidence)}


def mistakes(part: Part, answers: openset.Answers, made: dict) -> list[dict]:
    """The wrong answers given with the highest confidence."""
    wrong = np.flatnonzero(answers.best != part.people)
    wrong = wrong[np.argsort(-answers.similarity[wrong])][:WORST]
    names = part.names
    return [
        row(part.paths[i], names[part.people[i]], names[answers.best[i]], answers.similarity[i], made)
        for i in wrong
    ]  # fmt: skip


def wrong_decisions(
    part: Part, answers: openset.Answers, strangers: Strangers, made: dict
) -> list[dict]:
    """Pictures of the gallery without their name and strangers with one, nearest to the threshold."""
    threshold, names = decision.to_similarity(made), part.names
    accepted = answers.rejected_below(made["margin"]) >= threshold
    refused = np.flatnonzero(~accepted | (answers.best != part.people))
    rows = [
        row(part.paths[i], names[part.people[i]],
            names[answers.best[i]] if accepted[i] else "unknown", answers.similarity[i], made)
        for i in refused
    ]  # fmt: skip
    for stranger, (found, said) in strangers.items():
        named = np.flatnonzero(said.rejected_below(made["margin"]) >= threshold)
        rows += [
            row(found.paths[i], f"stranger: {stranger}", names[said.best[i]], said.similarity[i], made)
            for i in named
        ]  # fmt: skip
    return sorted(rows, key=lambda row: abs(row["confidence"] - made["threshold"]))[:WORST]


def sample(part: Part) -> np.ndarray:
    """Places of some pictures, from all over a split."""
    return np.unique(np.linspace(0, len(part) - 1, min(SHOWN, len(part))).astype(int))


def spread(part: Part, answers: openset.Answers, made: dict) -> list[dict]:
    """Pictures from all over the split, with what is said of them at the model's threshold."""
    accepted = answers.rejected_below(made["margin"]) >= decision.to_similarity(made)
    names = part.names
    return [
        row(part.paths[i], names[part.people[i]],
            names[answers.best[i]] if accepted[i] else "unknown", answers.similarity[i], made)
        for i in sample(part)
    ]  # fmt: skip


def show_predictions(
    part: Part, split: str, answers: openset.Answers, threshold: float, out: Path
) -> None:
    """Writes a page of pictures, each with the int8 model's best person and how probable it is."""
    rows = [
        sheet.Said(part.paths[i], part.names[part.people[i]], part.names[answers.best[i]],
                   float(answers.similarity[i]), bool(answers.similarity[i] >= threshold))
        for i in sample(part)
    ]  # fmt: skip
    right = sum(row.said == row.truth for row in rows)
    title = f"{right} of {probes(len(rows), split)} said rightly"
    out.write_text(sheet.page(title, rows), encoding="utf-8")
    print(f"{title}: {out}")


def shares_named(scores: openset.Scores, threshold: float) -> list[dict]:
    """How many pictures of each stranger get a name."""
    return [
        {
            "stranger": name,
            "pictures": len(found),
            "false_accepts": float(np.mean(found >= threshold)),
        }
        for name, found in scores.items()
    ]


def nearest_strangers(strangers: Strangers, made: dict, names: list[str]) -> list[dict]:
    """The strangers most like somebody."""
    rows = [
        row(part.paths[i], f"stranger: {name}", names[answers.best[i]], answers.similarity[i], made)
        for name, (part, answers) in strangers.items()
        for i in range(len(part))
    ]
    return sorted(rows, key=lambda row: -row["confidence"])[: WORST // 2]


def histogram(answers: openset.Answers, right: np.ndarray, strangers: openset.Scores) -> dict:
    """Shares of similarities of the gallery's right answers and of strangers, in equal bins."""
    finite = [s[np.isfinite(s)] for s in strangers.values()]
    everything = np.concatenate([answers.similarity, *finite])
    edges = np.linspace(everything.min(), everything.max(), BINS + 1)

    def shares(values: np.ndarray) -> np.ndarray:
        return np.histogram(values, edges)[0] / max(1, len(values))

    return {
        "edges": edges.tolist(),
        "gallery": shares(answers.similarity[right]).tolist(),
        "strangers": np.mean([shares(values) for values in finite], axis=0).tolist(),
    }


def curve(gallery: np.ndarray, right: np.ndarray, strangers: openset.Scores) -> list[dict]:
    """True accepts over false accepts, as the threshold goes down; empty where no stranger is like
    one person more than like another."""
    scores = np.concatenate(list(strangers.values()))
    scores = scores[np.isfinite(scores)]
    rows = []
    for threshold in np.quantile(scores, np.linspace(1, 0.5, 200)) if len(scores) else ():
        rate = openset.false_accepts(strangers, threshold)
        if rate > 0:
            rows.append(
                {
                    "false_accepts": rate,
                    "true_accepts": openset.accept_rate(gallery, right, threshold),
                }
            )
    return rows


def folds(
    gallery: np.ndarray,
    right: np.ndarray,
    strangers: openset.Scores,
    left_out: openset.Scores,
    score: str,
) -> dict:
    """Each stranger left out of the threshold in turn, for each target, and the means of that."""
    rows = {
        f"{target:.1%} false accepts": openset.leave_one_out(
            gallery, right, strangers, left_out, target, score
        )
        for target in TARGETS
    }
    return {"folds": rows, "means": fold_means(rows)}


def fold_means(folds: dict) -> dict:
    """Mean true accepts, mean and largest false accepts of each table of folds."""
    return {
        title: {
            "true_accepts": float(np.mean([r["true_accepts"] for r in rows])),
            "false_accepts": float(np.mean([r["false_accepts"] for r in rows])),
            "largest_false_accepts": float(max(r["false_accepts"] for r in rows)),
        }
        for title, rows in folds.items()
    }


@dataclass(frozen=True)
class Model:
    """The finished model file with the data and the description it was made from."""

    args: argparse.Namespace
    description: Description
    decision: dict
    runner: modelfile.Runner

    @classmethod
    def read(cls, args: argparse.Namespace) -> Model:
        """A Failure where it has no threshold yet."""
        properties = modelfile.read(modelfile.load(args.model))
        if "decision" not in properties:
            raise Failure(f"{args.model} has no threshold yet; run calibrate.py first")
        found = Description.read(args.work)
        made = decision.among(properties["decision"], len(found.names))
        return cls(args, found, made, modelfile.Runner(args.model))

    @property
    def threshold(self) -> float:
        return decision.to_similarity(self.decision)

    @property
    def left_out(self) -> openset.Scores:
        return {name: np.array(scores) for name, scores in self.description.left_out.items()}

    def split(self) -> str:
        """What to measure on: a split, or all pictures, each left out in turn."""
        if self.args.split:
            return self.args.split
        if people(self.args.data / "test"):
            return "test"
        return LEFT_OUT if self.description.preset.head.kind == "prototypes" else "val"

    def answers(self, split: str) -> tuple[Part, openset.Answers]:
        """The pictures of a split and what is said of each."""
        data, names = self.args.data, self.description.names
        if split == LEFT_OUT:
            said, _ = prototypes.measured(prototypes.Known.load(self.args.work))
            return read_parts(data, prototypes.SPLITS, names), said
        part = need_part(data, split, names)
        logits = self.runner.logits(part.paths, f"{split}, int8")
        return part, openset.answers(logits, self.decision["score"])

    def strangers(self) -> Strangers:
        """The pictures of each person in DATA/unknown and what is said of each."""
        found = {}
        for name in people(self.args.data / "unknown"):
            part = read_part(self.args.data, "unknown", [name])
            if len(part):
                found[name] = part, openset.answers(self.of_strangers(part), self.decision["score"])
        return found

    def of_strangers(self, part: Part) -> np.ndarray:
        """The logits of pictures as if the model had not seen those who are on them."""
        if self.description.preset.head.kind != "prototypes":
            return self.runner.logits(part.paths, part.names[0])
        known = prototypes.Known.load(self.args.work)
        return known.similarities(self.runner.outputs_of(part.paths, part.names[0], "embedding"))


def before_rounding(model: Model, part: Part) -> float | None:
    """The share that is nearest to the right person by the float model, where there is one."""
    if model.description.preset.head.kind == "prototypes":
        return None  # They stand on an int8 network that comes with the trainer.
    logits = modelfile.Runner(model.args.work / "float.onnx").logits(part.paths, "float")
    return float((logits.argmax(axis=1) == part.people).mean())


def enrolled_instead(model: Model, split: str, part: Part, rate: float) -> float:
    """The share named rightly with the people added on the device, from the same pictures."""
    from_splits = [name for name in prototypes.SPLITS if name != split]
    others = read_parts(model.args.data, from_splits, model.description.names)
    return prototypes.enrolled(others, part, rate)


def measure(args: argparse.Namespace) -> tuple[dict, dict]:
    """All figures, and those that go into the model file."""
    model = Model.read(args)
    split, made, names = model.split(), model.decision, model.description.names
    part, answers = model.answers(split)
    right = answers.best == part.people
    gallery, threshold = answers.rejected_below(made["margin"]), model.threshold
    figures = {
        "model": args.model.name,
        "split": split,
        "closed_set": closed_set(part, answers),
        "float_top1": before_rounding(model, part),
        "size_bytes": args.model.stat().st_size,
        "macs": cost.multiply_accumulates(modelfile.load(args.model)),
        "false_accepts": made.get("false_accepts"),
        "true_accepts": openset.accept_rate(gallery, right, threshold),
        "mistakes": mistakes(part, answers, made),
        "answers": spread(part, answers, made),
        "left_out": shares_named(model.left_out, threshold),
    }
    brief = {
        f"{split}_top1": figures["closed_set"]["top1"],
        f"{split}_true_accepts": figures["true_accepts"],
        "macs": figures["macs"],
    }
    if figures["float_top1"] is not None:
        brief[f"{split}_top1_float"] = figures["float_top1"]
        figures["enrolled_true_accepts"] = enrolled_instead(
            model, split, part, figures["false_accepts"] or TARGETS[0]
        )
    predictions = args.work / "predictions.html"
    predictions.unlink(missing_ok=True)
    if made["score"] == "softmax":
        show_predictions(part, split, answers, threshold, predictions)
    strangers = model.strangers()
    scores = {n: a.rejected_below(made["margin"]) for n, (_, a) in strangers.items()}
    figures["strangers"] = shares_named(scores, threshold)
    # A model of means gives none of these a name.
    misnamed = {} if "impostors" in made else strangers
    figures["wrong_decisions"] = wrong_decisions(part, answers, misnamed, made)
    if len(strangers) > 1:
        figures["open_set"] = {"curve": curve(gallery, right, scores)}
        if "impostors" not in made:  # Else no stranger had a say in the threshold.
            figures["open_set"] |= folds(gallery, right, scores, model.left_out, made["score"])
            means = figures["open_set"]["means"]["1.0% false accepts"]
            brief |= {f"{split}_stranger_folds_{k}": v for k, v in means.items()}
        everybody = {n: a.similarity for n, (_, a) in strangers.items()}
        figures["open_set"]["histogram"] = histogram(answers, right, everybody)
        figures["open_set"]["threshold"] = threshold
        figures["nearest_strangers"] = nearest_strangers(strangers, made, names)
    return figures, brief


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder that prepare.py wrote")
    parser.add_argument("work", type=Path, help="folder of train.py; gets metrics.json")
    parser.add_argument("model", type=Path, help="the finished model file")
    parser.add_argument("--split", choices=("val", "test"), help="default: test if there is one")
    args = parser.parse_args()

    figures, brief = measure(args)
    resume.replace(args.work / "metrics.json", json.dumps(figures, indent=1).encode())
    model = modelfile.load(args.model)
    metrics = modelfile.read(model).get("metrics", {})
    modelfile.write(model, {"metrics": {**metrics, **brief}})
    modelfile.save(model, args.model)
    beside = "" if figures["float_top1"] is None else f" (float {figures['float_top1']:.4f})"
    print(f"{figures['split']}: top-1 {figures['closed_set']['top1']:.4f}{beside}, accepted with the right name "
          f"{figures['true_accepts']:.4f}; {figures['macs'] / 1e6:.0f} M multiply-accumulates, "
          f"{figures['size_bytes'] / 1e6:.2f} MB")  # fmt: skip
    for r in figures["strangers"]:
        print(
            f"  stranger {r['stranger']}: {r['false_accepts']:.2%} of {r['pictures']} pictures named"
        )
    for title, rows in figures.get("open_set", {}).get("folds", {}).items():
        print(f"threshold for {title}:")
        for r in rows:
            print(f"  {r['stranger']:20} true accepts {r['true_accepts']:.4f}  "
                  f"false accepts {r['false_accepts']:.4f}")  # fmt: skip


if __name__ == "__main__":
    run(main)
