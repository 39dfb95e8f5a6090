"""Starting a gateway as a child process."""

from __future__ import annotations

import os
import sys

from bento.process import Running, free_port, start
from bento.requirements import ROOT
from finml_models.core.home import home

PORT = 3500


def serve_gateway(port: int = 0) -> Running:
    """Start a gateway on the loopback over the state folder's ledger and return when it is ready; 0 takes a free port.

    Raises `ServiceFailed` when the port is taken or the child does not come up, with its newest words.
    """
    port = free_port("127.0.0.1", port)
    environment = dict(os.environ) | {"FINML_HOME": str(home()), "BENTOML_DO_NOT_TRACK": "True", "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    log = home() / "logs" / f"gateway-{port}.log"
    return start("gateway", [sys.executable, "-m", "bento.gateway", "--port", str(port)], port, folder=ROOT, environment=environment, log=log)
