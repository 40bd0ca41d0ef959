"""Charts for the report, as SVG text: line charts and a confusion table. No scripts, no fonts."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

COLORS = ("#2457a6", "#c2571a", "#2b7a4b", "#7a4fa3")
WIDTH, HEIGHT = 520, 300
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 14, 46


@dataclass(frozen=True)
class Line:
    """One line of a chart."""

    title: str
    points: Sequence[tuple[float, float]]


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round values that cover a range."""
    span = (high - low) or 1
    step = 10 ** math.floor(math.log10(span / count))
    step = next(step * m for m in (1, 2, 5, 10) if span / (step * m) <= count)
    return [
        step * k for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    ]


def line_chart(
    lines: list[Line],
    x_title: str,
    y_title: str,
    log_x: bool = False,
    percent: bool = False,
    shares: bool = False,
) -> str:
    """A line chart; `log_x` gives the x axis decades, `percent` prints both axes as percents.

    `shares` says that no value is above 1.
    """
    warp = math.log10 if log_x else float
    xs = [warp(x) for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    x_low, x_high, y_low, y_high = min(xs), max(xs), min(ys), max(ys)
    pad = (y_high - y_low) * 0.06 or 0.01
    y_low, y_high = y_low - pad, y_high + pad
    if shares or percent:
        y_high = min(y_high, 1.0)

    def place(x: float, y: float) -> tuple[float, float]:
        across = (warp(x) - x_low) / ((x_high - x_low) or 1)
        up = (y - y_low) / ((y_high - y_low) or 1)
        return (
            LEFT + across * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM),
        )

    def number(value: float) -> str:
        return f"{100 * value:.4g} %" if percent else f"{value:.4g}"

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">']
    for y in ticks(y_low, y_high):
        _, at = place(lines[0].points[0][0], y)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        )
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{number(y)}</text>')
    for x in _x_ticks(x_low, x_high, log_x):
        at, _ = place(x, y_low)
        text = number(x) if log_x else f"{x:g}"
        parts.append(
            f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        )
        parts.append(
            f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{text}</text>'
        )
    for line, color in zip(lines, COLORS, strict=False):
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in (place(x, y) for x, y in line.points))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2.2"/>')
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{html.escape(x_title)}</text>'
    )
    parts.append(
        f'<text transform="translate(14 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">{html.escape(y_title)}</text></svg>'
    )
    key = "".join(
        f'<span><i style="background:{color}"></i>{html.escape(line.title)}</span>'
        for line, color in zip(lines, COLORS, strict=False)
    )
    return "".join(parts) + f'<p class="key">{key}</p>'


def _x_ticks(low: float, high: float, log_x: bool) -> list[float]:
    if not log_x:
        return [t for t in ticks(low, high, 8) if abs(t - round(t)) < 1e-9 or high - low < 4]
    values = [m * 10.0**e for e in range(math.floor(low), math.ceil(high) + 1) for m in (1, 3)]
    return [v for v in values if low - 1e-9 <= math.log10(v) <= high + 1e-9]


def confusion_table(table: list[list[int]], names: list[str]) -> str:
    """Rows: who it is; columns: who the model says. The diagonal is tinted by accuracy."""
    head = "".join(f'<th class="up"><span>{html.escape(n)}</span></th>' for n in names)
    rows = []
    for i, (name, row) in enumerate(zip(names, table, strict=True)):
        total = sum(row) or 1
        cells = "".join(_cell(count, i == j, count / total) for j, count in enumerate(row))
        rows.append(f"<tr><th>{html.escape(name)}</th>{cells}</tr>")
    return f'<table class="confusion"><tr><th></th>{head}</tr>{"".join(rows)}</table>'


def _cell(count: int, diagonal: bool, share: float) -> str:
    if not count:
        return "<td></td>"
    color = "36,87,166" if diagonal else "194,60,26"
    alpha = 0.12 + 0.45 * share if diagonal else min(0.9, 0.25 + 4 * share)
    return f'<td style="background:rgba({color},{alpha:.2f})">{count}</td>'
