"""Processes that die while they publish a version: `python publishing.py ARTIFACT STEP=HOME …` prints the exit status of each, 9 where it died at a step.

A step is every rename that makes something visible, and every call between them; 0 dies nowhere. Only BentoML's build is replaced.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from service_cases import ENTRY, FINGERPRINT, TASK

from bento import package
from finml_ledger import Ledger
from finml_models.core import artifact
from finml_models.core.home import artifacts, home


def publish(fitted: artifact.Artifact, reached: Callable[[], None]) -> None:
    """What the pipeline does with a version that passed its gate."""
    folder = artifact.save(artifacts(TASK, ENTRY), fitted.estimator, task=TASK, entry=ENTRY, fingerprint=FINGERPRINT, reference=fitted.reference)
    facts = {"task": TASK, "entry": ENTRY, "version": folder.name, "artifact": str(folder.relative_to(home())), "verdict": "superior", "gate_passed": True}
    ledger = Ledger.open()
    reached()
    ledger.record_release(**facts, headline={}, fingerprint=FINGERPRINT)
    reached()
    built = package.package(folder, home() / "bentoml")
    reached()
    ledger.record_release(**facts, headline={}, fingerprint=FINGERPRINT, bento_tag=built.tag)
    reached()


def quick_build(folder: Path, record: artifact.ModelRecord, staging: Path) -> Path:
    """As BentoML does, without its minutes of copying."""
    shutil.copytree(folder, staging / "bento" / "src" / "artifact" / folder.name)
    return staging / "bento"


def die_at(last: int) -> Callable[[], None]:
    """Count the steps, of which renames are heard of by themselves, and be gone at this one."""
    count = 0

    def reached() -> None:
        nonlocal count
        count += 1
        if count == last:
            os._exit(9)

    sys.addaudithook(lambda event, _: reached() if event == "os.rename" else None)
    return reached


def main() -> None:
    fitted = artifact.load(Path(sys.argv[1]))
    package._build = quick_build
    for argument in sys.argv[2:]:
        step, _, folder = argument.partition("=")
        # A process each, and one import for all of them: nothing is open here that a child would share.
        if (child := os.fork()) == 0:
            os.environ["FINML_HOME"] = folder
            publish(fitted, die_at(int(step)))
            os._exit(0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")


if __name__ == "__main__":
    main()
