#!/usr/bin/env python3
"""Writes what was found in the pictures and what evaluate.py measured as one HTML page.

The page needs nothing but itself. It begins with what helps to clean the pictures: those that may
show somebody else, and those that were left out. Without a model it shows the pictures alone.
"""

from __future__ import annotations

import argparse
import html
import json
from collections import defaultdict
from pathlib import Path

from celebtrainer import card, charts, data, modelfile
from celebtrainer.charts import Histogram, Line
from celebtrainer.failure import Failure, run
from celebtrainer.pictures import Names, Shown, grid
from celebtrainer.words import LEFT_OUT, between, counted, percent, probes

# Pictures shown of one kind; the others are named.
MOST = 48
# More people than this make a table of confusions that nobody reads.
MOST_IN_TABLE = 30
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1d2430;background:#f4f5f7;margin:0}
main{max-width:1120px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:26px;margin:0 0 2px;overflow-wrap:anywhere}h2{font-size:18px;margin:0 0 10px}
h3{font-size:15px;margin:18px 0 8px}
.sub{color:#5b6574;margin:0 0 20px;overflow-wrap:anywhere}
section{background:#fff;border:1px solid #e1e4ea;border-radius:10px;padding:18px 20px;margin:16px 0;overflow-x:auto}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px}
.tile{background:#fff;border:1px solid #e1e4ea;border-radius:10px;padding:14px 16px}
.tile b{display:block;font-size:23px}.tile span{color:#5b6574;font-size:13px}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(420px,100%),1fr));gap:16px;margin:16px 0}
.two section{margin:0;min-width:0}
table{border-collapse:collapse;font-size:13px}td,th{padding:3px 9px;text-align:right}td{white-space:nowrap}
th:first-child{text-align:left;font-weight:500}tr+tr td,tr+tr th{border-top:1px solid #eceef2}
.confusion td{min-width:22px;text-align:center;padding:3px}.confusion .up{height:120px;vertical-align:bottom;padding:0 2px}
.confusion th:first-child{white-space:nowrap}
.confusion .up span{writing-mode:vertical-rl;transform:rotate(180deg);font-weight:500;white-space:nowrap}
svg{width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:#5b6574}.grid{stroke:#e6e8ee}
.key{margin:4px 0 0 40px;font-size:13px;color:#3b4452}.key i{display:inline-block;width:14px;height:3px;margin:0 6px 4px 0}.key span{margin-right:18px}
.faces{display:grid;grid-template-columns:repeat(auto-fill,minmax(120px,1fr));gap:14px 12px}
.faces figure{margin:0;font-size:12px;line-height:1.35;overflow-wrap:anywhere}
.faces img,.no{width:112px;height:112px;border-radius:6px;display:block;margin-bottom:4px;object-fit:contain;background:#eceef2}
.faces .no{height:28px;line-height:28px;text-align:center;color:#8a93a1}
code{font:12px ui-monospace,monospace;color:#3b4452}ul{font-size:12px;overflow-wrap:anywhere}
.bad{color:#a8321a}.note{color:#5b6574;font-size:13px;margin:8px 0 0}
@media(max-width:480px){td,th{padding:3px 5px}main{padding:16px 10px 40px}section{padding:14px 12px}
.tiles{grid-template-columns:1fr 1fr;gap:8px}.tile b{font-size:19px}
.faces{grid-template-columns:repeat(auto-fill,minmax(100px,1fr))}.faces img,.no{width:100px;height:100px}}
"""


def section(title: str, body: str, note: str = "") -> str:
    """A part of the page, left out when there is nothing in it."""
    if not body:
        return ""
    under = f'<p class="note">{html.escape(note)}</p>' if note else ""
    return f"<section><h2>{html.escape(title)}</h2>{body}{under}</section>"


def two(*sections: str) -> str:
    """Parts beside each other where there is room."""
    kept = "".join(sections)
    return f'<div class="two">{kept}</div>' if kept else ""


def tiles(figures: dict, properties: dict) -> str:
    """The main figures."""
    facts, closed = properties["training"], figures["closed_set"]
    count, named = closed["pictures"], figures["true_accepts"]
    shown = [
        (percent(named), "named rightly at the model's threshold "
         f"({between(round(named * count), count)} of {counted(count, 'picture')})"),
        (percent(closed["top1"]), "nearest to the right person "
         f"({between(round(closed['top1'] * count), count)})"),
        (f"{facts['people']}", f"people, {counted(facts['train_pictures'], 'training picture')}"),
        (f"{figures['size_bytes'] / 1e6:.2f} MB", "model file"),
        (f"{figures['macs'] / 1e6:.0f} M", "multiply-accumulates a face"),
    ]  # fmt: skip
    if figures["float_top1"] is not None:
        shown.insert(2, (percent(figures["float_top1"]), "the same before rounding to int8"))
    means = figures.get("open_set", {}).get("means", {}).get("1.0% false accepts")
    if means:
        shown.insert(3, (percent(means["true_accepts"]), "named rightly at 1 % false accepts, each stranger left out"))  # fmt: skip
    return '<div class="tiles">' + "".join(
        f'<div class="tile"><b>{value}</b><span>{html.escape(text)}</span></div>'
        for value, text in shown
    ) + "</div>"  # fmt: skip


def suspects(rows: list[dict], figures: dict, work: Path, names: Names) -> str:
    """Pictures that may lie in the wrong folder."""
    doubted = sorted((row for row in rows if row["path"] and row["doubt"]),
                     key=lambda row: float(row["fit"]))  # fmt: skip
    shown = [
        Shown(work / "data" / row["path"], names(row["source"]),
              (f"likeness {float(row['fit']):.2f}",)) for row in doubted
    ]  # fmt: skip
    shown += [
        Shown(Path(row["path"]), names(row["path"]),
              (f"looks like {row['said']}", f"confidence {row['confidence']:.2f}"))
        for row in figures.get("mistakes", [])
    ]  # fmt: skip
    return section(
        "Look at these first",
        grid(shown, MOST) if shown else "",
        "They are in use and may show somebody else: hardly like the other pictures of their "
        "folder, or taken for another person by the model. Take out those that are wrong and "
        "train again.",
    )


def left_out(rows: list[dict], names: Names) -> str:
    """What was left out, by the reason."""
    kinds = defaultdict(list)
    for row in rows:
        if row["dropped"]:
            why, _, what = row["dropped"].partition(": ")
            lines = (what,) if what else ()
            kinds[why].append(Shown(Path(row["source"]), names(row["source"]), lines))
    parts = [
        f"<h3>{html.escape(why[:1].upper() + why[1:])} ({len(shown)})</h3>"
        + grid(sorted(shown, key=lambda item: item.lines), MOST)
        for why, shown in sorted(kinds.items(), key=lambda pair: -len(pair[1]))
    ]
    return section("Left out", "".join(parts))


def pictures_table(rows: list[dict]) -> str:
    """How many pictures of each person are used, and for what."""
    each: dict[str, defaultdict] = {}
    for row in rows:
        kind = row["split"] if row["path"] else "left out"
        who = "strangers" if row["split"] == "unknown" else row["name"]
        if who:
            each.setdefault(who, defaultdict(int))[kind] += 1
    titles = {"train": "training", "val": "validation", "test": "test", "unknown": "strangers",
              "left out": "left out"}  # fmt: skip
    used = [key for key in titles if any(found[key] for found in each.values())]
    head = "".join(f"<th>{titles[key]}</th>" for key in used)
    body = "".join(
        f"<tr><th>{html.escape(who)}</th>"
        + "".join(f"<td>{found[key] or ''}</td>" for key in used)
        + "</tr>"
        for who, found in sorted(each.items(), key=lambda pair: (pair[0] == "strangers", pair[0]))
    )
    table = f"<table><tr><th>person</th>{head}</tr>{body}</table>" if each else ""
    return section("Pictures", table)


def answers(figures: dict, names: Names) -> str:
    """Pictures that training did not see, with what the model says of each."""
    shown = [
        Shown(Path(row["path"]), names(row["path"]), (
            f"is {row['truth']}", f"said: {row['said']}", f"confidence {row['confidence']:.2f}"))
        for row in figures.get("answers", [])
    ]  # fmt: skip
    note = "Spread over the people; training did not see them."
    if figures["split"] == LEFT_OUT:
        note = "Spread over the people; each is compared with the others of its person."
    return section("What is said of pictures", grid(shown, MOST) if shown else "", note)


def by_person(closed: dict, people: list[str]) -> str:
    """Accuracy of each person, with what so few pictures can say."""
    rows = []
    for index, (name, counts) in enumerate(zip(people, closed["confusion"], strict=True)):
        if total := sum(counts):
            rows.append((counts[index] / total, name, counts[index], total))
    body = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{hits} of {total}</td><td>{percent(share)}</td>"
        f"<td>{between(hits, total)}</td></tr>"
        for share, name, hits, total in sorted(rows)
    )
    head = "<tr><th>person</th><th>nearest right</th><th></th><th>95 % interval</th></tr>"
    return section("Each person", f"<table>{head}{body}</table>" if rows else "")


def strangers(figures: dict) -> str:
    """How strangers fare: the curve, the similarities and the folds; or people left out."""
    open_set = figures.get("open_set")
    if not open_set:
        return two(stranger_table(
            "People left out as strangers", figures.get("left_out", []),
            "Each person's pictures shown to a model that was made without them; there were no "
            "other strangers to look at.",
        ))  # fmt: skip
    curve = [(row["false_accepts"], row["true_accepts"]) for row in open_set["curve"]]
    chart = scores = ""
    if len({x for x, _ in curve}) > 2:
        chart = charts.line_chart([Line("all strangers", curve)], "strangers accepted",
                                  "gallery named rightly", log_x=True, percent="xy")  # fmt: skip
    if found := open_set.get("histogram"):
        groups = [Histogram("gallery, right answers", found["gallery"]),
                  Histogram("strangers, each weighing the same", found["strangers"])]  # fmt: skip
        scores = charts.histogram(groups, found["edges"], open_set["threshold"], "similarity")
    folds = [
        stranger_table(
            f"Threshold for {title}", rows, "Set without the stranger it is measured on."
        )
        for title, rows in open_set.get("folds", {}).items()
    ] or [
        stranger_table(
            "Strangers",
            figures.get("strangers", []),
            "As strangers fare whom the model has not seen; these it tells from its people.",
        )
    ]
    return two(section("Open-set curve", chart), section("Similarity to the best person", scores)) + two(*folds)  # fmt: skip


def stranger_table(title: str, rows: list[dict], note: str) -> str:
    """How many pictures of each stranger got a name."""
    lines = []
    for row in sorted(rows, key=lambda row: -row["false_accepts"])[:MOST]:
        named = round(row["false_accepts"] * row["pictures"])
        rightly = f"<td>{percent(row['true_accepts'])}</td>" if "true_accepts" in row else ""
        lines.append(
            f"<tr><th>{html.escape(row['stranger'])}</th><td>{named} of {row['pictures']}</td>"
            f"<td>{between(named, row['pictures'])}</td>{rightly}</tr>"
        )
    rightly = "<th>gallery named rightly</th>" if rows and "true_accepts" in rows[0] else ""
    head = f"<tr><th>stranger</th><th>got a name</th><th>95 % interval</th>{rightly}</tr>"
    return section(title, f"<table>{head}{''.join(lines)}</table>" if lines else "", note)


def learning(history: list[dict]) -> str:
    """Loss and accuracy over the epochs."""
    parts = []
    for title, keys in (
        ("loss", {"loss": "training loss", "val_loss": "validation loss"}),
        ("accuracy", {"accuracy": "training accuracy", "val_accuracy": "validation accuracy"}),
    ):
        lines = [Line(name, [(row["epoch"], row[key]) for row in history])
                 for key, name in keys.items() if history and key in history[0]]  # fmt: skip
        chart = ""
        if lines and len(history) > 1:
            chart = charts.line_chart(lines, "epoch", title, shares=title == "accuracy")
        parts.append(section(title.capitalize(), chart))
    return two(*parts)


def confusions(table: list[list[int]], people: list[str]) -> str:
    """Who is taken for whom: a table, or for many people a list."""
    if 1 < len(people) <= MOST_IN_TABLE:
        return section("Confusions", charts.confusion_table(table, people),
                       "Rows: who it is. Columns: who the model says.")  # fmt: skip
    pairs = [(count, people[i], people[j]) for i, row in enumerate(table)
             for j, count in enumerate(row) if i != j and count]  # fmt: skip
    body = "".join(
        f"<tr><th>{html.escape(who)}</th><td>{html.escape(said)}</td><td>{count}</td></tr>"
        for count, who, said in sorted(pairs, reverse=True)[:MOST]
    )
    head = "<tr><th>who it is</th><th>who the model says</th><th>pictures</th></tr>"
    return section("Confusions", f"<table>{head}{body}</table>" if body else "")


def faces(rows: list[dict], names: Names) -> str:
    """Pictures with who it is, who the model says and how sure it is."""
    shown = [
        Shown(Path(row["path"]), names(row["path"]), (
            row["truth"], f"said: {row['said']}", f"confidence {row['confidence']:.2f}"))
        for row in rows
    ]  # fmt: skip
    return grid(shown, MOST) if shown else ""


def of_model(figures: dict, history: list[dict], properties: dict, names: Names) -> str:
    """What was measured of the model."""
    decision = properties["decision"]
    people = [label["name"] for label in properties["labels"]]
    threshold = section("Threshold", "<p>" + html.escape(decision["calibration"]) + "</p>")
    return "".join([
        answers(figures, names),
        two(by_person(figures["closed_set"], people), threshold),
        section("Wrong decisions nearest to the threshold",
                faces(figures.get("wrong_decisions", []), names)),
        section("Strangers most like somebody", faces(figures.get("nearest_strangers", []), names)),
        strangers(figures),
        confusions(figures["closed_set"]["confusion"], people),
        learning(history),
        f'<p class="note">Weights: {html.escape(properties["source"])}. {html.escape(properties["license"])}</p>',
    ])  # fmt: skip


def page(work: Path, figures: dict, history: list[dict], properties: dict) -> str:
    """The whole page; without figures that of the pictures alone."""
    rows = data.manifest(work / "data")
    names = Names(work / "data", rows)
    where = f"Paths are below {names.root}." if names.root else ""
    if figures:
        preset = properties["training"]["preset"]
        title = figures["model"]
        about = (f"Preset {preset['name']}, {preset['backbone']} at {preset['input_px']} px, "
                 f"measured on {probes(figures['closed_set']['pictures'], figures['split'])}. {properties['created']}. {where}")  # fmt: skip
        top, rest = tiles(figures, properties), of_model(figures, history, properties, names)
    else:
        used = sum(bool(row["path"]) for row in rows)
        title = "Pictures to train on"
        about = f"{counted(len(rows), 'file')}, {used} can be used. {where}"
        top = rest = ""
    parts = [f"<h1>{html.escape(title)}</h1>", f'<p class="sub">{html.escape(about)}</p>', top,
             suspects(rows, figures, work, names), left_out(rows, names), pictures_table(rows), rest]  # fmt: skip
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path, help="folder with data/, metrics.json and history.json")
    parser.add_argument("model", type=Path, nargs="?", help="the finished model file; without it the page shows the pictures alone")  # fmt: skip
    parser.add_argument("--out", type=Path, help="default: report.html in the work folder")
    args = parser.parse_args()

    figures, history, properties = {}, [], {}
    if args.model:
        for name in ("metrics.json", "history.json"):
            if not (args.work / name).is_file():
                raise Failure(f"there is no {args.work / name}; run train.py and evaluate.py first")
        figures = json.loads((args.work / "metrics.json").read_text())
        history = json.loads((args.work / "history.json").read_text())
        properties = modelfile.read(modelfile.load(args.model))
        card.write(args.model, figures, data.manifest(args.work / "data"))
    elif not data.manifest(args.work / "data"):
        raise Failure(f"there are no pictures in {args.work / 'data'}; run prepare.py first")
    out = args.out or args.work / "report.html"
    out.write_text(page(args.work, figures, history, properties), encoding="utf-8")
    print(f"wrote {out}")


if __name__ == "__main__":
    run(main)
