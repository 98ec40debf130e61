"""Aggregators of which each pass over the frames is a sum, so that the sums of pieces add up to that of the whole.

A pass is a softmax over the frames for each of some queries, and the sums of the frames (and perhaps of their squares)
under it. With weights exp(score - highest score), the sums of two pieces add up once both are brought to the higher one
of their highest scores (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018).
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from acanet.models.base import Aggregator

_LEAST = -60.0
"""What a score below the best one counts at least: its exponential (1e-26) weighs nothing, and a sum of such numbers is
not made of denormals, which processors are up to a hundred times slower with."""


class AggregatorInPasses(Aggregator):
    """Latents that attend to the frames: prepare, start; in each pass attend, step; finish.

    `forward` is these composed, and so is what runs a recording in pieces; there is no other arithmetic. What goes from
    one pass to the next is a state and the queries. The mean of the frames under the attention of each query, and
    perhaps that of their squares, goes from a pass to the step after it.
    """

    def __init__(self, passes: int) -> None:
        super().__init__()
        self.passes = passes

    @abstractmethod
    def prepare(self, frames: Tensor, first: Tensor | int = 0) -> Tensor:
        """Each frame alone, (batch, frames, channels), as all passes see it; `first` is the number of the first."""

    @abstractmethod
    def start(self) -> tuple[Tensor, Tensor]:
        """State and queries before the first pass, the same for every recording: (rows, numbers) each."""

    @abstractmethod
    def scores(self, queries: Tensor, frames: Tensor) -> Tensor:
        """(rows, numbers) or (batch, rows, numbers), and prepared frames -> (batch, queries, frames)."""

    @abstractmethod
    def sums(self, weights: Tensor, frames: Tensor) -> tuple[Tensor, ...]:
        """Sums of the frames, and perhaps of their squares, under weights (batch, queries, frames).

        Each is (batch, queries, numbers).
        """

    @abstractmethod
    def step(self, number: int, state: Tensor, *means: Tensor) -> tuple[Tensor, Tensor | None]:
        """What happens after a pass.

        Args:
            number: of the pass, from 0.
            state: as `start`, or the step before, gave it.
            means: `sums` under the attention of the pass.

        Returns:
            The state, and the queries of the next pass, None after the last.
        """

    @abstractmethod
    def finish(self, state: Tensor) -> Tensor:
        """What the last step gave -> (batch, features) or (batch, latents, features)."""

    def by_latent(self, attention: Tensor) -> Tensor:
        """The attention of each latent for people to look at: (batch, queries, frames) -> (batch, latents, frames)."""
        return attention

    def attend(self, queries: Tensor, frames: Tensor, mask: Tensor | None = None) -> tuple[Tensor, ...]:
        """One pass over prepared frames, or over some of them.

        Args:
            queries: as `scores` takes them.
            frames: (batch, frames, channels).
            mask: (batch, frames) how much each counts; None when all count the same.

        Returns:
            The highest score of each query, (batch, queries, 1); the exponentials of all scores less that one,
            (batch, queries, frames); and `sums` under them.
        """
        highest, weights = exponentials(self.scores(queries, frames), mask)
        return highest, weights, *self.sums(weights, frames)

    def means(self, number: int, queries: Tensor, frames: Tensor, mask: Tensor | None) -> tuple[Tensor, ...]:
        """What a pass over all frames gives the step after it."""
        return self.heard(self.scores(queries, frames), frames, mask)

    def heard(self, scores: Tensor, frames: Tensor, mask: Tensor | None) -> tuple[Tensor, ...]:
        """The means of frames, `sums`, under the softmax of scores; in training by torch's own, fused one.

        Args:
            scores: (batch, queries, frames).
            frames: (batch, frames, numbers).
            mask: (batch, frames) how much each counts; None when all count the same.
        """
        if self.training:
            return self.sums(softmax(scores, mask), frames)
        _, weights = exponentials(scores, mask)
        total = weights.sum(dim=-1, keepdim=True)
        return tuple(each / total for each in self.sums(weights, frames))

    def forward(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, frames, channels) -> (batch, features) or (batch, latents, features)."""
        frames = self.prepare(frames)
        state, _ = self._after(self.passes, frames, mask)
        return self.finish(state)

    def attention(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, frames, channels) -> (batch, latents, frames): what the last pass attends to."""
        frames = self.prepare(frames)
        _, queries = self._after(self.passes - 1, frames, mask)
        assert queries is not None
        _, weights, *_ = self.attend(queries, frames, mask)
        return self.by_latent(weights / weights.sum(dim=-1, keepdim=True))

    def _after(self, passes: int, frames: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """State and queries after so many passes over prepared frames."""
        state, queries = self.start()
        following: Tensor | None = queries
        for number in range(passes):
            assert following is not None
            state, following = self.step(number, state, *self.means(number, following, frames, mask))
        return state, following


def softmax(scores: Tensor, mask: Tensor | None = None) -> Tensor:
    """Scores (batch, rows, frames) -> weights that add up to one over the frames that count."""
    return counted(scores, mask).softmax(dim=-1)


def exponentials(scores: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Scores (..., rows, frames) -> the highest of each row, and exp(scores - highest)."""
    scores = counted(scores, mask)
    highest = scores.amax(dim=-1, keepdim=True)
    return highest, (scores - highest).clamp(min=_LEAST).exp()


def mean_under(scores: Tensor, values: Tensor) -> Tensor:
    """The softmax of scores times values."""
    _, weights = exponentials(scores)
    return (weights @ values) / weights.sum(dim=-1, keepdim=True)


def counted(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Scores (batch, rows, frames), changed so that their exponentials count as much as the mask says.

    Args:
        scores: of each frame.
        mask: (batch, frames) as `acanet.models.base.Aggregator.forward` takes it.
    """
    return scores if mask is None else scores + mask.to(scores).log().unsqueeze(1)


def product(x: Tensor, matrix: Tensor, offset: Tensor) -> Tensor:
    """(..., inputs) -> (..., outputs)."""
    return torch.matmul(x, matrix) + offset
