"""`finml doctor`: whether this machine can do the work, and what to do where it cannot."""

from __future__ import annotations

import typer

from . import render


def doctor(*, as_json: render.AsJson = False) -> None:
    """Check the installation, the state folder, the ledger and the data. Exit code 1 when something fails.

    Example: `finml doctor --json | jq '.[] | select(.status != "ok")'`
    """
    from .checks import CHECKS, Status

    findings = [check() for check in CHECKS]
    if as_json:
        render.print_json(findings)
    else:
        render.table("", ("check", "", "found", "remedy"), [(f.name, f.status, f.detail, f.remedy) for f in findings])
    if any(f.status is Status.FAIL for f in findings):
        raise typer.Exit(1)
