"""Figures in words: shares, counts, and how far a share from few pictures can be trusted."""

from __future__ import annotations

import math

# What a model was measured on: a split's name, or every picture, left out of its person in turn.
LEFT_OUT = "left_out"
# Of a normal distribution, 95 % lies within so many standard deviations.
Z = 1.96


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson, "Probable inference", 1927); 0 to 1 of nothing."""
    if count == 0:
        return 0.0, 1.0
    share, square = hits / count, Z * Z / count
    middle = (share + square / 2) / (1 + square)
    half = Z / (1 + square) * math.sqrt(share * (1 - share) / count + square / (4 * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def percent(share: float) -> str:
    """93.4 %, 0.02 %: as many digits as say something."""
    value = 100 * share
    digits = 0 if value in (0, 100) else 1 if value >= 1 else 2 if value >= 0.1 else 3
    return f"{value:.{digits}f} %"


def between(hits: int, count: int) -> str:
    """The interval of a share: 89 to 96 %."""
    low, high = wilson(hits, count)
    return f"{100 * low:.0f} to {100 * high:.0f} %"


def counted(count: int, one: str, many: str = "") -> str:
    """1 picture, 2 pictures."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def probes(count: int, split: str) -> str:
    """The pictures that a model was measured on: 17 test pictures."""
    if split == LEFT_OUT:
        return f"{counted(count, 'picture')}, each left out in turn"
    return counted(count, {"test": "test picture", "val": "validation picture"}[split])


def some(items: list[str], most: int = 3) -> str:
    """The first few of a list, and how many more there are."""
    rest = len(items) - most
    return ", ".join(items[:most]) + (f" and {rest:,} more" if rest > 0 else "")
