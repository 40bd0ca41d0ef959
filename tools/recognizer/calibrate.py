#!/usr/bin/env python3
"""Sets the threshold of the int8 model and writes the finished model file.

Strangers are the people in DATA/unknown and, one after the other, the people of the gallery
themselves: their pictures shown to a head that was fitted without them. Without either, a
picture's second best person stands in for a stranger.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx

from celebtrainer import background, decision, enrolment, modelfile, openset, prototypes
from celebtrainer.data import need_part, people, read_part
from celebtrainer.description import Description
from celebtrainer.failure import run
from celebtrainer.words import counted

# Pictures of each person and split that are looked at for adding people.
ENROLMENT_PICTURES = 60


def stranger_scores(
    runner: modelfile.Runner, data: Path, score: str, margin: float
) -> openset.Scores:
    """Similarities of each person in DATA/unknown."""
    scores = {}
    for name in people(data / "unknown"):
        part = read_part(data, "unknown", [name])
        if len(part):
            found = openset.answers(runner.logits(part.paths, name), score)
            scores[name] = found.rejected_below(margin)
    return scores


def of_people_added(
    runner: modelfile.Runner, data: Path, own: np.ndarray, found: dict, rate: float
) -> dict | None:
    """How people are judged who are added on the device; None where the model has no embedding.

    `own` are similarities to the model's people of pictures of others.
    """
    if "embedding" not in runner.outputs:
        return None

    def pictures(split: str) -> enrolment.Pictures:
        part = read_part(data, split)
        kept = np.concatenate(
            [np.flatnonzero(part.people == p)[:ENROLMENT_PICTURES] for p in range(len(part.names))]
        )
        paths = [part.paths[i] for i in kept]
        embeddings = runner.outputs_of(paths, f"{split}, embeddings", "embedding")
        return enrolment.Pictures(embeddings, part.people[kept])

    unknown = pictures("unknown") if people(data / "unknown") else None
    strangers = (
        {f"stranger {p}": unknown.of(p) for p in np.unique(unknown.people)} if unknown else {}
    )
    threshold = decision.to_similarity(found)
    return enrolment.calibrate(pictures("train"), pictures("val"), strangers, own, threshold, rate)


def stand_ins(logits: np.ndarray, truth: np.ndarray, score: str) -> openset.Scores:
    """Best similarity to anybody else, for each person of the gallery."""
    others = openset.similarities(logits, score).copy()
    others[np.arange(len(truth)), truth] = -np.inf
    return {f"person {p}": others[truth == p].max(axis=1) for p in np.unique(truth)}


def note(strangers: openset.Scores, left_out: dict, target: float, pictures: int) -> str:
    """How the threshold was set, in words."""
    parts = []
    if strangers:
        parts.append(f"{sum(map(len, strangers.values()))} pictures of {len(strangers)} strangers")
    if left_out:
        pictures_left_out = sum(len(s) for s in left_out.values())
        parts.append(
            f"{pictures_left_out} pictures of {len(left_out)} people shown to heads without them"
        )
    who = " and on ".join(parts) or "each validation picture's second best person (no strangers)"
    rate = f"threshold for at most {target:.1%} of strangers' pictures, "
    if not openset.enough(strangers | left_out):
        rate = "how many strangers get a name is not known; threshold "
    return f"int8 model; {rate}set on {who}; confidence fitted on these and {pictures} validation pictures"


def general(model: onnx.ModelProto, made: Description, args: argparse.Namespace) -> None:
    """Writes a model of prototypes, whose decisions follow from what is general about strangers."""
    known = prototypes.background()
    pictures, rate = prototypes.Known.load(args.work), args.false_accepts
    answers, right = prototypes.measured(pictures)
    count = len(np.unique(pictures.people))
    slope, intercept = known["slope"], background.intercept_among(known["intercept"], count)

    def row(share: float) -> dict:
        similarity = background.similarity_for(known["impostors"], share, count)
        accepted = answers.rejected_below(prototypes.MARGIN)
        return {
            "false_accepts": share,
            "threshold": float(openset.confidence(similarity, slope, intercept)),
            "true_accepts": openset.accept_rate(accepted, right, similarity),
        }

    text = (
        f"threshold for at most {rate:.1%} of strangers' faces among all who are known, by "
        f"{known['comparisons']} comparisons of {known['people']} other people; shares of known faces "
        f"by {len(right)} pictures, each compared with the others of its person"
    )
    if made.facts["strangers"]:
        text += f"; {counted(made.facts['strangers'], 'stranger')} of unknown/ told from its people"
    found = {
        "score": "cosine",
        "slope": slope,
        "intercept": known["intercept"],
        "threshold": row(rate)["threshold"],
        "margin": prototypes.MARGIN,
        "calibration": text,
        "curve": [row(share) for share in decision.CURVE],
        "enrolled": {"scale": 1.0, "offset": 0.0},
        "impostors": known["impostors"],
        "false_accepts": rate,
    }
    metrics = {
        "left_out_top1": float(right.mean()),
        "left_out_true_accepts": row(rate)["true_accepts"],
    }
    modelfile.write(model, {"decision": found, "metrics": metrics, "created": modelfile.now()})
    modelfile.save(model, args.out)
    print(f"wrote {args.out}: {text}")
    print(f"named rightly: {metrics['left_out_true_accepts']:.2%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder that prepare.py wrote")
    parser.add_argument("work", type=Path, help="folder with int8.onnx")
    parser.add_argument("out", type=Path, help="the model file to write")
    parser.add_argument("--false-accepts", type=float, default=0.001,
                        help="rate the threshold is set for (default %(default)s)")  # fmt: skip
    args = parser.parse_args()

    made = Description.read(args.work)
    model = modelfile.load(args.work / "int8.onnx")
    if made.preset.head.kind == "prototypes":
        general(model, made, args)
        return
    score = made.preset.head.score
    runner = modelfile.Runner(args.work / "int8.onnx")
    val = need_part(args.data, "val", made.names)
    logits = runner.logits(val.paths, "validation")
    gallery = openset.answers(logits, score)
    right = gallery.best == val.people
    margin = decision.choose_margin(gallery, right, score)
    left_out = {f"{name} left out": np.array(scores)
                for name, scores in made.left_out.items()}  # fmt: skip
    strangers = stranger_scores(runner, args.data, score, margin)
    everybody = strangers | left_out
    text = note(strangers, left_out, args.false_accepts, len(val))
    found = decision.calibrate(gallery, right, everybody or stand_ins(logits, val.people, score), margin,
                               args.false_accepts, text, score, not everybody)  # fmt: skip
    accepted = openset.accept_rate(
        gallery.rejected_below(margin), right, decision.to_similarity(found)
    )
    own = logits[np.arange(logits.shape[1]) != val.people[:, None]]
    added = of_people_added(runner, args.data, own, found, args.false_accepts)
    if added:
        found["enrolled"] = {key: added[key] for key in ("scale", "offset")}
    metrics = {"val_top1": float(right.mean()), "val_true_accepts": accepted}
    modelfile.write(
        model,
        {"decision": {"score": score, **found}, "metrics": metrics, "created": modelfile.now()},
    )
    modelfile.save(model, args.out)
    print(f"wrote {args.out}: {text}")
    print(
        f"threshold {found['threshold']:.3f} (confidence), margin {margin:.3f}; validation pictures: "
        f"{right.mean():.2%} right, {accepted:.2%} accepted with the right name"
    )
    if added:
        print(
            f"people added from {enrolment.PICTURES} pictures: cosine {added['cosine']:.3f}, "
            f"validation pictures: {added['true_accepts']:.2%} accepted with the right name"
        )


if __name__ == "__main__":
    run(main)
