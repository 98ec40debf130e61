"""A recording embedded in pieces, in constant memory: the arithmetic over the stages of a bundle.

    samples -> features -> spilled, and heard for speech    while they come
    features -> their floor, their mean over the speech     when the embedding is asked for
    features -> frames -> pass 1, spilled
    frames -> pass 2, ...
    latents -> embedding

A frame depends on the level and the mean of the features over the recording, so nothing of the second line, and of
those below, can be kept when the recording goes on. `acanet.export.stages` says what each stage computes, and how the
sums of two pieces add up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from acanet.errors import AcanetError
from acanet.runtime.bundle import Pieces
from acanet.runtime.detector import SpeechDetector
from acanet.runtime.features import PIECE, FeatureStream, Run
from acanet.runtime.front_end import DECIBEL, FrontEndConfig
from acanet.runtime.speech_map import SpeechMap
from acanet.runtime.spill import MEMORY, Floats, Spill
from acanet.speech.steps import STEP

WHOLE_SECONDS = 60.0
"""What is longer is embedded in pieces, where the model can. Pieces are as quick; a minute as a whole takes some 50 MB,
and every further minute as much again."""


class Piecewise:
    """A recording that is fed in blocks of any size; a context manager, which removes the temporary file."""

    def __init__(
        self,
        run: Run,
        pieces: Pieces,
        front_end: FrontEndConfig,
        detector: SpeechDetector | None,
        *,
        piece: int = PIECE,
        memory: int = MEMORY,
    ) -> None:
        """Nothing is heard yet.

        Args:
            run: runs a stage of the bundle.
            pieces: the bundle's.
            front_end: the model's.
            detector: what finds speech, where the front end does not.
            piece: frames of features in a piece, rounded up to whole frames.
            memory: bytes of features, and as many of frames, that stay in memory.
        """
        self._run, self._pieces, self._memory, self._front_end = run, pieces, memory, front_end
        self._piece = -(-piece // pieces.stride) * pieces.stride
        self._stream = FeatureStream(
            lambda samples: run("features", waveforms=samples[None])[0][0], front_end.window, front_end.hop, self._piece
        )
        self._features = Spill(memory=memory)
        self._detector = detector
        self._map = SpeechMap(lambda rows: np.concatenate(run("speech", features=rows[None])))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the temporary file."""
        self._features.close()

    def feed(self, waveform: Floats) -> None:
        """Hear the next samples, (samples,), at the model's rate."""
        self._take(self._stream.feed(waveform))
        if self._detector is not None:
            self._detector.feed(waveform)

    def speech(self, rest: Floats | None = None) -> Floats:
        """The probability of speech in each step, (steps,).

        Args:
            rest: (samples,) that come after what was heard, for this time only.
        """
        if self._detector is not None:
            return self._detector.speech(rest)
        self._take(self._stream.flush())
        found: Floats = self._map.so_far(self._stream.rest(rest))[0]
        return found

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
        self._take(self._stream.flush())
        count, tail = self._features.count, list(self._stream.rest(rest))
        try:
            for rows in tail:
                self._features.append(rows)
            if not self._features.count:
                raise AcanetError(f"there are less than {self._front_end.window} samples, which are a window")
            return self._attend(self._scaling(tail))
        finally:
            self._features.truncate(count)

    def _take(self, features: Iterable[Floats]) -> None:
        for rows in features:
            self._features.append(rows)
            if self._detector is None:
                self._map.feed(rows)

    def _scaling(self, tail: Sequence[Floats]) -> _Scaling:
        """What the features are measured by, now that all of them are known; `tail` are those that are not kept."""
        count, front_end = self._features.count, self._front_end
        spoken = np.ones(count)
        if front_end.hears_speech:
            found = np.repeat(self._map.so_far(tail)[1], STEP)[:count].astype(np.float64)
            spoken = found if found.any() else spoken
        floor = None
        if front_end.floor_db is not None:
            powers = (np.exp(rows).mean(axis=1) for rows in self._features.blocks(self._piece))
            power = np.concatenate(list(powers)) @ spoken / spoken.sum()
            floor = np.float32(np.log(power) - front_end.floor_db * DECIBEL)
        counts = spoken if front_end.speech_only else np.ones(count)
        mean = np.zeros(front_end.mels)
        if front_end.remove_mean:
            for place, rows in zip(range(0, count, self._piece), self._features.blocks(self._piece), strict=True):
                above = rows if floor is None else np.maximum(rows, floor)
                mean += counts[place : place + len(rows)] @ above
            mean /= counts.sum()
        return _Scaling(mean.astype(np.float32), floor, counts.astype(np.float32) if front_end.speech_only else None)

    def _attend(self, scaling: _Scaling) -> Floats:
        """All passes, and the readout."""
        latents, queries = self._run("latents-0")
        with Spill(memory=self._memory) as spilled:
            frames: Iterable[Floats] = self._frames(scaling, spilled if self._pieces.passes > 1 else None)
            for number in range(1, self._pieces.passes + 1):
                means = dict(zip(("mean", "square"), self._heard(queries, frames, scaling.counts), strict=False))
                latents, *more = self._run(f"latents-{number}", before=latents, **means)
                queries = more[0] if more else queries
                frames = (piece[None] for piece in spilled.blocks(self._piece // self._pieces.stride))
        embedding: Floats = self._run("readout", latents=latents)[0][0]
        return embedding

    def _frames(self, scaling: _Scaling, spilled: Spill | None) -> Iterator[Floats]:
        """Frames in pieces, (1, frames, channels), each computed with the features around it, which it sees."""
        count, reach, stride = self._features.count, self._pieces.reach, self._pieces.stride
        before = -(-reach // stride) * stride
        floor = {} if scaling.floor is None else {"floor": np.asarray(scaling.floor)}
        for first in range(0, count, self._piece):
            last = min(first + self._piece, count)
            start, end = max(0, first - before), min(last + reach, count)
            features = self._features.read(start, end)
            (frames,) = self._run(
                "frames", features=features[None], mean=scaling.mean, start=np.array(start // stride), **floor
            )
            skipped = (first - start) // stride
            piece = frames[:, skipped : skipped - (first - last) // stride]
            if spilled is not None:
                spilled.append(piece[0])
            yield piece

    def _heard(self, queries: NDArray[Any], pieces: Iterable[Floats], counts: Floats | None) -> Floats:
        """Running softmax: means of the frames under the attention, and of their squares if the model has them.

        Args:
            queries: as the stage before gave them.
            pieces: all frames, in order, (1, frames, channels) each.
            counts: (frames of features,) how much each counts; None: all count the same.
        """
        highest: Any = -np.inf
        total: Any = 0.0
        sums: Any = 0.0
        place = 0
        for piece in pieces:
            of_piece = {}
            if counts is not None:
                of_piece = {"counts": counts[:: self._pieces.stride][None, place : place + piece.shape[1]]}
                place += piece.shape[1]
                if not of_piece["counts"].any():
                    continue
            top, weight, *values = self._run("pass", queries=queries, frames=piece, **of_piece)
            higher = np.maximum(highest, top)
            old, new = np.exp(highest - higher), np.exp(top - higher)
            total = total * old + weight * new.astype(np.float64)
            sums = sums * old + np.stack(values) * new.astype(np.float64)
            highest = higher
        means: Floats = (sums / total).astype(np.float32)
        return means


class _Scaling(NamedTuple):
    """What the features of a recording are measured by, which is known once all of them are.

    Attributes:
        mean: (mels,) that is subtracted.
        floor: under which none falls; None: there is none.
        counts: (frames,) how much each counts; None: all the same.
    """

    mean: Floats
    floor: np.float32 | None
    counts: Floats | None
