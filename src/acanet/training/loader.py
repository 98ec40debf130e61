"""Items of a dataset from several processes, whose errors stay what they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch.utils.data import DataLoader, Dataset

from acanet.errors import AcanetError
from acanet.training.interrupt import start_worker

_REMEDY = "free memory, or go on with --resume and fewer data.workers (0: none)"


def load_items(dataset: Any, items: range, workers: int) -> Iterator[Any]:
    """The items of a dataset in their order, as the dataset gives them.

    They should be arrays, not tensors: these would come through memory that processes share, of which containers have
    little, and through files that a killed program leaves behind.

    Args:
        dataset: gives an item by its number.
        items: the numbers.
        workers: processes that make items ahead; 0: none.

    Raises:
        AcanetError: what making an item raises.
    """
    loader: DataLoader[Any] = DataLoader(
        _Told(dataset),
        batch_size=None,
        sampler=items,
        num_workers=workers,
        worker_init_fn=start_worker,
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

    def __getitem__(self, number: int) -> Any:
        try:
            return self.dataset[number]
        except AcanetError as error:
            return error


def _as_it_is(item: Any) -> Any:
    return item
