"""What was trained on whom, as the steps after the training need it: description.json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from . import resume
from .failure import Failure
from .preset import Preset, from_dict

FILE = "description.json"


@dataclass(frozen=True)
class Description:
    """The preset, the people in the order of the logits, and facts for the model file.

    `left_out_scores` among the facts are no such: each person's similarities, as a stranger.
    """

    preset: Preset
    names: list[str]
    facts: dict

    def write(self, work: Path) -> None:
        """Writes it into the work folder."""
        content = {"preset": self.preset.as_dict(), "names": self.names, "facts": self.facts}
        resume.replace(work / FILE, json.dumps(content, ensure_ascii=False).encode())

    @classmethod
    def read(cls, work: Path) -> Description:
        """Reads what `write` wrote."""
        if not (work / FILE).is_file():
            raise Failure(f"there is no {work / FILE}; run train.py first")
        content = json.loads((work / FILE).read_text())
        return cls(from_dict(content["preset"]), content["names"], content["facts"])

    @property
    def left_out(self) -> dict[str, list[float]]:
        """Each person's similarities to a model without them, by name."""
        return self.facts.get("left_out_scores", {})
