"""One table of published and reached figures.

    python -m benchmarks.quality [--only graphs] [--only ppo_pendulum] [--seeds 3] [--workers 2] [--out docs/quality.md]

Cheap rows come first, and a line is printed as each seed is done. Every measurement is kept in the state folder (`quality.jsonl`
in FINML_HOME) and not repeated while the code that made it stays as it is, so a run that was stopped goes on. Exits with 1
when a bar is missed or a measurement fails. A row whose public files are not here says so and counts as neither.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shlex
import sys
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path

from . import Row, discovered
from ._journal import Journal
from ._run import choose, run
from ._table import markdown, text


def main(arguments: Sequence[str] | None = None, *, modules: dict[str, list[Row]] | None = None, pool: Executor | None = None) -> int:
    """Parse, measure, print, judge the chosen rows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], help="only this module or row; may be repeated")
    parser.add_argument("--seeds", type=int, help="at most so many seeds a row")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes of one thread each")
    parser.add_argument("--fresh", action="store_true", help="measure again what was kept")
    parser.add_argument("--kept", action="store_true", help="measure nothing: the table of what was kept")
    parser.add_argument("--out", type=Path, help="write the table there too, as Markdown")
    given = parser.parse_args(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    modules = discovered() if modules is None else modules
    chosen = choose(modules, given.only)
    with pool or ProcessPoolExecutor(given.workers, mp_context=multiprocessing.get_context("spawn")) as workers:
        try:
            outcomes = run(modules, [] if given.kept else chosen, Journal.of_home(), workers, seeds=given.seeds, fresh=given.fresh)
        except KeyboardInterrupt:
            # The pool would first work through what it has begun; what is done is kept.
            for child in multiprocessing.active_children():
                child.terminate()
            return 130
    names = {row.name for row in chosen}
    shown = [outcome for outcome in outcomes if outcome.row.name in names]
    print(text(shown))
    if given.out:
        command = shlex.join(["python", "-m", "benchmarks.quality", *(sys.argv[1:] if arguments is None else arguments)])
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(markdown(outcomes, command, given.workers), encoding="utf-8")
    return int(any(outcome.held is False or outcome.failed for outcome in shown))


if __name__ == "__main__":
    sys.exit(main())
