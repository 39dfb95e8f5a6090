"""Public files: fetched when a person asks for it, kept beside the settings file, and taken only with their declared hash."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from urllib.parse import urlsplit

from finml_models.core.errors import DataError

from .origins import DownloadOrigin

FOLDER = "downloads"
SECONDS = 60
"""Longest silence of the server."""


class NotFetched(DataError):
    """A download that a person has not asked for yet."""


def place(origin: DownloadOrigin, folder: Path) -> Path:
    """Where the file lies once it is fetched: a name for each hash, so that another version is another file."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", Path(urlsplit(origin.url).path).name)
    return folder / FOLDER / f"{origin.sha256[:12]}-{name}"


def fetched(origin: DownloadOrigin, folder: Path) -> bool:
    """Whether a file is there; whether it is the right one is seen when it is read."""
    return place(origin, folder).is_file()


def verified(origin: DownloadOrigin, folder: Path) -> Path:
    """The fetched file, its bytes held against the hash. Raises `NotFetched` and, where it was changed since, `DataError`."""
    file = place(origin, folder)
    if not file.is_file():
        raise NotFetched(f"there is no file {file}")
    with file.open("rb") as content:
        actual = hashlib.file_digest(content, "sha256").hexdigest()
    if actual != origin.sha256:
        raise DataError(f"{file} has sha256 {actual}, expected {origin.sha256}: it was changed since it was fetched: fetch it again")
    return file


def fetch(origin: DownloadOrigin, folder: Path) -> Path:
    """Download the file unless it is there; a file with another hash is removed and refused. Raises `DataError`.

    The only place of the library that reaches for the network.
    """
    import pooch

    file = place(origin, folder)
    pooch.get_logger().setLevel("WARNING")
    try:
        pooch.retrieve(origin.url, known_hash=f"sha256:{origin.sha256}", fname=file.name, path=file.parent, downloader=pooch.HTTPDownloader(timeout=SECONDS))
    except ValueError as error:
        # pooch compares before the file takes its place, and deletes what does not match.
        got = re.search(r"but got (?:sha256:)?([0-9a-f]{64})", str(error))
        if got is None:
            raise
        raise DataError(
            f"{origin.url} holds sha256 {got[1]}, expected {origin.sha256}: the file was refused and removed: try once more, in case it was cut "
            "short; if its publisher has changed it, look at the new one before you register its hash"
        ) from error
    except OSError as error:
        if not hasattr(error, "response"):  # what requests raises has one, and is an OSError too
            raise DataError(f"{file.parent} cannot be written ({error}): make room, or name a settings file in a folder of yours in FINML_DATASETS") from error
        reason = getattr(getattr(error, "response", None), "status_code", None) or type(error).__name__
        raise DataError(
            f"{origin.url} did not answer ({reason}): check the network, or put the file that it names at {file} yourself; its sha256 is {origin.sha256}"
        ) from error
    return file
