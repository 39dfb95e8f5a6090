"""axe-core as npm has it, held to its hash, and what it finds on a page."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Page

VERSION = "4.14.1"
INTEGRITY = "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
"""Of the package, as npm's lock files write it."""
SERIOUS = ("serious", "critical")


class Unavailable(Exception):
    """The package cannot be fetched here."""


def source() -> str:
    """The script, fetched once and kept in the user's cache. Raises `Unavailable`; a package with another hash is an `AssertionError`."""
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "finml" / f"axe-core-{VERSION}.tgz"
    if not kept.exists():
        _fetch(kept)
    found = "sha512-" + base64.b64encode(hashlib.sha512(kept.read_bytes()).digest()).decode()
    assert found == INTEGRITY, f"{kept} is not axe-core {VERSION}; delete it to have it fetched again"
    with tarfile.open(kept) as package:
        script = package.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode()


def _fetch(kept: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("npm is not installed, so that there is no axe-core; install Node.js")
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        command = [npm, "pack", f"axe-core@{VERSION}", "--pack-destination", folder]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
        packed = list(Path(folder).glob("*.tgz"))
        if done.returncode or not packed:
            raise Unavailable(f"npm cannot fetch axe-core {VERSION}: {done.stderr.strip()[-300:]}")
        # Two that fetch at once leave one whole file.
        packed[0].replace(kept)


def findings(page: Page, rules: Sequence[str] = ()) -> list[str]:
    """What is serious or critical on a page that has the script, by all rules or these: rule, how often, where first, and what is wrong there."""
    options = {"resultTypes": ["violations"], **({"runOnly": {"type": "rule", "values": list(rules)}} if rules else {})}
    found = page.evaluate("(options) => axe.run(document, options)", options)["violations"]
    return [
        f"{one['id']} ({one['impact']}, {len(one['nodes'])}×): {one['nodes'][0]['target']}: {one['nodes'][0]['failureSummary']}"
        for one in found
        if one["impact"] in SERIOUS
    ]
