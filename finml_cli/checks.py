"""What `finml doctor` looks at: each check is a function that says ok, warn or fail, what it found, and the remedy."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from finml_models.core.errors import FinmlError
from finml_models.core.home import home

CONSTRAINTS = Path(__file__).resolve().parents[1] / "constraints.txt"
GIGABYTE = 1024**3
NETWORK_FILE_SYSTEMS = ("nfs", "cifs", "smb", "9p", "afs", "ceph", "lustre", "gluster", "gpfs", "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "virtiofs")


class Status(StrEnum):
    """`warn` works with a limit; `fail` does not work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Check(BaseModel):
    """One finding."""

    model_config = ConfigDict(frozen=True)

    name: str
    status: Status
    detail: str
    remedy: str = ""


def python() -> Check:
    """The interpreter is one that the stack is tested with."""
    found = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] < (3, 13):
        return Check(name="python", status=Status.OK, detail=found)
    return Check(name="python", status=Status.FAIL, detail=f"{found}, but 3.11 or 3.12 is needed", remedy="make clean, then make install PY=python3.11")


def packages() -> Check:
    """Every declared dependency is there in its range; and, in a checkout, at the version that is tested."""
    from packaging.requirements import Requirement

    try:
        wanted = [Requirement(line) for line in requires("finml") or ()]
    except PackageNotFoundError:
        return Check(name="packages", status=Status.FAIL, detail="finml itself is not installed", remedy="make install")
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", CONSTRAINTS.read_text(), flags=re.MULTILINE)) if CONSTRAINTS.exists() else {}
    broken, drifted = [], []
    needed = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    for one in needed:
        try:
            found = version(one.name)
        except PackageNotFoundError:
            broken.append(f"{one.name} is missing")
            continue
        if not one.specifier.contains(found, prereleases=True):
            broken.append(f"{one.name} {found} is outside {one.specifier}")
        elif one.name in pins and pins[one.name] != found.partition("+")[0]:
            drifted.append(f"{one.name} {found} (tested: {pins[one.name]})")
    remedy = 'pip install -c constraints.txt -e ".[dev]"'
    if broken:
        return Check(name="packages", status=Status.FAIL, detail="; ".join(broken), remedy=remedy)
    if drifted:
        return Check(name="packages", status=Status.WARN, detail="; ".join(drifted), remedy=remedy)
    return Check(name="packages", status=Status.OK, detail=f"{len(needed)} dependencies" + (", as pinned" if pins else ", in range"))


def torch() -> Check:
    """PyTorch loads, and what it computes on."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return Check(name="torch", status=Status.FAIL, detail=f"does not load: {error}", remedy="pip install -c constraints.txt torch")
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} thread(s); no CUDA device"
    return Check(name="torch", status=Status.OK, detail=f"{torch.__version__} on {device}")


def state_folder() -> Check:
    """The state folder can be written and lies on a local disk."""
    folder = home()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Check(name="state folder", status=Status.FAIL, detail=f"{folder}: {error.strerror}", remedy="set FINML_HOME to a folder that you may write to")
    kind = file_system(folder)
    if kind is not None and kind.startswith(NETWORK_FILE_SYSTEMS):
        detail = f"{folder} lies on a network file system ({kind}), where SQLite's locks cannot be trusted"
        return Check(
            name="state folder", status=Status.WARN, detail=detail, remedy="set FINML_HOME to a local folder, or FINML_LEDGER_URL to a Postgres database"
        )
    return Check(name="state folder", status=Status.OK, detail=f"{folder}" + (f" ({kind})" if kind else ""))


def file_system(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> str | None:
    """Type of the file system that holds a folder; None where the system does not say."""
    try:
        lines = [line.split() for line in mounts.read_text().splitlines()]
    except OSError:
        return None
    points = [(Path(point.encode().decode("unicode_escape")), kind) for _, point, kind, *_ in lines]
    holding = [(len(point.parts), position, kind) for position, (point, kind) in enumerate(points) if folder.is_relative_to(point)]
    return max(holding)[2] if holding else None


def disk() -> Check:
    """There is room for artifacts and reports."""
    folder = next(path for path in (home(), *home().parents) if path.exists())
    free = shutil.disk_usage(folder).free / GIGABYTE
    status = Status.FAIL if free < 0.5 else Status.WARN if free < 5 else Status.OK
    remedy = "" if status is Status.OK else f"free some space on the disk of {folder}, or set FINML_HOME to another one"
    return Check(name="disk", status=status, detail=f"{free:.1f} GB free", remedy=remedy)


def ports() -> Check:
    """The ports of `finml up` are free on the loopback; servers of one version's predictions take any free port."""
    from .processes import bindable
    from .up import LOOPBACK, PORTS

    taken = {option: port for option, port in PORTS.items() if not bindable(LOOPBACK, port)}
    if taken:
        detail = f"in use: {', '.join(map(str, taken.values()))}; a finml that is up uses them itself"
        return Check(name="ports", status=Status.WARN, detail=detail, remedy=f"finml up {' '.join(f'{option} 0' for option in taken)}")
    return Check(name="ports", status=Status.OK, detail=f"{', '.join(map(str, PORTS.values()))} are free")


def ledger() -> Check:
    """The ledger opens and has the newest schema."""
    from finml_ledger import Ledger

    try:
        opened = Ledger.open()
        trials, releases = opened.count_trials(), len(opened.releases())
        opened.close()
    except FinmlError as error:
        return Check(name="ledger", status=Status.FAIL, detail=str(error), remedy="mend FINML_LEDGER_URL, or unset it for SQLite in the state folder")
    return Check(name="ledger", status=Status.OK, detail=f"{trials} trials, {releases} releases")


def datasets() -> Check:
    """The settings file of datasets, where there is one, is valid."""
    from finml_models.datasets import datasets as registered
    from finml_models.datasets import settings_file

    try:
        known = registered()
    except FinmlError as error:
        return Check(name="datasets", status=Status.FAIL, detail=str(error), remedy=f"mend {settings_file()}")
    return Check(name="datasets", status=Status.OK, detail=f"{len(known)} registered")


def telemetry() -> Check:
    """BentoML and Dagster send nothing: processes that finml starts have it off; an own Dagster instance is asked."""
    if os.environ.get("BENTOML_DO_NOT_TRACK", "True").lower() != "true":
        return Check(name="telemetry", status=Status.WARN, detail="BentoML's is on", remedy="export BENTOML_DO_NOT_TRACK=True")
    from dagster import DagsterInstance

    from finml_pipelines.instance import folder as dagster_home

    try:
        folder = dagster_home()
    except OSError as error:
        return Check(
            name="telemetry", status=Status.FAIL, detail=f"Dagster's folder: {error}", remedy="set DAGSTER_HOME or FINML_HOME to a folder that you may write to"
        )
    with DagsterInstance.from_config(str(folder)) as instance:
        if instance.telemetry_enabled:
            remedy = f'write "telemetry: {{enabled: false}}" into {folder / "dagster.yaml"}'
            return Check(name="telemetry", status=Status.WARN, detail="Dagster's is on", remedy=remedy)
    return Check(name="telemetry", status=Status.OK, detail="off")


CHECKS: tuple[Callable[[], Check], ...] = (python, packages, torch, state_folder, disk, ports, ledger, datasets, telemetry)
