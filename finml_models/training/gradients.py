"""Integrated gradients (Sundararajan, Taly and Yan, ICML 2017) of any network that reads numbers.

An input's contribution is its distance from a baseline times the gradient of the answer, averaged over the straight line from the
baseline to the row. Contributions sum to the answer for the row less the answer for the baseline (completeness). The baseline is the
encoder's neutral row, the training means: 0 where inputs are standardised. Categories, edges and the lengths of windows have no
line between two values: they are the row's own at both ends, and have no contribution.

Rows are explained one at a time, so that a row has the same bits alone and among others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from captum.attr import IntegratedGradients
from torch import Tensor

from finml_models.core.errors import NotExplained
from finml_models.core.explanations import Attribution, Explanation
from finml_models.core.graphs import Graphs

from .graph_minibatch import GraphGrid, GraphTensors
from .graph_sequence import GraphSequence
from .minibatch import TableTensors, WindowTensors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch
    from finml_models.core.estimator import Signature

    from .encoder import Encoder
    from .minibatch import Minibatch

POINTS = (32, 128, 512)
"""Points of the Gauss-Legendre rule on the line; the next number where the gap is larger than allowed."""
GAP = 0.01
"""Gap that is allowed, as a share of the sum of |contributions|: kinks of ReLUs are not what such a rule is exact for."""
AT_ONCE = 256
"""Points of a pass, so that a long line does not take more memory than a batch of training."""
CAVEAT = (
    "A contribution says how this network's answer differs from that for the baseline, not what would happen if the input changed in the world. "
    "It depends on the baseline, on rows between it and this one that may never occur, and, among inputs that say the same, on the seed. "
    "Inputs at the baseline have no contribution, however important their being there is."
)


@dataclass(frozen=True, slots=True)
class Line:
    """The numbers of a minibatch of one row by name, each (1, ...), and how a minibatch is made of k versions of them, each (k, ...).

    `axis` is that of the features of `past`, the last one but for tables. Of a graph, `nodes` (m,) are the assets along the axis before it.
    """

    numbers: dict[str, Tensor]
    build: Callable[[dict[str, Tensor]], Minibatch]
    axis: int = -1
    nodes: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """The contributions to one row's answer, of the shapes of the line's numbers, and the answers at its ends."""

    line: Line
    contributions: dict[str, Tensor]
    start: float
    value: float
    output: str


def integrated_gradients(
    row: Callable[[Batch], Minibatch], explained: Callable[[Minibatch], tuple[Tensor, str]], batch: Batch, signature: Signature, encoder: Encoder
) -> Explanation:
    """The contributions of the rows of a batch.

    `row` makes the minibatch of a batch of one row, `explained` answers a minibatch with the one number that is explained (b,), and its
    name. Raises `NotExplained` for words.
    """
    if not len(batch):
        raise NotExplained("batch: it has no rows to explain")
    whole = isinstance(batch, Graphs) and batch.of_snapshots
    # Without cuDNN, whose recurrent layers have gradients in training mode alone.
    with torch.backends.cudnn.flags(enabled=False):
        rows = [_of_row(line(row(batch.take(np.array([i]))), whole=whole), explained, encoder.neutral) for i in range(len(batch))]
    output, baseline = rows[0].output, encoder.neutral_row
    said = f"what the input adds to the {output}, over that for {baseline}"
    named = {
        "past": ("features", signature.feature_names),
        "static": ("static features", signature.static_names),
        "known": ("known features", signature.known_names),
    }
    parts = [Attribution(*named[own], np.stack([_by_feature(one, own) for one in rows]), said, adds=True) for own in rows[0].contributions]
    if isinstance(batch, Graphs):
        names = tuple(str(entity) for entity in batch.entities)
        weights = np.stack([_by_asset(one, len(names)) for one in rows])
        parts.append(Attribution("neighbours", names, weights, "the same contributions by the asset whose features they come from; empty where it is absent"))
    method = f"integrated gradients (Sundararajan, Taly and Yan 2017) from {baseline}"
    return Explanation(method, CAVEAT, tuple(parts), output, np.array([one.value for one in rows]), np.array([one.start for one in rows]))


def line(x: Minibatch, *, whole: bool = False) -> Line:
    """The numbers of a minibatch of one row; `whole` for a row about a whole snapshot. Raises `NotExplained` for one that holds none."""
    match x:
        case WindowTensors():
            numbers = {name: held for name in ("past", "static", "known") if (held := getattr(x, name)) is not None}
            return Line(numbers, lambda given: replace(x, target=None, lengths=_again(x.lengths, given), **given))
        case TableTensors():
            return Line({"past": x.values}, lambda given: TableTensors(given["past"], _again(x.codes, given)), axis=1)
        case GraphTensors():
            return Line({"past": x.nodes[None]}, lambda given: _snapshots(x, given["past"], whole=whole), nodes=x.column)
        case GraphSequence():
            steps = torch.stack([step.nodes for step in x.steps])
            return Line({"past": steps[None]}, lambda given: _sequences(x, given["past"]), nodes=torch.arange(steps.shape[1]))
    raise NotExplained(f"{type(x).__name__}: integrated gradients need numbers to draw a line between, and this model reads words")


def _of_row(along: Line, explained: Callable[[Minibatch], tuple[Tensor, str]], neutral: Callable[[Tensor], Tensor]) -> Told:
    names, numbers = tuple(along.numbers), tuple(along.numbers.values())
    bases = tuple(neutral(held) if name == "past" else torch.zeros_like(held) for name, held in along.numbers.items())

    def forward(*given: Tensor) -> Tensor:
        answer = explained(along.build(dict(zip(names, given, strict=True))))[0]
        # Of numbers that the network does not read the gradient is 0; without this there would be none.
        return answer + sum(0.0 * part.flatten(1).sum(dim=1) for part in given)

    with torch.no_grad():
        own, output = explained(along.build(along.numbers))
        value, start = float(own), float(forward(*bases))
    contributions: tuple[Tensor, ...] = ()
    for points in POINTS:
        found = IntegratedGradients(forward).attribute(numbers, bases, n_steps=points, internal_batch_size=AT_ONCE)
        contributions = tuple(part.detach().double().cpu() for part in found)
        size = sum(float(part.abs().sum()) for part in contributions)
        gap = abs(value - start - sum(float(part.sum()) for part in contributions))
        if gap <= GAP * size + 1e-6 * max(abs(value), abs(start)):
            break
    return Told(along, dict(zip(names, contributions, strict=True)), start, value, output)


def _by_feature(told: Told, name: str) -> NDArray[np.float32]:
    """(f,) sums over rows of a window, nodes, and the numbers that encode one."""
    held = told.contributions[name]
    axis = (told.line.axis if name == "past" else -1) % held.ndim
    return held.sum(dim=[i for i in range(held.ndim) if i != axis]).float().numpy()


def _by_asset(told: Told, assets: int) -> NDArray[np.float32]:
    """(assets,) sums over features and snapshots, NaN for an asset that is absent."""
    held, nodes = told.contributions["past"], told.line.nodes
    assert nodes is not None  # noqa: S101 - set for graphs
    sums = held.sum(dim=[i for i in range(held.ndim) if i != held.ndim - 2])
    return torch.full((assets,), torch.nan).index_copy(0, nodes.cpu(), sums.float()).numpy()


def _again(held: Tensor | None, given: dict[str, Tensor]) -> Tensor | None:
    """What all versions share, once each."""
    return None if held is None else held.repeat(len(given["past"]), *[1] * (held.ndim - 1))


def _moved(index: Tensor, copies: int, size: int) -> Tensor:
    """Numbers in each of the copies, of which one has `size` of them."""
    return (index + size * torch.arange(copies, device=index.device)[:, None]).flatten()


def _snapshots(x: GraphTensors, nodes: Tensor, *, whole: bool) -> GraphTensors:
    """Copies of one snapshot side by side, with these nodes (k, m, f)."""
    copies, size = nodes.shape[:2]
    return GraphTensors(
        nodes=nodes.flatten(0, 1),
        edge_source=_moved(x.edge_source, copies, size),
        edge_target=_moved(x.edge_target, copies, size),
        edge_weight=x.edge_weight.repeat(copies),
        answered=_moved(x.answered, copies, 1 if whole else size),
        block=None if x.block is None else _moved(x.block, copies, 1),
        column=None if x.column is None else x.column.repeat(copies),
    )


def _sequences(x: GraphSequence, nodes: Tensor) -> GraphSequence:
    """Copies of one sequence side by side, with these nodes (k, steps, m, f)."""
    copies, _, size, _ = nodes.shape
    steps = tuple(
        GraphGrid(
            nodes[:, i].flatten(0, 1),
            step.present.repeat(copies),
            _moved(step.edge_source, copies, size),
            _moved(step.edge_target, copies, size),
            step.edge_weight.repeat(copies),
        )
        for i, step in enumerate(x.steps)
    )
    return GraphSequence(steps, _moved(x.answered, copies, size))
