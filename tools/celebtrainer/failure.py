"""An error that the user can mend: its text says what is wrong and what to do."""

from __future__ import annotations

import sys
from collections.abc import Callable


class Failure(Exception):
    """Ends a step with one sentence instead of a traceback."""


def run(main: Callable[[], None]) -> None:
    """Runs a step; a Failure becomes one line on standard error and exit code 1."""
    try:
        main()
    except Failure as failure:
        print(f"error: {failure}", file=sys.stderr)
        sys.exit(1)
