"""Items of a dataset from several processes, whose errors stay what they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_convert, get_worker_info

from acanet.errors import AcanetError
from acanet.training.interrupt import start_worker

_REMEDY = "free memory, or go on with --resume and fewer data.workers (0: none)"


def load_items(
    dataset: Any, items: range, workers: int, *, pinned: bool, collate: Callable[[Any], Any] = default_convert
) -> Iterator[Any]:
    """The items of a dataset in their order.

    Args:
        dataset: gives an item by its number.
        items: the numbers.
        workers: processes that make items ahead; 0: none.
        pinned: whether tensors come in memory from which a GPU copies faster.
        collate: makes tensors of an item, in the process that made it.

    Raises:
        AcanetError: what making an item raises, and when there is no memory to hand it over.
    """
    loader: DataLoader[Any] = DataLoader(
        _Told(dataset, collate),
        batch_size=None,
        sampler=items,
        num_workers=workers,
        worker_init_fn=start_worker,
        pin_memory=pinned,
        collate_fn=_as_it_is,
    )
    for item in loader:
        if isinstance(item, AcanetError):
            raise item
        yield item


@contextmanager
def deaths_told() -> Iterator[None]:
    """The death of a process that makes items is an error of acanet; torch raises it wherever the program is just then.

    Raises:
        AcanetError: when one dies.
    """
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise AcanetError(f"a process that makes batches died ({error}); {_REMEDY}") from None


@dataclass(frozen=True)
class _Told(Dataset[Any]):
    """A dataset whose errors come as items: raised in a process, they would come as others, or not at all."""

    dataset: Any
    collate: Callable[[Any], Any]

    def __getitem__(self, number: int) -> Any:
        try:
            item = self.collate(self.dataset[number])
        except AcanetError as error:
            return error
        if get_worker_info() is None:
            return item
        try:
            parts = [part.share_memory_() if isinstance(part, Tensor) else part for part in item]
        except RuntimeError as error:
            return AcanetError(f"a batch has no room in shared memory ({error}); {_REMEDY}")
        return type(item)(*parts) if isinstance(item, tuple) else parts


def _as_it_is(item: Any) -> Any:
    return item
