"""Use cases side by side, each a Dagster run in a process of its own, their events heard in this one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.queues import SimpleQueue

from finml_models.core.errors import FinmlError
from finml_models.core.spec import Level

from .instance import prepare
from .run import Event, OnEvent, Order, RunResult, materialise

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
SECONDS_BETWEEN = 0.1
WEIGHT = {Level.LOW: 1, Level.MEDIUM: 2, Level.HIGH: 4}
GRACE = 10.0
"""Seconds that an interrupted worker has to end its run."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_each(orders: Sequence[Order], workers: int, hear: OnEvent) -> RunResult:
    """The assets that belong to each order alone, at most `workers` orders at a time, the dearest first by what the cards say.

    The cores are shared out: a worker computes on `cores() // workers` threads. Raises `FinmlError` when a worker was killed.
    """
    prepare()
    orders = sorted(orders, key=_cost, reverse=True)
    try:
        with _workers(min(workers, len(orders))) as (pool, events):
            running = {pool.submit(_run, order) for order in orders}
            return sum(_ended(running, events, hear), RunResult(success=True, run_ids=(), released=()))
    except BrokenProcessPool as killed:
        raise FinmlError("a worker process was killed, perhaps for want of memory: run again with fewer --workers; finished fits are kept") from killed


@contextmanager
def _workers(number: int) -> Iterator[tuple[ProcessPoolExecutor, SimpleQueue[Event]]]:
    """A pool, and what its workers tell. When this block is left by an error or an interrupt, they are interrupted too."""
    # Spawned: a fork of a process whose threads hold locks can hang.
    context = multiprocessing.get_context("spawn")
    events: SimpleQueue[Event] = context.SimpleQueue()
    # Only this process holds the end that writes: it closes when this block is left, and when this process is killed.
    watched, alive = context.Pipe(duplex=False)
    with alive, _threads(max(1, cores() // number)), ProcessPoolExecutor(number, mp_context=context, initializer=_begin, initargs=(events, watched)) as pool:
        try:
            yield pool, events
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            alive.close()
            raise


def _cost(order: Order) -> int:
    """How dear an order is beside others: its models, weighed by their class of latency. A dear one that came last would run alone."""
    return sum(WEIGHT[pair.entry.card.latency_class] for pair in order.pairs() if not pair.entry.is_baseline)


def _ended(running: set[Future[RunResult]], events: SimpleQueue[Event], hear: OnEvent) -> Iterator[RunResult]:
    while running:
        done, running = wait(running, timeout=SECONDS_BETWEEN)
        # A worker writes its last event before its result: none is left behind.
        while not events.empty():
            hear(events.get())
        yield from (future.result() for future in done)


_events: SimpleQueue[Event] | None = None


def _begin(events: SimpleQueue[Event], parent: Connection) -> None:
    """What a worker does first: remember where events go, and end with its parent, also when that is killed."""
    global _events  # noqa: PLW0603 - the initialiser of a pool has no other way to hand something to its tasks
    _events = events
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Connection) -> None:
    """Interrupt this process once the other end is closed, so that its run ends as cancelled; end it when that does not help."""
    parent.poll(None)
    # To the thread that computes: a signal to the process may reach this one, and a wait in the other would go on.
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    time.sleep(GRACE)
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
