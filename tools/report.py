#!/usr/bin/env python3
"""Writes what evaluate.py measured as one HTML page that needs nothing but itself."""

from __future__ import annotations

import argparse
import base64
import html
import json
from pathlib import Path

from celebtrainer import card, charts, data, modelfile
from celebtrainer.charts import Histogram, Line
from celebtrainer.failure import Failure, run

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1d2430;background:#f4f5f7;margin:0}
main{max-width:1120px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:26px;margin:0 0 2px}h2{font-size:18px;margin:0 0 10px}
.sub{color:#5b6574;margin:0 0 20px}
section{background:#fff;border:1px solid #e1e4ea;border-radius:10px;padding:18px 20px;margin:16px 0;overflow-x:auto}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px}
.tile{background:#fff;border:1px solid #e1e4ea;border-radius:10px;padding:14px 16px}
.tile b{display:block;font-size:23px}.tile span{color:#5b6574;font-size:13px}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(420px,1fr));gap:16px}.two section{margin:0}
table{border-collapse:collapse;font-size:13px}td,th{padding:3px 9px;text-align:right}
th:first-child{text-align:left;white-space:nowrap;font-weight:500}tr+tr td,tr+tr th{border-top:1px solid #eceef2}
.confusion td{min-width:22px;text-align:center;padding:3px}.confusion .up{height:120px;vertical-align:bottom;padding:0 2px}
.confusion .up span{writing-mode:vertical-rl;transform:rotate(180deg);font-weight:500;white-space:nowrap}
svg{width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:#5b6574}.grid{stroke:#e6e8ee}
.key{margin:4px 0 0 40px;font-size:13px;color:#3b4452}.key i{display:inline-block;width:14px;height:3px;margin:0 6px 4px 0}.key span{margin-right:18px}
.faces{display:flex;flex-wrap:wrap;gap:12px}.faces figure{margin:0;width:124px;font-size:12px;line-height:1.35}
.faces img{width:112px;height:112px;border-radius:6px;display:block;margin-bottom:4px}
.above{margin-top:16px}
.note{color:#5b6574;font-size:13px;margin:8px 0 0}
"""


def percent(value: float) -> str:
    return f"{100 * value:.2f} %"


def tiles(figures: dict, properties: dict) -> str:
    """The main figures."""
    facts = properties["training"]
    shown = [
        (percent(figures["closed_set"]["top1"]), f"top-1, int8, {figures['closed_set']['pictures']} pictures"),
        (percent(figures["float_top1"]), "top-1, float"),
        (percent(figures["true_accepts"]), "named rightly at the model's threshold"),
        (f"{figures['size_bytes'] / 1e6:.2f} MB", "model file"),
        (f"{figures['macs'] / 1e6:.0f} M", "multiply-accumulates a face"),
        (f"{facts['people']}", f"people, {facts['train_pictures']} training pictures"),
    ]  # fmt: skip
    means = figures.get("open_set", {}).get("means", {}).get("1.0% false accepts")
    if means:
        shown.insert(3, (percent(means["true_accepts"]), "named rightly at 1 % false accepts, each stranger left out"))  # fmt: skip
    return '<div class="tiles">' + "".join(
        f'<div class="tile"><b>{value}</b><span>{html.escape(text)}</span></div>'
        for value, text in shown
    ) + "</div>"  # fmt: skip


def learning(history: list[dict]) -> str:
    """Loss and accuracy over the epochs."""
    titles = {"loss": "training loss", "val_loss": "validation loss"}
    losses = [Line(title, [(r["epoch"], r[key]) for r in history])
              for key, title in titles.items() if key in history[0]]  # fmt: skip
    titles = {"accuracy": "training accuracy", "val_accuracy": "validation accuracy"}
    rates = [Line(title, [(r["epoch"], r[key]) for r in history])
             for key, title in titles.items() if key in history[0]]  # fmt: skip
    left = charts.line_chart(losses, "epoch", "loss")
    right = charts.line_chart(rates, "epoch", "accuracy", shares=True)
    return f'<div class="two above"><section><h2>Loss</h2>{left}</section><section><h2>Accuracy</h2>{right}</section></div>'


def strangers(open_set: dict) -> str:
    """Curve, histogram and folds."""
    curve = [(r["false_accepts"], r["true_accepts"]) for r in open_set["curve"]]
    chart = charts.line_chart(
        [Line("all strangers", curve)], "strangers accepted", "gallery named rightly",
        log_x=True, percent="xy",
    )  # fmt: skip
    found = open_set["histogram"]
    groups = [
        Histogram("gallery", found["gallery"]),
        Histogram("strangers, each weighing the same", found["strangers"]),
    ]
    scores = charts.histogram(groups, found["edges"], open_set["threshold"], "similarity")
    return (
        f'<div class="two above"><section><h2>Open-set curve</h2>{chart}</section>'
        f"<section><h2>Similarity to the best person</h2>{scores}</section></div>"
        f'<div class="above">{folds(open_set)}</div>'
    )


def folds(open_set: dict) -> str:
    """A table of the leave-one-stranger-out folds for each rate."""
    parts = []
    for title, rows in open_set["folds"].items():
        body = "".join(
            f"<tr><th>{html.escape(r['stranger'])}</th><td>{r['pictures']}</td>"
            f"<td>{percent(r['true_accepts'])}</td><td>{percent(r['false_accepts'])}</td></tr>"
            for r in rows
        )
        mean = open_set["means"][title]
        body += (
            f"<tr><th><b>mean</b></th><td></td><td><b>{percent(mean['true_accepts'])}</b></td>"
            f"<td><b>{percent(mean['false_accepts'])}</b></td></tr>"
            f"<tr><th>largest</th><td></td><td></td><td>{percent(mean['largest_false_accepts'])}</td></tr>"
        )
        head = "<tr><th>left out</th><th>pictures</th><th>named rightly</th><th>false accepts</th></tr>"
        parts.append(
            f"<section><h2>Threshold for {html.escape(title)}</h2><table>{head}{body}</table></section>"
        )
    return f'<div class="two">{"".join(parts)}</div>'


def faces(rows: list[dict]) -> str:
    """Pictures with who it is, who the model says and how sure it is."""
    figures = []
    for row in rows:
        path = Path(row["path"])
        if not path.is_file():
            raise Failure(f"there is no picture {path}; run evaluate.py again")
        kind = "png" if path.suffix.lower() == ".png" else "jpeg"
        picture = base64.b64encode(path.read_bytes()).decode()
        figures.append(
            f'<figure><img alt="" src="data:image/{kind};base64,{picture}"><b>{html.escape(row["truth"])}</b>'
            f"<br>said: {html.escape(row['said'])}<br>confidence {row['confidence']:.2f}</figure>"
        )
    return f'<div class="faces">{"".join(figures)}</div>' if figures else "<p>None.</p>"


def by_person(rates: dict[str, float]) -> str:
    """Accuracy of each person."""
    rows = sorted(rates.items(), key=lambda item: item[1])
    body = "".join(f"<tr><th>{html.escape(n)}</th><td>{percent(r)}</td></tr>" for n, r in rows)
    return f"<table><tr><th>person</th><th>top-1</th></tr>{body}</table>"


def page(figures: dict, history: list[dict], properties: dict) -> str:
    """The whole page."""
    decision, facts = properties["decision"], properties["training"]
    names = [label["name"] for label in properties["labels"]]
    preset = facts["preset"]
    split = {"test": "test", "val": "validation"}[figures["split"]]
    parts = [
        f"<h1>{html.escape(figures['model'])}</h1>",
        f'<p class="sub">Preset {html.escape(preset["name"])}, {html.escape(preset["backbone"])} at '
        f"{preset['input_px']} px, measured on the {split} pictures. {properties['created']}</p>",
        tiles(figures, properties),
    ]
    if "open_set" in figures:
        parts.append(strangers(figures["open_set"]))
    parts.append(
        '<div class="two above">'
        f"<section><h2>Each person</h2>{by_person(figures['closed_set']['top1_by_person'])}</section>"
        "<section><h2>Threshold</h2>"
        f"<p>Confidence at least {decision['threshold']:.3f}, margin at least {decision['margin']:.3f}.</p>"
        f'<p class="note">{html.escape(decision["calibration"])}</p></section></div>'
    )
    parts.append(learning(history))
    table = charts.confusion_table(figures["closed_set"]["confusion"], names)
    parts.append(
        f'<section><h2>Confusions</h2>{table}<p class="note">Rows: who it is. Columns: who the model says.</p></section>'
    )
    parts.append(f"<section><h2>Worst mistakes</h2>{faces(figures['mistakes'])}</section>")
    parts.append(
        "<section><h2>Wrong decisions nearest to the threshold</h2>"
        f"{faces(figures['wrong_decisions'])}</section>"
    )
    if "nearest_strangers" in figures:
        parts.append(
            f"<section><h2>Strangers most like somebody</h2>{faces(figures['nearest_strangers'])}</section>"
        )
    parts.append(
        f'<p class="note">Weights: {html.escape(properties["source"])}. {html.escape(properties["license"])}</p>'
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(figures['model'])}</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path, help="folder with metrics.json and history.json")
    parser.add_argument("model", type=Path, help="the finished model file")
    parser.add_argument("--out", type=Path, help="default: report.html in the work folder")
    args = parser.parse_args()

    for name in ("metrics.json", "history.json"):
        if not (args.work / name).is_file():
            raise Failure(f"there is no {args.work / name}; run train.py and evaluate.py first")
    figures = json.loads((args.work / "metrics.json").read_text())
    history = json.loads((args.work / "history.json").read_text())
    out = args.out or args.work / "report.html"
    out.write_text(page(figures, history, modelfile.read(modelfile.load(args.model))))
    card.write(args.model, figures, data.manifest(args.work / "data"))
    print(f"wrote {out} and the figures as JSON, {args.work / 'metrics.json'}")


if __name__ == "__main__":
    run(main)
