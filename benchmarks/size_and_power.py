"""Does every statistical test reject a true null as often as it says, and a false one when it should? (`make size-and-power`)

    python -m benchmarks.size_and_power [--runs 8000] [--only dm-h22,kupiec-500-1] [--seed 0] [--json | --markdown]

Each test is simulated under a null and an alternative that are known; `benchmarks/simulations` holds them. The size is the share of
rejections at 5 % under the null, with Wilson's 95 % interval. Exits with 1 when a bar is missed: a size outside 3 to 7 %, or a
power below the row's floor. Two further tables have no bar: what the classical forms of the tests would do, and where the tests
reach their limits.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from .simulations import EXPERIMENTS, Group, Measured, Result, measure

RUNS, SEED = 8_000, 0
HEADINGS = {
    Group.TEST: "The tests as they are used",
    Group.CLASSICAL: "For comparison, without a bar: classical forms that finml offers or leaves",
    Group.LIMIT: "Limits, without a bar: where an assumption is broken",
}


def run(names: Iterable[str], runs: int = RUNS, seed: int = SEED) -> list[Result]:
    """The results of these experiments, in the order of the registry, with progress on standard error."""
    chosen = set(names)
    results = []
    for experiment in (e for e in EXPERIMENTS.values() if e.name in chosen):
        started = time.perf_counter()
        results.append(measure(experiment, runs, seed))
        print(f"{experiment.name}: {results[-1].size.value:.2%} in {time.perf_counter() - started:.1f} s", file=sys.stderr, flush=True)
    return results


def plain(results: Sequence[Result]) -> str:
    """The tables as text."""
    lines = []
    for group, part in _groups(results):
        lines += [HEADINGS[group], f"  {'name':24} {'runs':>6}  {'size':>7}  {'95 % interval':17} {'holds':8} {'power':>7}  test; null; alternative"]
        for r in part:
            e = r.experiment
            power = f"{r.power.value:7.1%}" if r.power else f"{'':7}"
            words = "; ".join(filter(None, (e.test, e.null, e.alternative, e.checks, e.reason)))
            lines.append(f"  {e.name:24} {r.size.runs:6,}  {r.size.value:7.2%}  {_interval(r.size):17} {_verdict(r):8} {power}  {words}")
    return "\n".join(lines)


def markdown(results: Sequence[Result]) -> str:
    """The tables for `docs/evaluation.md`."""
    lines = []
    for group, part in _groups(results):
        last = "what is checked" if group is Group.TEST else "why"
        lines += [
            f"### {HEADINGS[group]}",
            "",
            f"| name | test | null | runs | size (95 % interval) | 3-7 % | alternative | power | {last} |",
            "|" + "---|" * 9,
        ]
        for r in part:
            e = r.experiment
            size = f"{r.size.value:.1%} ({_interval(r.size, 1)})"
            power = f"{r.power.value:.0%}" if r.power else ""
            verdict = {"yes": "yes", "MISSED": "**missed**"}.get(_verdict(r), _verdict(r))
            note = e.checks if group is Group.TEST else e.reason
            lines.append(f"| `{e.name}` | {e.test} | {e.null} | {r.size.runs:,} | {size} | {verdict} | {e.alternative} | {power} | {note} |")
        lines.append("")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Simulate, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=RUNS, help="runs of a cheap test under either hypothesis; dear ones do a stated share of them")
    parser.add_argument("--only", default=",".join(EXPERIMENTS), help="names, separated by commas")
    parser.add_argument("--seed", type=int, default=SEED)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true")
    form.add_argument("--markdown", action="store_true")
    given = parser.parse_args(arguments)
    names = given.only.split(",")
    if unknown := [name for name in names if name not in EXPERIMENTS]:
        parser.error(f"--only: no test is named {', '.join(unknown)}; there are {', '.join(EXPERIMENTS)}")
    if given.runs < 10:
        parser.error(f"--runs: {given.runs} runs say nothing; do at least 10")
    results = run(names, given.runs, given.seed)
    missed = [r.experiment.name for r in results if r.missed]
    if given.json:
        print(json.dumps({"runs": given.runs, "seed": given.seed, "missed": missed, "results": [_document(r) for r in results]}, indent=1))
    else:
        print(markdown(results) if given.markdown else plain(results))
        print(f"missed: {', '.join(missed)}" if missed else "no bar was missed", file=sys.stderr)
    return 1 if missed else 0


def _groups(results: Sequence[Result]) -> list[tuple[Group, list[Result]]]:
    parts = [(group, [r for r in results if r.experiment.group is group]) for group in Group]
    return [(group, part) for group, part in parts if part]


def _interval(measured: Measured, digits: int = 2) -> str:
    return f"{measured.low:.{digits}%} to {measured.high:.{digits}%}"


def _verdict(result: Result) -> str:
    if result.experiment.group is Group.TEST:
        return "MISSED" if result.missed else "yes"
    return "yes" if result.size_holds else "no"


def _document(result: Result) -> dict[str, object]:
    e = result.experiment
    words = {name: getattr(e, name) for name in ("name", "test", "null", "alternative", "group", "checks", "reason")}
    bands = {"size_band": e.size, "power_band": e.power if result.power else None}
    measured = {"size": asdict(result.size), "power": asdict(result.power) if result.power else None}
    return words | bands | measured | {"size_holds": result.size_holds, "power_holds": result.power_holds}


if __name__ == "__main__":
    sys.exit(main())
