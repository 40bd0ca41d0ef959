"""Pictures inside a page: small copies with lines of text under each."""

from __future__ import annotations

import base64
import html
import io
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

SIDE_PX = 160


@dataclass(frozen=True)
class Shown:
    """A picture of a page: the file it is made of, the file it is called by, what is said of it."""

    picture: Path
    source: str
    lines: tuple[str, ...]


def small(path: Path) -> str:
    """A small copy as a data URI; empty for what is no picture."""
    try:
        with warnings.catch_warnings(), Image.open(path) as picture:
            warnings.simplefilter("ignore")
            picture.draft("RGB", (2 * SIDE_PX, 2 * SIDE_PX))
            copy = ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return ""
    copy.thumbnail((SIDE_PX, SIDE_PX))
    file = io.BytesIO()
    copy.save(file, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def grid(shown: list[Shown], most: int) -> str:
    """Pictures side by side, each with its path; those beyond `most` by their paths alone."""
    figures = []
    for item in shown[:most]:
        data = small(item.picture)
        image = f'<img alt="" src="{data}">' if data else '<i class="no">no picture</i>'
        lines = "".join(f"<br>{html.escape(line)}" for line in item.lines)
        figures.append(f"<figure>{image}<code>{html.escape(item.source)}</code>{lines}</figure>")
    rest = "".join(f"<li>{html.escape(item.source)}</li>" for item in shown[most:])
    more = f"<details><summary>{len(shown) - most} more</summary><ul>{rest}</ul></details>"
    return f'<div class="faces">{"".join(figures)}</div>' + (more if rest else "")


class Names:
    """Finds the user's picture behind a crop, and calls pictures by where they lie in DATA."""

    def __init__(self, data: Path, rows: list[dict[str, str]]):
        self.sources = {str(data / row["path"]): row["source"] for row in rows if row["path"]}
        folders = [os.path.dirname(row["source"]) for row in rows]
        self.root = os.path.commonpath(folders) if folders else ""
        if folders and len(set(folders)) == 1:  # One folder of one person: keep its name.
            self.root = os.path.dirname(self.root)

    def __call__(self, path: str) -> str:
        """What to call a crop or a picture."""
        source = self.sources.get(str(path), str(path))
        inside = self.root and source.startswith(self.root + os.sep)
        return os.path.relpath(source, self.root) if inside else source
