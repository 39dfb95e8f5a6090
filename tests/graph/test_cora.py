"""Convolution and attention on the benchmark of their papers: Cora's public split, in the papers' configurations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.quality.graphs import GAT_PAPER, GCN_PAPER, SEEDS, Cora, Reader, attended, convolved, read
from finml_models.graph.gcn.model import Propagation


@pytest.fixture(scope="module")
def cora(test_data: Path) -> Cora:
    folder = test_data / "graph" / "planetoid"
    if not folder.is_dir():
        pytest.skip(f"no Planetoid files at {folder}")
    return read(folder)


def test_the_files_are_the_public_split(cora: Cora) -> None:
    assert tuple(cora.x.shape) == (2708, 1433)
    assert len(cora.propagation.source) == 10_556
    assert torch.bincount(cora.label[cora.train]).tolist() == [20] * 7
    assert (len(cora.valid), len(cora.test)) == (500, 1000)
    assert len(torch.cat([cora.train, cora.valid, cora.test]).unique()) == 1640


def test_a_file_that_asks_for_anything_but_arrays_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"cos\nsystem\n.")
    with (tmp_path / "bad").open("rb") as file, pytest.raises(KeyError):
        Reader(file).load()


@pytest.mark.slow
def test_twenty_seeds_of_the_convolution_come_within_a_point_of_the_paper(cora: Cora) -> None:
    found = [convolved(cora, seed) for seed in range(SEEDS)]
    print(f"Cora: {np.mean(found):.4f} ± {np.std(found, ddof=1):.4f} over {SEEDS} seeds, {min(found):.3f} to {max(found):.3f}")
    assert np.mean(found) == pytest.approx(GCN_PAPER, abs=0.01)
    # Without the citations the same network knows the words alone.
    apart = cora._replace(propagation=Propagation.of(*(torch.empty(0, dtype=torch.int64),) * 2, torch.empty(0), len(cora.label)))
    assert convolved(apart, 0) < np.mean(found) - 0.15


@pytest.mark.slow
def test_the_attention_comes_within_a_point_of_the_paper(cora: Cora) -> None:
    # Five seeds of the twenty that `make quality` has.
    found = [attended(cora, seed) for seed in range(5)]
    print(f"Cora: {np.mean(found):.4f} ± {np.std(found, ddof=1):.4f}")
    assert np.mean(found) == pytest.approx(GAT_PAPER, abs=0.01)
