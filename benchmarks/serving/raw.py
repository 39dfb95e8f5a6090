"""The floor: a network behind bare ASGI. Windows, standardised already, in; what the network says out.

python -m benchmarks.serving.raw NETWORK PORT
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


def application(network: bytes) -> Starlette:
    """`POST /predict` with `{"window": [[…]]}`; nothing is checked."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    (taken,) = (node.name for node in session.get_inputs())
    names = [node.name for node in session.get_outputs()]

    async def predict(request: Request) -> JSONResponse:
        window = np.array([json.loads(await request.body())["window"]], np.float32)
        return JSONResponse({name: found[0].tolist() for name, found in zip(names, session.run(None, {taken: window}), strict=True)})

    return Starlette(routes=[Route("/predict", predict, methods=["POST"])])


if __name__ == "__main__":
    uvicorn.run(application(Path(sys.argv[1]).read_bytes()), host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", access_log=False)
