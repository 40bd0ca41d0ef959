"""What came of a training run, in one line for whoever waited for it.

Read from metrics.json, where evaluate.py leaves `true_accepts`, `split` and `closed_set`, and, if
it measured them, `enrolled_true_accepts` (the same pictures with the people enrolled instead) and
`false_accepts` (the share of strangers that the threshold is made for, none where it is not known).
"""

from __future__ import annotations

import json
from pathlib import Path

from .words import between, counted, percent, probes

# Below this share of people named, a model disappoints.
POOR = 0.8
# Fewer pictures than this leave open what holds.
FEW_PICTURES = 30


def last_line(model: Path, work: Path) -> str:
    """The path, the share of pictures that gets a name, and what is promised of strangers."""
    figures = json.loads((work / "metrics.json").read_text())
    count = figures["closed_set"]["pictures"]
    share = figures["true_accepts"]
    line = (
        f"{model}: names {percent(share)} of these people's pictures "
        f"({between(round(share * count), count)}, from {probes(count, figures['split'])}); {of_strangers(figures)}."
    )
    return " ".join([line, *warnings(figures, work / "report.html")])


def of_strangers(figures: dict) -> str:
    """What is promised of strangers."""
    if figures["false_accepts"] is None:
        return "how many strangers it names is not known"
    return f"it names at most {percent(figures['false_accepts'])} of strangers"


def checked(source: Path, work: Path) -> str:
    """What came of a look at the pictures."""
    from .data import manifest  # Arguments are checked before there is the numpy it needs.

    rows = manifest(work / "data")
    used = sum(bool(row["path"]) for row in rows)
    doubted = sum(bool(row["path"] and row["doubt"]) for row in rows)
    return (
        f"{source}: {used} of {counted(len(rows), 'file')} can be used, {doubted} of them should be "
        f"looked at; {work / 'report.html'} shows those and what was left out"
    )


def warnings(figures: dict, report: Path) -> list[str]:
    """What speaks against using the model."""
    found, share = [], figures["true_accepts"]
    if figures["false_accepts"] is None:
        from .openset import (
            LEAST_PEOPLE,
        )  # Arguments are checked before there is the numpy it needs.

        found.append(
            f"WARNING: put pictures of {LEAST_PEOPLE} strangers or more into unknown/, or take "
            "PRESET=default, which needs none."
        )
    if figures.get("enrolled_true_accepts", 0) > share:
        enrolled = percent(figures["enrolled_true_accepts"])
        found.append(
            f"WARNING: `celebcam enroll` with the same photos does better ({enrolled}): use that."
        )
    elif share < POOR:
        found.append(
            "WARNING: that is poor; more and clearer pictures of each person help most, and "
            f"{report} shows which ones are not recognized."
        )
    elif figures["closed_set"]["pictures"] < FEW_PICTURES:
        found.append("With so few pictures that is a rough figure.")
    return found
