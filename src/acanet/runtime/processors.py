"""How many threads are worth starting."""

from __future__ import annotations

import os
from numbers import Integral

from acanet.errors import AcanetError


def at_most_processors(asked: int, what: str) -> int:
    """So many threads as were asked for, or one for each processor, beyond which they only wait for one another.

    Args:
        asked: 1 or more.
        what: the argument's name.

    Raises:
        AcanetError: for another number.
    """
    if not isinstance(asked, Integral) or isinstance(asked, bool) or asked < 1:
        raise AcanetError(f"{what} is {asked!r}; 1 or more are needed, up to the number of processors")
    return min(int(asked), os.cpu_count() or 1)
