"""The one service: it serves whatever artifact was bundled beside it. BentoML reads these annotations, so they stay real."""

import logging
import os

# Read by torch and numpy when they load; threads cost a small model more than they give.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import bentoml

from bento.api import Api
from bento.guard import Guard

ARTIFACTS = Path(__file__).resolve().parents[1] / "artifact"

api = Api()


# Nobody collects traces here, and to begin a span for each request costs more than a small network.
@bentoml.service(
    name="finml",
    workers=1,
    traffic={"timeout": 20},
    http={"host": "127.0.0.1"},
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": [".*"]},
)
@bentoml.asgi_app(api.router)
class Predictor:
    """Loads the bundled artifact, verified, and answers."""

    def __init__(self) -> None:
        # The first request would otherwise wait for it.
        import pandas  # noqa: F401, ICN001

        from finml_models.core import artifact, runtime

        (folder,) = ARTIFACTS.iterdir()
        api.artifact = artifact.load(folder)
        reason = runtime.attach(api.artifact, ARTIFACTS.parent / "onnx")
        logging.getLogger("finml.service").info("%s is run by %s", folder.name, f"torch: {reason}" if reason else "onnxruntime")


Predictor.add_asgi_middleware(Guard)
