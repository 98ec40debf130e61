"""Windows -> speakers: agglomerative clustering with average linkage.

Two windows are as close as they are likely to be of one voice. With a calibration that is their log-likelihood ratio,
which knows that one second says less than three, so that one threshold serves windows of any lengths and any model;
without one it is their cosine.

SciPy makes the tree, as it does for scikit-learn's `AgglomerativeClustering`, and keeps it, so that it can be cut
anywhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acanet.errors import AcanetError, MissingExtra
from acanet.scoring.calibrate import Calibration

Floats = NDArray[np.float64]
Labels = NDArray[np.intp]

LEAST, SHARE = 6, 8
"""Windows that a voice has, and of fewer than `LEAST * SHARE` one in so many: smaller clusters are mostly windows in
which two voices meet. Chosen on dev speakers, with `benchmarks/segments.py`. Where the number of voices is known, see
`_cut`."""


def closeness(embeddings: NDArray[np.float32], seconds: Floats, calibration: Calibration | None) -> Floats:
    """How likely each pair of windows is of one voice, (windows, windows).

    Args:
        embeddings: (windows, dim), of unit length.
        seconds: (windows,) of speech in each.
        calibration: of the model; None: cosines in place of log-likelihood ratios.
    """
    cosines = (embeddings @ embeddings.T).astype(np.float64)
    return cosines if calibration is None else calibration.llr(cosines, seconds[:, None], seconds)


def cluster(close: Floats, *, speakers: int | None = None, threshold: float = 0.0) -> Labels:
    """Number the voices.

    Clusters are joined, the closest first, as long as the mean closeness of their windows is `threshold` or more, or
    until as many voices as there are `speakers` are left. Then each window of a cluster too small for a voice goes to
    the voice that is closest in the mean.

    Args:
        close: (windows, windows), as from `closeness`; at least one window.
        speakers: how many there are; None: as many as the threshold leaves.
        threshold: without meaning where the number is known.

    Returns:
        (windows,) number of the voice, from 0.

    Raises:
        AcanetError: for fewer windows than speakers.
        MissingExtra: without SciPy.
    """
    try:
        from scipy.cluster.hierarchy import fcluster, linkage
        from scipy.spatial.distance import squareform
    except ImportError:
        raise MissingExtra("scipy", "train") from None
    windows = len(close)
    if speakers is not None and speakers > windows:
        raise AcanetError(f"{speakers} speakers, but only {windows} windows of speech; give fewer")
    if windows == 1:
        return np.zeros(1, np.intp)
    far = close.max() - close
    np.fill_diagonal(far, 0)
    tree = linkage(squareform(far, checks=False), "average")
    if speakers is None:
        least = min(max(windows // SHARE, 1), LEAST)
        return _voices(close, fcluster(tree, close.max() - threshold, "distance"), least)
    count, least = _cut(tree, speakers)
    tree[:, 2] = np.arange(len(tree))  # the order in which clusters were joined, so that no tie changes their number
    return _voices(close, fcluster(tree, count, "maxclust"), least)


def _cut(tree: Floats, speakers: int) -> tuple[int, int]:
    """The number of clusters at which so many of them are voices, and the windows that a voice has there.

    That is as many as where the number of voices is not known, but two at least: a single window is more often one in
    which two voices meet, or that is like nobody, than a voice. Where no cut leaves as many such clusters, fewer
    windows are enough. Of several cuts, it is the one with the fewest clusters.

    Args:
        tree: (windows - 1, 4), as SciPy's `linkage` makes it.
        speakers: how many voices there are, at most as many as windows.
    """
    windows = len(tree) + 1
    for least in range(min(max(windows // SHARE, 2), LEAST), 1, -1):
        sizes, voices, found = [1] * windows, 0, 0
        for step, (one, other) in enumerate(tree[:, :2].astype(int).tolist(), 1):
            sizes.append(sizes[one] + sizes[other])
            voices += (sizes[-1] >= least) - (sizes[one] >= least) - (sizes[other] >= least)
            if voices == speakers:
                found = windows - step
        if found:
            return found, least
    return speakers, 1


def _voices(close: Floats, labels: Labels, least: int) -> Labels:
    """Number the clusters of so many windows from 0, and give the other windows to them."""
    sizes = np.bincount(labels)
    large = np.flatnonzero(sizes >= min(least, sizes.max()))
    means = np.stack([close[:, labels == label].mean(axis=1) for label in large], axis=1)
    own = labels[:, None] == large
    numbers: Labels = np.where(own.any(axis=1), own.argmax(axis=1), means.argmax(axis=1))
    return numbers
