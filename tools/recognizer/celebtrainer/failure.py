"""An error that the user can mend: its text says what is wrong and what to do."""

from __future__ import annotations

import sys
from collections.abc import Callable

# What a shell says of a program that was stopped by Ctrl-C.
INTERRUPTED = 130


class Failure(Exception):
    """Ends a step with one sentence instead of a traceback."""


def run(main: Callable[[], None]) -> None:
    """Runs a step: a Failure becomes one line on standard error and exit code 1.

    So do files that cannot be read or written, and Ctrl-C with exit code 130.
    """
    try:
        main()
    except Failure as failure:
        print(f"error: {failure}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        if error.filename is None:
            raise
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)
