"""`python -m finml_console`: the REST API, with the settings of the environment."""

from __future__ import annotations

import sys

from finml_models.core.errors import FinmlError

from .serve import serve
from .settings import load


def main() -> int:
    """Serve; returns the exit code, 2 with one line on stderr when the settings or the ledger do not let it start."""
    try:
        serve(load())
    except FinmlError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
