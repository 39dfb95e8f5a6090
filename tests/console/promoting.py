"""Servers that die while they promote: `python promoting.py STEP=LEDGER …` prints the exit status of each, 9 where it died at the step."""

from __future__ import annotations

import asyncio
import os
import sys

import httpx
from console_cases import GRU_1, TASK, FakeGateway

from finml_console.services.gateway import Gateway
from finml_console.services.releases import By, Releases
from finml_ledger import Deployments, Ledger
from finml_models.core import catalog
from finml_models.core.errors import Conflict


def promote(address: str, last: str) -> None:
    def dies(step: str) -> None:
        if step == last:
            os._exit(9)

    ledger = Ledger.open(address)
    gateway = Gateway("http://gateway", transport=httpx.ASGITransport(app=FakeGateway(ledger)))
    asyncio.run(Releases(ledger, Deployments(ledger), gateway, dies).promote(TASK, GRU_1, By("t")))


def main() -> None:
    # Imports all that a promotion imports, once for all; nothing stays open that a child would share.
    Ledger.open("sqlite://").close()
    catalog.pair(f"{TASK}-{GRU_1.entry}")
    for argument in sys.argv[1:]:
        step, _, address = argument.partition("=")
        if (child := os.fork()) == 0:
            try:
                promote(address, step)
            except Conflict:
                os._exit(1)
            os._exit(0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")


if __name__ == "__main__":
    main()
