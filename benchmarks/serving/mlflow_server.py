"""MLflow's scoring server for an ONNX network, by an interpreter that has mlflow and onnxruntime. It needs nothing of this project.

PYTHON benchmarks/serving/mlflow_server.py NETWORK FOLDER PORT
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np


class Network(mlflow.pyfunc.PythonModel):
    """The network in onnxruntime, which is kinder to MLflow than torch would be."""

    def load_context(self, context: Any) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(context.artifacts["network"], options, providers=["CPUExecutionProvider"])

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """What the network says of some windows."""
        del context, params
        (taken,) = (node.name for node in self.session.get_inputs())
        found = self.session.run(None, {taken: np.asarray(model_input, np.float32)})
        return found[0]


def main() -> None:
    """Save the model, then become the server."""
    network, folder, port = sys.argv[1:]
    window = np.zeros((1, 44, 7), np.float32)
    signature = mlflow.models.infer_signature(window)
    path = Path(folder) / "model"
    mlflow.pyfunc.save_model(str(path), python_model=Network(), artifacts={"network": network}, signature=signature, pip_requirements=[])
    from mlflow.cli import cli

    cli(["models", "serve", "-m", str(path), "-p", port, "-h", "127.0.0.1", "--env-manager", "local", "--workers", "1"])


if __name__ == "__main__":
    main()
