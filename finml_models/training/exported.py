"""A network that another runtime runs: minibatches and outputs keep the shapes that the trained network has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.runtime import Run

READ = ("point", "quantiles", "embedding", "surprise")
"""Fields of outputs that an `Answer` reads of predictions; what else a network says is for its training."""
ALONE = "output"
"""Name of an output that is one tensor."""


def tensors_of(rows: Any, path: str = "") -> dict[str, Tensor]:
    """The tensors of a minibatch by the path of their fields, such as `past` or `steps.0.nodes`."""
    if isinstance(rows, Tensor):
        return {path: rows}
    if isinstance(rows, tuple):
        parts: Iterator[tuple[Any, Any]] = iter(enumerate(rows))
    elif is_dataclass(rows):
        parts = ((part.name, getattr(rows, part.name)) for part in fields(rows))
    else:
        return {}
    return {name: tensor for key, part in parts for name, tensor in tensors_of(part, f"{path}.{key}" if path else str(key)).items()}


def with_tensors(rows: Any, tensors: Iterator[Tensor]) -> Any:
    """The same minibatch of other tensors, in the order of `tensors_of`."""
    if isinstance(rows, Tensor):
        return next(tensors)
    if isinstance(rows, tuple):
        return tuple(with_tensors(part, tensors) for part in rows)
    if is_dataclass(rows) and not isinstance(rows, type):
        return replace(rows, **{part.name: with_tensors(getattr(rows, part.name), tensors) for part in fields(rows)})
    return rows


def outputs_of(output: Any) -> dict[str, Tensor]:
    """What predictions need of a network's output, by name."""
    return {ALONE: output} if isinstance(output, Tensor) else {name: getattr(output, name) for name in READ if hasattr(output, name)}


def pieces(rows: Any) -> list[Any]:
    """The minibatches that a network is exported for: texts come in parts of one width each."""
    return [replace(rows, parts=(part,)) for part in rows.parts] if hasattr(rows, "parts") else [rows]


class ExportedNetwork:
    """Runs minibatches of the exported tensors, and leaves all others, such as windows cut by the start of their series, to the network."""

    def __init__(self, run: Run, inputs: tuple[str, ...], network: Callable[[Any], Any]) -> None:
        self._run, self._inputs, self._network = run, inputs, network

    def of(self, arrays: Mapping[str, NDArray[Any]] | None) -> Any:
        """The output for a minibatch of arrays, in arrays; None where the exported network does not take it."""
        return None if arrays is None or tuple(arrays) != self._inputs else _output(self._run(arrays))

    def __call__(self, rows: Any) -> Any:
        """The network's output: a tensor, or what of it predictions read."""
        found = []
        for piece in pieces(rows):
            tensors = tensors_of(piece)
            if tuple(tensors) != self._inputs:
                return self._network(rows)
            found.append(self._run({name: tensor.numpy() for name, tensor in tensors.items()}))
        whole = {name: torch.from_numpy(found[0][name] if len(found) == 1 else np.concatenate([part[name] for part in found])) for name in found[0]}
        return _output(whole)


def _output(parts: Mapping[str, Any]) -> Any:
    return parts[ALONE] if ALONE in parts else SimpleNamespace(**parts)
