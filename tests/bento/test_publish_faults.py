"""Publishing that dies at any step: what can be seen is whole, and publishing again ends where an undisturbed one does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from service_cases import ENTRY, TASK

from bento.requirements import ROOT
from bento.serve import find
from finml_ledger import Ledger
from finml_models.core import artifact

BENTOS = Path("bentoml") / "bentos" / f"{TASK}-{ENTRY}"
STEPS = 14
"""More than there are."""


def test_publishing_that_dies_at_a_step_leaves_what_is_whole_and_can_be_done_again(folder: Path, tmp_path: Path) -> None:
    homes = [tmp_path / f"dies-at-{step}" for step in range(1, STEPS + 1)]
    for home in homes:
        (home / BENTOS / "older").mkdir(parents=True)
        (home / BENTOS / "latest").write_text("older")
    died = publish(folder, list(enumerate(homes, 1)))
    steps = died.count(9)
    assert died == [9] * steps + [0] * (STEPS - steps)
    # Four files and the folder of the artifact, the bento and what is newest, and the calls between.
    assert steps == 11
    seen = [whole(home) for home in homes]
    assert sorted(seen) == seen, "each step adds to what can be seen"
    assert (seen[0], seen[-1]) == ((0, 0, 0, 0, 0), (1, 1, 1, 1, 1))
    assert publish(folder, [(0, home) for home in homes[:steps]]) == [0] * steps
    assert [whole(home) for home in homes] == [seen[-1]] * STEPS


def publish(folder: Path, homes: Sequence[tuple[int, Path]]) -> list[int]:
    """The exit status of a process for each home that dies at its step."""
    command = [sys.executable, str(Path(__file__).with_name("publishing.py")), str(folder), *(f"{step}={home}" for step, home in homes)]
    variables = {name: value for name, value in os.environ.items() if name != "FINML_LEDGER_URL"} | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return [int(line) for line in done.stdout.split()]


def whole(home: Path) -> tuple[int, ...]:
    """How many artifacts, releases, bentos, releases with a bento, and whether it is the newest; raises where one of them is no whole one."""
    made = [path for path in (home / "artifacts" / TASK / ENTRY).glob("*") if not path.name.startswith(".")]
    for path in made:
        artifact.verify(path)
    ledger = Ledger.open(f"sqlite:///{home / 'ledger.sqlite'}")
    releases = ledger.releases(TASK, ENTRY)
    ledger.close()
    for release in releases:
        artifact.verify(home / release.artifact)
    bentos = [path for path in (home / BENTOS).glob("*") if path.is_dir() and path.name != "older"]
    for path in bentos:
        artifact.verify(path / "src" / "artifact" / path.name)
    tagged = [release.bento_tag for release in releases if release.bento_tag]
    for tag in tagged:
        assert find(tag, home / "bentoml").is_dir()
    newest = (home / BENTOS / "latest").read_text()
    assert (home / BENTOS / newest).is_dir()
    return len(made), len(releases), len(bentos), len(tagged), int(newest != "older")
