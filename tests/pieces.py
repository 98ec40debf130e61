"""A recording embedded in pieces by the stages of a bundle: numpy and a function that runs a stage."""

from __future__ import annotations

import numpy as np


def embed_in_pieces(run, waveform, front_end, reach, stride, passes, chunk):
    """The embedding of a waveform, (1, dim).

    Args:
        run: (stage, **inputs) -> outputs, as `acanet.runtime.Network.run`.
        waveform: (samples,).
        front_end: its config.
        reach, stride, passes: of `acanet.bundle.Pieces`.
        chunk: frames of features in a piece; a multiple of stride.
    """
    features = _features(run, waveform, front_end, chunk)
    mean = features.mean(axis=1, dtype=np.float64)[0].astype(np.float32)
    frames = _frames(run, features, mean, reach, stride, chunk)
    latents, queries = run("latents-0")
    for number in range(1, passes + 1):
        heard = _heard(run, queries, frames)
        means = dict(zip(("mean", "square"), heard, strict=False))
        latents, *more = run(f"latents-{number}", before=latents, **means)
        queries = more[0] if more else None
    return run("readout", latents=latents)[0]


def _features(run, waveform, front_end, chunk):
    window, hop = front_end.window, front_end.hop
    count = (len(waveform) - window) // hop + 1
    pieces = []
    for first in range(0, count, chunk):
        last = min(first + chunk, count) - 1
        piece = waveform[first * hop : last * hop + window]
        pieces.append(run("features", waveforms=piece[None])[0])
    return np.concatenate(pieces, axis=1)


def _frames(run, features, mean, reach, stride, chunk):
    """Pieces of frames; each is computed with the features around it, which it sees."""
    count, before = features.shape[1], -(-reach // stride) * stride
    pieces = []
    for first in range(0, count, chunk):
        start, end = max(0, first - before), min(first + chunk + reach, count)
        start_frame = np.array(start // stride)
        (piece,) = run("frames", features=features[:, start:end], mean=mean, start=start_frame)
        skipped, wanted = (first - start) // stride, -(-(min(first + chunk, count) - first) // stride)
        pieces.append(piece[:, skipped : skipped + wanted])
    return pieces


def _heard(run, queries, pieces):
    """Running softmax: means of the frames under the attention, and of their squares if the model has them."""
    highest, total, sums = -np.inf, 0.0, 0.0
    for piece in pieces:
        top, weight, *values = run("pass", queries=queries, frames=piece)
        higher = np.maximum(highest, top)
        old, new = np.exp(highest - higher), np.exp(top - higher)
        total = total * old + weight * new.astype(np.float64)
        sums = sums * old + np.stack(values) * new.astype(np.float64)
        highest = higher
    return (sums / total).astype(np.float32)
