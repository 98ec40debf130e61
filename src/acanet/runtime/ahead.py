"""Work done ahead of whoever takes its results, in threads, and results taken in groups of bounded size."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


def ahead(function: Callable[[Item], Outcome], items: Iterable[Item], *, workers: int, most: int) -> Iterator[Outcome]:
    """The results of a function, in the order of the items, while threads work on those that follow.

    Args:
        function: what is done with an item; what it raises comes where its result would.
        items: any number of them; they are asked for as they are needed.
        workers: threads.
        most: items that are begun before their turn.
    """
    remaining = iter(items)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="acanet-ahead")
    try:
        pending: deque[Future[Outcome]] = deque(pool.submit(function, item) for item in islice(remaining, most))
        while pending:
            result = pending.popleft().result()
            pending.extend(pool.submit(function, item) for item in islice(remaining, 1))
            yield result
    finally:
        pool.shutdown(cancel_futures=True)


def in_groups(
    items: Iterable[Item], size: Callable[[Item], float], *, most_size: float, most_items: int
) -> Iterator[list[Item]]:
    """Items in their order, in groups that are full once they reach a size, or a number of items.

    Args:
        items: what is grouped.
        size: of an item.
        most_size: of a group, without its last item.
        most_items: of a group.
    """
    group: list[Item] = []
    gathered = 0.0
    for item in items:
        group.append(item)
        gathered += size(item)
        if gathered >= most_size or len(group) >= most_items:
            yield group
            group, gathered = [], 0.0
    if group:
        yield group
