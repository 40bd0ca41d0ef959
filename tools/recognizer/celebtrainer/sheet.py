"""A contact sheet: pictures with who they show and what was said of each, as one HTML page."""

from __future__ import annotations

import base64
import html
from dataclasses import dataclass
from pathlib import Path

STYLE = """
body{font:14px/1.35 system-ui,sans-serif;margin:16px;color:#1d2430}
main{display:flex;flex-wrap:wrap;gap:14px}figure{margin:0;width:124px}
img{width:112px;height:112px;border-radius:6px;display:block;margin-bottom:4px}
.wrong img{outline:4px solid #c9372c}.wrong figcaption b{color:#c9372c}
"""


@dataclass(frozen=True)
class Said:
    """A picture, who it shows, who the network says, how probably, and whether that is a name."""

    path: Path
    truth: str
    said: str
    probability: float
    named: bool = True


def page(title: str, rows: list[Said]) -> str:
    """The whole page; it needs nothing but itself."""
    figures = []
    for row in rows:
        suffix = row.path.suffix.lower().removeprefix(".")
        kind = suffix if suffix in ("png", "webp", "bmp") else "jpeg"
        picture = base64.b64encode(row.path.read_bytes()).decode()
        unsure = "" if row.named else "<br>below the threshold"
        state = "right" if row.said == row.truth else "wrong"
        figures.append(
            f'<figure class="{state}"><img alt="" src="data:image/{kind};base64,{picture}">'
            f"<figcaption>{html.escape(row.truth)}<br>said: <b>{html.escape(row.said)}</b>"
            f"<br>{row.probability:.1%}{unsure}</figcaption></figure>"
        )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head><body>"
        f"<h1>{html.escape(title)}</h1><main>{''.join(figures)}</main></body></html>"
    )
