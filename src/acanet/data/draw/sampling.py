"""Draws without replacement from many strata at once, none of which is ever listed as a whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


def even_shares(sizes: Counts, total: int, generator: np.random.Generator) -> Counts:
    """The number of items to take from each stratum so that all give the same number, as far as they can.

    Args:
        sizes: (strata,) how many each has.
        total: how many are wanted; with more than there are, all are taken.
        generator: decides which strata give one more, where it does not come out even.

    Returns:
        (strata,) counts that differ by one at most, but for strata that give all they have.

    >>> even_shares(np.array([2, 9, 9]), 12, np.random.default_rng(0)).tolist()
    [2, 5, 5]
    """
    if total >= sizes.sum():
        return sizes
    low, high = 0, total  # the most that every stratum can give: low fits, high + 1 does not
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if np.minimum(sizes, middle).sum() <= total else (low, middle - 1)
    shares = np.minimum(sizes, low)
    more = generator.choice(np.flatnonzero(sizes > low), total - shares.sum(), replace=False)
    shares[more] += 1
    return shares


def draw_each(sizes: Counts, shares: Counts, generator: np.random.Generator) -> Counts:
    """Take `shares[s]` different items from stratum s, every choice of them as likely as any other.

    Time and memory grow with what is taken, not with what there is.

    Args:
        sizes: (strata,) how many items each has.
        shares: (strata,) how many to take of each, at most its size.
        generator: decides which.

    Returns:
        (taken,) the items' places, sorted, when all strata stand one after the other.
    """
    most = 2 * shares > sizes
    begins = np.cumsum(sizes) - sizes
    few = _rarely(sizes, np.where(most, 0, shares), generator)
    # Of what gives more than half, draw what it keeps.
    kept = _rarely(sizes, np.where(most, sizes - shares, 0), generator)
    taken = np.setdiff1d(_all_of(begins[most], sizes[most]), kept, assume_unique=True)
    return np.sort(np.concatenate([few, taken]))


def _all_of(begins: Counts, sizes: Counts) -> Counts:
    """The places from each begin on."""
    offsets = np.cumsum(sizes) - sizes
    return np.repeat(begins - offsets, sizes) + np.arange(sizes.sum())


def _rarely(sizes: Counts, shares: Counts, generator: np.random.Generator) -> Counts:
    """The `draw_each` of at most half of each stratum: draw again what was drawn before, until nothing was."""
    ends = np.cumsum(sizes)
    taken = np.empty(0, np.int64)
    missing = shares
    while missing.any():
        stratum = np.repeat(np.arange(len(sizes)), missing)
        drawn = (ends - sizes)[stratum] + generator.integers(0, sizes[stratum])
        both = np.sort(np.concatenate([taken, drawn]))
        taken = both[np.diff(both, prepend=-1) > 0]
        missing = shares - np.bincount(np.searchsorted(ends, taken, side="right"), minlength=len(sizes))
    return taken
