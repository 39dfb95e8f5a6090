"""BentoML as its documentation begins: a typed method of a class, and a torch network behind it. Windows, standardised already, in.

It is given nothing of ours but the network: the artifact's folder comes from the environment.
"""

import os
from pathlib import Path
from typing import Any

import bentoml
import numpy as np
import torch

from finml_models.core import artifact
from finml_models.training.minibatch import WindowTensors


@bentoml.service(workers=1)
class Default:
    """The network behind BentoML's own decoding and encoding."""

    def __init__(self) -> None:
        estimator: Any = artifact.load(Path(os.environ["FINML_BENCHMARK_ARTIFACT"])).estimator
        self.network = estimator._module.eval()  # noqa: SLF001 - the bare network is what is compared

    @bentoml.api
    def predict(self, window: list[list[float]]) -> dict[str, Any]:
        """What the network says of one window."""
        with torch.inference_mode():
            output = self.network(WindowTensors(torch.from_numpy(np.array([window], np.float32))))
        return {"point": output.point[0].tolist(), "quantiles": output.quantiles[0].tolist()}
