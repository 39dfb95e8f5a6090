"""Use cases side by side, each a Dagster run in a process of its own, their events heard in this one."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.queues import SimpleQueue

from finml_models.core.errors import FinmlError

from .run import Event, OnEvent, Order, RunResult, materialise

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
SECONDS_BETWEEN = 0.1


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_each(orders: Sequence[Order], workers: int, hear: OnEvent) -> RunResult:
    """The assets that belong to each order alone, at most `workers` orders at a time, those with most models first.

    The cores are shared out: a worker computes on `cores() // workers` threads. Raises `FinmlError` when a worker was killed.
    """
    orders = sorted(orders, key=lambda order: len(order.own()), reverse=True)
    workers = min(workers, len(orders))
    # Spawned: a fork of a process whose threads hold locks can hang.
    context = multiprocessing.get_context("spawn")
    events: SimpleQueue[Event] = context.SimpleQueue()
    with (
        _threads(max(1, cores() // workers)),
        ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(events,)) as pool,
    ):
        try:
            running = {pool.submit(_run, order) for order in orders}
            return sum(_ended(running, events, hear), RunResult(success=True, run_ids=(), released=()))
        except BrokenProcessPool as killed:
            raise FinmlError("a worker process was killed, perhaps for want of memory: run again with fewer --workers; finished fits are kept") from killed
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _ended(running: set[Future[RunResult]], events: SimpleQueue[Event], hear: OnEvent) -> Iterator[RunResult]:
    while running:
        done, running = wait(running, timeout=SECONDS_BETWEEN)
        # A worker writes its last event before its result: none is left behind.
        while not events.empty():
            hear(events.get())
        yield from (future.result() for future in done)


_events: SimpleQueue[Event] | None = None


def _begin(events: SimpleQueue[Event]) -> None:
    """What a worker does first: remember where events go, and end with its parent, also when that is killed."""
    global _events  # noqa: PLW0603 - the initialiser of a pool has no other way to hand something to its tasks
    _events = events
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run(order: Order) -> RunResult:
    assert _events is not None  # noqa: S101 - what `_begin` set
    return materialise(order, order.own(), _events.put)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """What processes that start meanwhile read of the number of threads, where the user has not said it."""
    unsaid = [name for name in THREADS if name not in os.environ]
    os.environ.update(dict.fromkeys(unsaid, str(number)))
    try:
        yield
    finally:
        for name in unsaid:
            del os.environ[name]
