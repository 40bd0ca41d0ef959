"""The model card: one page of Markdown that goes with a model file."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

from .modelfile import load, read
from .outcome import FEW_PICTURES, of_strangers
from .words import LEFT_OUT, between, counted, percent, probes


def people(rows: list[dict]) -> list[str]:
    """Lines of a table: each person with the pictures of every split."""
    each: dict[str, Counter] = {}
    for row in rows:
        if row["split"] != "unknown":
            key = "left out" if row["dropped"] else row["split"]
            each.setdefault(row["name"], Counter())[key] += 1
    columns = ("train", "val", "test", "left out")
    head = "| person | training | validation | test | left out |\n| --- | --- | --- | --- | --- |"
    return [head] + [
        f"| {cell(name)} | " + " | ".join(str(found[c]) for c in columns) + " |"
        for name, found in sorted(each.items())
    ]


def cell(text: str) -> str:
    """Text inside a table of Markdown."""
    return text.replace("|", "\\|").replace("\n", " ")


def measured(figures: dict) -> list[str]:
    """Lines on how good the model is, with how far each figure can be trusted."""
    closed, named = figures["closed_set"], figures["true_accepts"]
    count = closed["pictures"]
    unseen = "" if figures["split"] == LEFT_OUT else " that training did not see"
    lines = [
        f"On {probes(count, figures['split'])}{unseen}:",
        "",
        f"- {percent(named)} are named, and rightly ({between(round(named * count), count)} "
        "with 95 % confidence);",
        f"- {percent(closed['top1'])} are nearest to the right person "
        f"({between(round(closed['top1'] * count), count)});",
        f"- {of_strangers(figures)}.",
    ]
    if figures["split"] == "val":
        lines += ["", "There were no pictures left for a test: the threshold has seen these."]
    if count < FEW_PICTURES:
        lines += ["", "So few pictures give a rough idea only."]
    return lines


def strangers(count: int) -> list[str]:
    """Lines on the strangers whom the file keeps."""
    if not count:
        return []
    return ["", f"So it is with {counted(count, 'stranger')} of unknown/, each kept as a row of numbers to be told from them."]  # fmt: skip


def write(model: Path, figures: dict, rows: list[dict]) -> Path:
    """Writes the card beside the model, as <name of the file>.md; `rows` are the manifest's."""
    properties = read(load(model))
    facts, decision = properties["training"], properties["decision"]
    preset = facts["preset"]
    lines = [
        f"# {model.name}",
        "",
        f"Names {counted(facts['people'], 'person', 'people')} in photos and before a camera, or "
        "says that a face is none of them.",
        "",
        "| | |",
        "| --- | --- |",
        f"| Network | {preset['backbone']} at {preset['input_px']}x{preset['input_px']}, "
        f"{figures['macs'] / 1e6:.0f} M multiply-accumulates a face |",
        f"| File | {figures['size_bytes'] / 1e6:.2f} MB, int8, sha256 "
        f"{hashlib.sha256(model.read_bytes()).hexdigest()} |",
        f"| Made | {properties['created']}, by {properties['trainer']} |",
        f"| Weights it began with | {cell(properties['source'])} |",
        f"| Licence of those | {cell(properties['license'])} |",
        f"| Threshold | {cell(decision['calibration'])} |",
        "",
        "## Who is in it",
        "",
        *people(rows),
        "",
        "## How good it is",
        "",
        *measured(figures),
        "",
        "## Limits",
        "",
        "It knows faces as they are on the pictures it was trained on: other ages, profiles, poor",
        "light and small faces are named less often than the figures say. Twins and look-alikes of",
        "the people in it may get their names. It is made of pictures of people: give it to others",
        "only if those people, and who took the pictures, agree.",
        *strangers(facts.get("strangers", 0)),
        "",
        "## Make it again",
        "",
        f"    make train DATA=<the pictures> OUT={model.name} PRESET={preset['name']} "
        f"BACKBONE={preset['backbone']} WEIGHTS={preset['weights']}",
        "",
        f"The same pictures give the same model, but for its date. Use it: "
        f"`celebcam identify --model {model.name} photo.jpg`.",
    ]
    path = model.with_name(f"{model.name}.md")
    path.write_text("\n".join(lines) + "\n")
    return path
