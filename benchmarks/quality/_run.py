"""Which rows are measured, in what order, and what became of each."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, as_completed

from . import NoData, Reached, Row
from ._journal import Journal, Measurement, digest, today
from ._table import Outcome


def choose(modules: dict[str, list[Row]], only: Sequence[str]) -> list[Row]:
    """The rows of these modules or names, or all that are not measured on request alone; the cheapest first."""
    known = {*modules, *(row.name for rows in modules.values() for row in rows)}
    if unknown := sorted(set(only) - known):
        raise SystemExit(f"unknown: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    chosen = [row for name, rows in modules.items() for row in rows if row.name in only or (not row.on_request and (not only or name in only))]
    return sorted(chosen, key=lambda row: row.minutes * row.seeds)


def timed(measure: Callable[[int], Reached], seed: int) -> tuple[Reached, float]:
    """What a measurement reached, and the seconds it took; in a process of one thread."""
    began = time.perf_counter()
    return measure(seed), time.perf_counter() - began


def run(modules: dict[str, list[Row]], chosen: Sequence[Row], journal: Journal, pool: Executor, *, seeds: int | None, fresh: bool) -> list[Outcome]:
    """Measure what is not kept yet, printing a line a seed; the outcome of every row, in the order of the modules."""
    codes = {row.name: digest(name) for name, rows in modules.items() for row in rows}
    kept = journal.kept(codes)
    reasons: dict[str, tuple[str, str]] = {}
    wanted = [(row, seed) for row in chosen for seed in range(min(row.seeds, seeds or row.seeds)) if fresh or (row.name, seed) not in kept]
    futures: dict[Future[tuple[Reached, float]], tuple[Row, int]] = {pool.submit(timed, row.measure, seed): (row, seed) for row, seed in wanted}
    began, left = time.monotonic(), sum(row.minutes for row, _ in wanted)
    whole = left
    for done, future in enumerate(as_completed(futures), start=1):
        row, seed = futures[future]
        left -= row.minutes
        if (error := future.exception()) is not None:
            absent, failed = (str(error), "") if isinstance(error, NoData) else ("", f"{type(error).__name__}: {error}")
            reasons[row.name] = absent, failed
            said = f"skipped: {absent}" if absent else f"failed: {failed}"
        else:
            reached, seconds = future.result()
            found = Measurement(row.name, seed, reached.value, reached.note, round(seconds, 1), today(), codes[row.name])
            journal.add(found)
            kept[row.name, seed] = found
            said = f"{reached.value:.4f}{f' ({reached.note})' if reached.note else ''} in {seconds:.0f} s"
        minutes = (time.monotonic() - began) / 60 / (whole - left) * max(left, 0)
        print(f"[{done}/{len(wanted)}] {row.what}, seed {seed}: {said}; about {minutes:.0f} min left", file=sys.stderr, flush=True)
    return [_outcome(row, kept, reasons) for rows in modules.values() for row in rows]


def _outcome(row: Row, kept: dict[tuple[str, int], Measurement], reasons: dict[str, tuple[str, str]]) -> Outcome:
    absent, failed = reasons.get(row.name, ("", ""))
    return Outcome(row, tuple(kept[row.name, seed] for seed in range(row.seeds) if (row.name, seed) in kept), absent, failed)
