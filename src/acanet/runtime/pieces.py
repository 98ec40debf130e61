"""A recording embedded in pieces, in constant memory: the arithmetic over the stages of a bundle.

    samples -> features -> spilled, and summed           while they come
    features, their mean -> frames -> pass 1, spilled    when the embedding is asked for
    frames -> pass 2, ...
    latents -> embedding

A frame depends on the mean of the features over the recording, so nothing of the second line can be kept when the
recording goes on. `acanet.export.stages` says what each stage computes, and how the sums of two pieces add up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from acanet.errors import AcanetError
from acanet.runtime.bundle import Pieces
from acanet.runtime.front_end import FrontEndConfig
from acanet.runtime.spill import MEMORY, Floats, Spill

WHOLE_SECONDS = 60.0
"""What is longer is embedded in pieces, where the model can. Pieces are as quick; a minute as a whole takes some 50 MB,
and every further minute as much again."""
PIECE = 3000
"""Frames of features in a piece: half a minute of speech. Shorter pieces take longer, for what a frame sees around them
is computed twice; longer ones are no quicker, and take more memory."""


class Run(Protocol):
    """What runs a stage, as `acanet.runtime.onnx.OnnxNetwork.run`."""

    def __call__(self, stage: str, **inputs: Any) -> list[NDArray[Any]]:
        """The outputs, in order."""


class Piecewise:
    """A recording that is fed in blocks of any size; a context manager, which removes the temporary file."""

    def __init__(
        self, run: Run, pieces: Pieces, front_end: FrontEndConfig, *, piece: int = PIECE, memory: int = MEMORY
    ) -> None:
        """Nothing is heard yet.

        Args:
            run: runs a stage of the bundle.
            pieces: the bundle's.
            front_end: the model's.
            piece: frames of features in a piece, rounded up to whole frames.
            memory: bytes of features, and as many of frames, that stay in memory.
        """
        self._run, self._pieces, self._memory = run, pieces, memory
        self._window, self._hop = front_end.window, front_end.hop
        self._piece = -(-piece // pieces.stride) * pieces.stride
        self._pending: list[Floats] = []  # samples of features to come
        self._waiting = 0
        self._features = Spill(memory=memory)
        self._sum: NDArray[np.float64] = np.zeros(front_end.mels)
        self._removes_mean = front_end.remove_mean

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the temporary file."""
        self._features.close()

    def feed(self, waveform: Floats) -> None:
        """Hear the next samples, (samples,), at the model's rate."""
        self._pending.append(waveform)
        self._waiting += len(waveform)
        full = (self._piece - 1) * self._hop + self._window
        if self._waiting < full:
            return
        samples = np.concatenate(self._pending)
        while len(samples) >= full:
            (features,) = self._run("features", waveforms=samples[None, :full])
            self._features.append(features[0])
            self._sum += features[0].sum(axis=0, dtype=np.float64)
            samples = samples[self._piece * self._hop :]
        self._pending, self._waiting = [samples.copy()], len(samples)

    def embedding(self, rest: Floats | None = None) -> Floats:
        """The embedding of what was heard; it may go on afterwards.

        It takes the time of all passes over all features: nothing is left of an earlier one.

        Args:
            rest: (samples,) that come after it, for this embedding only.

        Returns:
            (dim,), of unit length.

        Raises:
            AcanetError: when that is less than a window; here, and while it is fed, when there is no room for the
                temporary file.
        """
        count = self._features.count
        try:
            total = self._with_rest([] if rest is None else [rest])
            mean = total / self._features.count if self._removes_mean else np.zeros_like(total)
            return self._attend(mean.astype(np.float32))
        finally:
            self._features.truncate(count)

    def _with_rest(self, rest: list[Floats]) -> NDArray[np.float64]:
        """Append the features of the samples that wait for more; the sum of all features, (mels,)."""
        samples = np.concatenate([*self._pending, *rest, np.empty(0, np.float32)])
        total = self._sum
        while len(samples) >= self._window:
            most = (self._piece - 1) * self._hop + self._window
            (features,) = self._run("features", waveforms=samples[None, :most])
            self._features.append(features[0])
            total = total + features[0].sum(axis=0, dtype=np.float64)
            samples = samples[len(features[0]) * self._hop :]
        if not self._features.count:
            raise AcanetError(f"{len(samples)} samples are less than a window of {self._window}")
        return total

    def _attend(self, mean: Floats) -> Floats:
        """All passes, and the readout."""
        latents, queries = self._run("latents-0")
        with Spill(memory=self._memory) as spilled:
            frames: Iterable[Floats] = self._frames(mean, spilled if self._pieces.passes > 1 else None)
            for number in range(1, self._pieces.passes + 1):
                means = dict(zip(("mean", "square"), self._heard(queries, frames), strict=False))
                latents, *more = self._run(f"latents-{number}", before=latents, **means)
                queries = more[0] if more else queries
                frames = (piece[None] for piece in spilled.blocks(self._piece // self._pieces.stride))
        embedding: Floats = self._run("readout", latents=latents)[0][0]
        return embedding

    def _frames(self, mean: Floats, spilled: Spill | None) -> Iterator[Floats]:
        """Frames in pieces, (1, frames, channels), each computed with the features around it, which it sees."""
        count, reach, stride = self._features.count, self._pieces.reach, self._pieces.stride
        before = -(-reach // stride) * stride
        for first in range(0, count, self._piece):
            last = min(first + self._piece, count)
            start, end = max(0, first - before), min(last + reach, count)
            features = self._features.read(start, end)
            (frames,) = self._run("frames", features=features[None], mean=mean, start=np.array(start // stride))
            skipped = (first - start) // stride
            piece = frames[:, skipped : skipped - (first - last) // stride]
            if spilled is not None:
                spilled.append(piece[0])
            yield piece

    def _heard(self, queries: NDArray[Any], pieces: Iterable[Floats]) -> Floats:
        """Running softmax: means of the frames under the attention, and of their squares if the model has them."""
        highest: Any = -np.inf
        total: Any = 0.0
        sums: Any = 0.0
        for piece in pieces:
            top, weight, *values = self._run("pass", queries=queries, frames=piece)
            higher = np.maximum(highest, top)
            old, new = np.exp(highest - higher), np.exp(top - higher)
            total = total * old + weight * new.astype(np.float64)
            sums = sums * old + np.stack(values) * new.astype(np.float64)
            highest = higher
        means: Floats = (sums / total).astype(np.float32)
        return means
