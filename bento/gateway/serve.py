"""Starting a gateway as a child process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bento.process import Running, free_port, start
from bento.requirements import ROOT
from finml_models.core.home import home

PORT = 3500


def serve_gateway(port: int = 0) -> Running:
    """Start a gateway on the loopback over the state folder's ledger and return when it is ready; 0 takes a free port.

    Raises `ServiceFailed` when the port is taken or the child does not come up, with its newest words.
    """
    port = free_port("127.0.0.1", port)
    # From where we stand, so that relative paths in the environment keep their meaning, and with our own sources.
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = dict(os.environ) | {"FINML_HOME": str(home()), "BENTOML_DO_NOT_TRACK": "True", "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    log = home() / "logs" / f"gateway-{port}.log"
    return start("gateway", [sys.executable, "-m", "bento.gateway", "--port", str(port)], port, folder=Path.cwd(), environment=environment, log=log)
