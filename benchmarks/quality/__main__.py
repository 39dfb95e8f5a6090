"""One table of all quality figures.

    python -m benchmarks.quality [--only forecasters]

Exits with 1 when a bar is missed. A module whose public files are not here says so and counts as neither.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from benchmarks.quality import NoData, header, show


def names() -> list[str]:
    """The modules of the package that measure something."""
    return sorted(module.name for module in iter_modules([str(Path(__file__).parent)]) if not module.name.startswith("_"))


def run(chosen: Sequence[str]) -> int:
    """Measure these modules one after another."""
    header()
    missed = 0
    for name in chosen:
        try:
            missed |= show(import_module(f"benchmarks.quality.{name}").rows())
        except NoData as absent:
            print(f"{name}: skipped: {absent}")
    return missed


def main() -> int:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=names(), action="append", help="only this module; may be repeated")
    return run(parser.parse_args().only or names())


if __name__ == "__main__":
    sys.exit(main())
