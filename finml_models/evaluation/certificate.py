"""What was proved of a version, when, and with which code and packages: the document that `verify` leaves beside the report."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import Field, JsonValue

from finml_models.core.files import write_atomic
from finml_models.core.spec import Frozen

CERTIFICATE = "certificate.json"


class Finding(Frozen):
    """One thing that was looked at; `figures` are the numbers and digests behind the sentence."""

    name: str
    passed: bool
    sentence: str
    figures: dict[str, JsonValue] = Field(default_factory=dict)


class Certificate(Frozen):
    """The findings on one version of a pair. It holds when all of them passed."""

    format: Literal[1] = 1
    pair: str
    version: str
    passed: bool
    mode: Literal["full", "quick"] = Field(description="full: trained again; quick: re-scored what was stored")
    exact: bool = Field(description="equal bits were demanded, for code, packages and machine are those of the training")
    when: datetime
    fingerprint: str = Field(description="id of the training's fingerprint; empty where the artifact could not be read")
    findings: tuple[Finding, ...]
    code_version: str
    packages: dict[str, str]
    platform: dict[str, str]

    @property
    def summary(self) -> str:
        """The result in a sentence."""
        if not self.passed:
            return f"{self.pair} {self.version} is refused: {', '.join(finding.name for finding in self.findings if not finding.passed)}."
        proved = {"full": "trained again", "quick": "re-scored, not trained again"}[self.mode]
        return f"{self.pair} {self.version} holds: {proved}, {'bit for bit' if self.exact else 'within the tolerance that another environment is allowed'}."


def write(certificate: Certificate, folder: Path) -> Path:
    """Write a certificate beside a report; returns its path."""
    path = folder / CERTIFICATE
    write_atomic(path, certificate.model_dump_json(indent=1).encode())
    return path


def read(folder: Path) -> Certificate | None:
    """The certificate beside a report, or None where nothing was verified yet."""
    path = folder / CERTIFICATE
    return Certificate.model_validate_json(path.read_bytes()) if path.exists() else None
