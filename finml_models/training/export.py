"""Exports the network of an artifact to ONNX: `python -m finml_models.training.export --artifact DIR --root DIR`.

The exported network is kept only where the artifact answers with it what it answers without it, on made-up rows within the ranges of
its training, alone and in batches. Started by `core.runtime.made`, in a process of its own: the exporter takes half a gigabyte.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from finml_models.core import artifact, runtime
from finml_models.core.errors import NotExported
from finml_models.core.probes import probe
from finml_models.core.runtime import TOLERANCE, Export

from .exported import outputs_of, pieces, tensors_of, with_tensors
from .torch_estimator import TorchEstimator

if TYPE_CHECKING:
    from finml_models.core.artifact import Artifact
    from finml_models.core.predictions import Prediction

SIZES = (1, 2, 7)
"""Rows of the batches that are compared."""


class Alone(nn.Module):
    """A network that takes the tensors of a minibatch one by one. Shapes: as in the minibatch; what predictions read of its output."""

    def __init__(self, network: nn.Module, rows: Any) -> None:
        super().__init__()
        self.network, self.rows = network, rows

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(outputs_of(self.network(with_tensors(self.rows, iter(tensors)))).values())


def exported(held: Artifact) -> tuple[Export, bytes | None]:
    """The network of an artifact as ONNX, compared, or the reason why torch answers."""
    estimator = held.estimator
    if not isinstance(estimator, TorchEstimator):
        return Export(version=held.version, reason="it answers without torch"), None
    difference = None
    try:
        inputs, network = to_onnx(estimator, held)
        difference = largest_difference(estimator, held, network, inputs)
        if difference <= TOLERANCE:
            return Export(version=held.version, network=runtime.record_of(network), inputs=inputs, difference=difference), network
        reason = f"the exported network differs by {difference:.2g}, more than {TOLERANCE:g}"
    except NotExported as error:
        reason = str(error)
    return Export(version=held.version, reason=reason, difference=difference if difference is None or np.isfinite(difference) else None), None


def to_onnx(estimator: TorchEstimator[Any], held: Artifact) -> tuple[tuple[str, ...], bytes]:
    """The names of the tensors that the network takes, and the network, for any number of rows. Raises `NotExported`."""
    network, rows = estimator.parts(probe(held.record.signature, held.reference, max(SIZES)))
    rows = pieces(rows)[-1]
    tensors = tensors_of(rows)
    auto = torch.export.Dim.AUTO
    # Rows, nodes or edges come first; texts have a width of their own besides.
    free = tuple(dict.fromkeys(range(2 if name.startswith("parts.") else 1), auto) for name in tensors)
    try:
        with warnings.catch_warnings(), torch.inference_mode(mode=False), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                Alone(network, rows).eval(),
                tuple(tensor.clone() for tensor in tensors.values()),
                dynamo=True,
                input_names=list(tensors),
                output_names=list(outputs_of(network(rows))),
                dynamic_shapes=(free,),
                external_data=False,
                verbose=False,
            )
        return tuple(tensors), program.model_proto.SerializeToString()
    except Exception as error:
        raise NotExported(f"torch.onnx.export: {_told(error)}") from error


def largest_difference(estimator: TorchEstimator[Any], held: Artifact, network: bytes, inputs: tuple[str, ...]) -> float:
    """The largest difference of what the artifact answers with the exported network, as `TOLERANCE` counts. Raises `NotExported`."""
    largest = 0.0
    for size in SIZES:
        batch = probe(held.record.signature, held.reference, size, seed=1)
        estimator.answer_by(None)
        expected = estimator.predict(batch)
        try:
            estimator.answer_by(runtime.session(network), inputs)
            found = estimator.predict(batch)
        except Exception as error:
            raise NotExported(f"onnxruntime, {size} row(s): {_told(error)}") from error
        finally:
            estimator.answer_by(None)
        largest = max(largest, difference(expected, found))
    return largest


def difference(expected: Prediction, found: Prediction) -> float:
    """The largest difference of two predictions, in units of the larger of 1 and the expected number; infinite where shapes differ."""
    largest = 0.0
    others = found.columns()
    for name, values in expected.columns().items():
        if others[name].shape != values.shape:
            return float("inf")
        gap = np.abs(values.astype(np.float64) - others[name]) / np.maximum(1.0, np.abs(values))
        largest = max(largest, float(np.nan_to_num(gap, nan=np.inf).max(initial=0.0)))
    return largest


def _told(error: BaseException) -> str:
    """The innermost reason, one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200] if lines else 'no message'}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m finml_models.training.export", description="Export the network of an artifact to ONNX.")
    parser.add_argument("--artifact", type=Path, required=True, help="the artifact's folder")
    parser.add_argument("--root", type=Path, required=True, help="where a folder of the version's name is made")
    options = parser.parse_args()
    torch.set_num_threads(1)
    held = artifact.load(options.artifact.resolve())
    export, network = exported(held)
    runtime.publish(options.root / held.version, export, network)
    print(export.model_dump_json())


if __name__ == "__main__":
    main()
