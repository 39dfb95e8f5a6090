"""Predictions on their way into the log: handed over at once, written by a thread of their own, dropped when there are too many."""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson

from finml_ledger.predictions import Encoded, PredictionLog, Served
from finml_models.core.errors import LedgerUnavailable

if TYPE_CHECKING:
    from finml_ledger.deployments import Role

    from .pool import Version

BATCH = 500
PRUNE_EVERY = 100
"""Batches between two looks at how many rows there are."""
STOP_SECONDS = 5.0
log = logging.getLogger("finml.gateway")


@dataclass(frozen=True, slots=True)
class Pending:
    """A prediction as it is handed over: request and answer still are the bytes that came and went."""

    id: str
    version: Version
    role: Role
    key: str
    revision: int
    status: int
    milliseconds: float
    request: bytes
    answer: bytes | None
    error: str | None
    at: datetime
    plain: bool = False
    """Whether request and answer are known to be JSON that every database takes: then nobody reads and writes them anew."""

    @property
    def size(self) -> int:
        """Bytes of request and answer."""
        return len(self.request) + len(self.answer or b"")

    def served(self) -> Served:
        """The row of the log."""
        version = self.version
        return Served(
            self.id,
            version.task,
            version.entry,
            version.version,
            self.role,
            self.key,
            self.revision,
            self.status,
            self.milliseconds,
            self._document(self.request),
            self._document(self.answer) if self.answer else None,
            self.error,
            self.at,
        )

    def _document(self, body: bytes) -> Any:
        if self.plain:
            return Encoded(body.decode())
        try:
            return orjson.loads(body)
        except ValueError:
            # Half a surrogate pair is JSON to the standard library alone, which takes six times as long.
            return json.loads(body)


class Writer:
    """Writes what is `put` every `every` seconds and when it stops. While the ledger is away, what was put waits, as far as there is room."""

    def __init__(self, predictions: PredictionLog, *, most: int, most_bytes: float, keep: int, every: float = 0.5) -> None:
        self.written = 0
        self.dropped = 0
        self._log = predictions
        self._most = most
        self._most_bytes = most_bytes
        self._keep = keep
        self._every = every
        self._lock = threading.Lock()
        self._one_flush = threading.Lock()
        self._waiting: deque[Pending] = deque()
        self._bytes = 0
        self._batches = 0
        self._away = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="finml-log", daemon=True)

    def __len__(self) -> int:
        return len(self._waiting)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, and end; what the ledger does not take within some seconds is lost, and logged as such."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_SECONDS)
        if lost := len(self._waiting):
            log.error("%d predictions were not logged", lost)

    def put(self, prediction: Pending) -> bool:
        """Hand a prediction over; never waits for the database. False when there is no room for it."""
        with self._lock:
            if len(self._waiting) >= self._most or self._bytes + prediction.size > self._most_bytes:
                self.dropped += 1
                return False
            self._waiting.append(prediction)
            self._bytes += prediction.size
            return True

    def flush(self) -> None:
        """Write what waits now; what the ledger does not take goes on waiting."""
        with self._one_flush:
            while True:
                with self._lock:
                    batch = list(islice(self._waiting, BATCH))
                if not batch:
                    return
                try:
                    self.written += self._log.append([prediction.served() for prediction in batch])
                    self._batches += 1
                    if self._batches % PRUNE_EVERY == 0:
                        self._log.prune(self._keep)
                    self._away = False
                except LedgerUnavailable as error:
                    if not self._away:
                        log.error("predictions are not logged for now: %s", error)  # noqa: TRY400
                    self._away = True
                    return
                except Exception:
                    # A batch that no database takes must not stand before all that follow.
                    log.exception("%d predictions cannot be logged", len(batch))
                    self.dropped += len(batch)
                with self._lock:
                    for prediction in batch:
                        self._waiting.popleft()
                        self._bytes -= prediction.size

    def _run(self) -> None:
        while not self._stopping.wait(self._every):
            self.flush()
        self.flush()
