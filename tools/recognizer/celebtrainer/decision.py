"""The decision that goes into a model file: calibration, threshold, margin and curve."""

from __future__ import annotations

import numpy as np

from . import background, openset
from .openset import Answers, Scores

# Rates for which the file lists thresholds.
CURVE = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
# Share of right answers on validation pictures that the margin may cost.
MARGIN_COST = 0.005


def choose_margin(gallery: Answers, right: np.ndarray, score: str = "cosine") -> float:
    """The margin below which a small share of the right answers lies; wrong ones lie there often.

    None for a softmax: the lead of a share says nothing that the share does not.
    """
    if score == "softmax":
        return 0.0
    margins = gallery.margin[right]
    if not len(margins) or not np.isfinite(margins).all():
        return 0.0
    return float(np.quantile(margins, MARGIN_COST))


def calibrate(
    gallery: Answers,
    right: np.ndarray,
    strangers: Scores,
    margin: float,
    target: float,
    note: str,
    score: str = "cosine",
    stand_ins: bool = False,
) -> dict:
    """The decision's metadata.

    The strangers' similarities are minus infinity where the margin is too small. It promises a rate
    where they are enough people, and no stand-ins.
    """
    finite = {n: s[np.isfinite(s)] for n, s in strangers.items()}
    similarity = np.concatenate([gallery.similarity, *finite.values()])
    answer = np.concatenate([right, np.zeros(sum(map(len, finite.values())), bool)]).astype(float)
    # Gallery pictures and strangers weigh the same, and so does each stranger.
    weight = np.concatenate(
        [np.full(len(right), 1 / len(right))]
        + [np.full(len(s), 1 / len(finite) / len(s)) for s in finite.values() if len(s)]
    )
    slope, intercept = openset.fit_logistic(similarity, answer, weight)
    accepted = gallery.rejected_below(margin)

    promised = openset.enough(strangers) and not stand_ins

    def row(rate: float) -> dict:
        threshold = openset.threshold_for(strangers, rate, score)
        return {
            "false_accepts": rate,
            "threshold": float(openset.confidence(threshold, slope, intercept)),
            "true_accepts": openset.accept_rate(accepted, right, threshold),
        }

    return {
        "slope": slope,
        "intercept": intercept,
        "threshold": row(target)["threshold"],
        "margin": margin,
        "calibration": note,
        # Without a rate that holds there is none to choose.
        **({"curve": [row(rate) for rate in CURVE], "false_accepts": target} if promised else {}),
    }


def among(decision: dict, people: int) -> dict:
    """The decision with the confidence's intercept for so many people."""
    if "impostors" not in decision:
        return decision
    return decision | {"intercept": background.intercept_among(decision["intercept"], people)}


def to_similarity(decision: dict) -> float:
    """The threshold as a similarity, of a decision that is `among` its people."""
    p = min(max(decision["threshold"], 1e-12), 1 - 1e-12)
    return float((np.log(p / (1 - p)) - decision["intercept"]) / decision["slope"])
