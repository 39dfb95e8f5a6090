"""Serving one bento on the loopback, as a child process with a handle."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from finml_models.core import artifact
from finml_models.core.errors import UnknownName
from finml_models.core.home import home as state

from .process import Running, free_port, loopback, start

TAG = re.compile(r"([a-z0-9][a-z0-9_.-]{0,62}):([a-z0-9][a-z0-9_.-]{0,62})")


def serve(tag: str, port: int = 0, host: str = "127.0.0.1", *, home: Path | None = None) -> Running:
    """Start the bento `name:version` (or the one of that version alone) and return when it answers.

    `port` 0 takes a free one; `home` is BentoML's home, by default the state folder's. Raises `UnknownName` for a bento that is not
    there, `CorruptArtifact` when its bits have changed, `ServiceFailed` when the port is taken or the child does not come up.
    """
    home = (home or state() / "bentoml").resolve()
    folder = find(tag, home)
    tag = f"{folder.parent.name}:{folder.name}"
    host = loopback(host)
    artifact.verify(folder / "src" / "artifact" / folder.name)
    port = free_port(host, port)
    log = home / "logs" / f"{folder.parent.name}-{folder.name}-{port}.log"
    command = [sys.executable, "-m", "bentoml", "serve", tag, "--host", host, "--port", str(port)]
    # From its own folder and without our path: a bento answers from the sources that it was built with.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True", "OMP_NUM_THREADS": "1"}
    return start(tag, command, port, host, folder=folder / "src", environment=environment, log=log)


def find(tag: str, home: Path) -> Path:
    """The folder of a bento by `name:version`, `name:latest` or version alone; `UnknownName` lists near matches."""
    known = {f"{path.parent.name}:{path.name}": path for path in (home / "bentos").glob("*/*") if path.is_dir()}
    if match := TAG.fullmatch(tag):
        name, version = match.groups()
        latest = home / "bentos" / name / "latest"
        if version == "latest" and latest.is_file():
            tag = f"{name}:{latest.read_text().strip()}"
    elif len(found := [full for full in known if full.endswith(f":{tag}")]) == 1:
        tag = found[0]
    if tag not in known:
        raise UnknownName("bento", tag, known)
    return known[tag]
