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


@dataclass(frozen=True)
class Histogram:
    """One group of a histogram: the share of it in each bin."""

    title: str
    shares: Sequence[float]


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round values that cover a range."""
    span = (high - low) or 1
    step = 10 ** math.floor(math.log10(span / count))
    step = next(step * m for m in (1, 2, 5, 10) if span / (step * m) <= count)
    return [
        step * k for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    ]


@dataclass(frozen=True)
class Axes:
    """The ranges of a chart; `log_x` gives the x axis decades."""

    x: tuple[float, float]
    y: tuple[float, float]
    log_x: bool = False

    def across(self, x: float) -> float:
        """Pixels from the left."""
        low, high, value = map(math.log10 if self.log_x else float, (*self.x, x))
        return LEFT + (value - low) / ((high - low) or 1) * (WIDTH - LEFT - RIGHT)

    def down(self, y: float) -> float:
        """Pixels from the top."""
        low, high = self.y
        return HEIGHT - BOTTOM - (y - low) / ((high - low) or 1) * (HEIGHT - TOP - BOTTOM)

    def draw(self, x_title: str, y_title: str, percent: str = "") -> str:
        """Grid, numbers and titles; the axes in `percent` have theirs in percents."""
        parts = []
        for y in ticks(*self.y):
            at = self.down(y)
            parts.append(
                f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
                f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{_number(y, "y" in percent)}</text>'
            )
        for x in _x_ticks(*self.x, self.log_x):
            at = self.across(x)
            parts.append(
                f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
                f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{_number(x, "x" in percent)}</text>'
            )
        parts.append(
            f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{html.escape(x_title)}</text>'
            f'<text transform="translate(14 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">{html.escape(y_title)}</text>'
        )
        return "".join(parts)


def line_chart(
    lines: list[Line],
    x_title: str,
    y_title: str,
    log_x: bool = False,
    percent: str = "",
    shares: bool = False,
) -> str:
    """A line chart; `shares` says that no value on the y axis is above 1."""
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    pad = (max(ys) - min(ys)) * 0.06 or 0.01
    high = max(ys) + pad
    axes = Axes(
        (min(xs), max(xs)), (min(ys) - pad, min(high, 1.0) if shares or percent else high), log_x
    )
    parts = [axes.draw(x_title, y_title, percent)]
    for line, color in zip(lines, COLORS, strict=False):
        path = " ".join(f"{axes.across(x):.1f},{axes.down(y):.1f}" for x, y in line.points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2.2"/>')
    return _chart("".join(parts), [line.title for line in lines])


def histogram(groups: list[Histogram], edges: Sequence[float], mark: float, x_title: str) -> str:
    """Shares of groups over the bins between `edges`, and an upright line at `mark`."""
    high = max(share for group in groups for share in group.shares)
    axes = Axes((edges[0], edges[-1]), (0.0, 1.05 * high or 1.0))
    parts = [axes.draw(x_title, "share of pictures", "y")]
    for group, color in zip(groups, COLORS, strict=False):
        corners = [(edges[0], 0.0)]
        for share, left, right in zip(group.shares, edges, edges[1:], strict=False):
            corners += [(left, share), (right, share)]
        corners.append((edges[-1], 0.0))
        path = " ".join(f"{axes.across(x):.1f},{axes.down(y):.1f}" for x, y in corners)
        parts.append(
            f'<polygon points="{path}" fill="{color}" fill-opacity="0.25" stroke="{color}"/>'
        )
    at = axes.across(min(max(mark, edges[0]), edges[-1]))
    parts.append(
        f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#1d2430" stroke-dasharray="5 4"/>'
        f'<text x="{at + 5:.1f}" y="{TOP + 12}">threshold</text>'
    )
    return _chart("".join(parts), [group.title for group in groups])


def _chart(drawing: str, titles: list[str]) -> str:
    key = "".join(
        f'<span><i style="background:{color}"></i>{html.escape(title)}</span>'
        for title, color in zip(titles, COLORS, strict=False)
    )
    picture = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{drawing}</svg>'
    return f'{picture}<p class="key">{key}</p>'


def _number(value: float, percent: bool) -> str:
    return f"{100 * value:.4g} %" if percent else f"{value:.4g}"


def _x_ticks(low: float, high: float, log_x: bool) -> list[float]:
    if not log_x:
        return [t for t in ticks(low, high, 8) if abs(t - round(t)) < 1e-9 or high - low < 4]
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = [m * 10.0**e for e in decades for m in (1, 3)]
    return [v for v in values if low * (1 - 1e-9) <= v <= high * (1 + 1e-9)]


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
