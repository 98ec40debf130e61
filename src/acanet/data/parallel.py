"""Work spread over processes: fresh ones that depend on the parent, and a clear word when one dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from acanet.errors import AcanetError

Result = TypeVar("Result")

_CHUNK = 8  # items that travel to a process together


def spread(function: Callable[..., Result], *arguments: Sequence[Any], workers: int) -> Iterator[Result]:
    """`map` over processes, results in order; one worker, or little work, stays in this process.

    There are no more workers than processors.

    Raises:
        AcanetError: when a process dies.
    """
    workers = min(workers, os.cpu_count() or 1, -(-len(arguments[0]) // _CHUNK))
    if workers <= 1:
        yield from map(function, *arguments)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=depend_on_the_parent)
    try:
        yield from pool.map(function, *arguments, chunksize=_CHUNK)
    except BrokenProcessPool:
        raise AcanetError(
            "a worker process died: for lack of memory (try fewer workers), or because the script that started it does "
            "not guard what it does by `if __name__ == '__main__':`"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def depend_on_the_parent() -> None:
    """Leave interrupts to the parent process, and end when it does, in whatever way."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
