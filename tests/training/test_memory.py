"""Memory that is used again: no new pages at each step, and given back at the end."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from finml_models.training import memory
from finml_models.training.memory import reused

ROOT = str(Path(__file__).resolve().parents[2])
PAGES = 40 * 2**20 // 4_096


def faults(steps: int) -> int:
    """Pages that the kernel had to find while blocks of 40 MB came and went."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(steps):
        torch.zeros(10 * 2**20).add_(1.0)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(not sys.platform.startswith("linux") or memory._glibc() is None, reason="only glibc has these settings")
def test_a_freed_block_is_used_again_and_given_back_afterwards() -> None:
    # In a process of its own: the settings are the whole process's, and in this one a thread of another test may still train.
    alone = [sys.executable, "-c", "import test_memory; test_memory.check()"]
    subprocess.run(alone, cwd=Path(__file__).parent, env={**os.environ, "PYTHONPATH": ROOT}, check=True)


def check() -> None:
    assert faults(4) > PAGES
    with reused():
        # What is left beside an aligned block may be too small for the next one: a few steps pass until all find room in freed memory.
        faults(16)
        settled = faults(8)
        assert settled < 2 * PAGES, f"{settled} pages in 8 steps of {PAGES}"
    assert faults(4) > PAGES


def test_without_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_glibc", lambda: None)
    with reused():
        assert float(torch.ones(3).sum()) == 3.0
