"""The discriminant projection after the head, learned from the training speakers once the network is trained.

Linear discriminant analysis (Fisher, "The use of multiple measurements in taxonomic problems", Annals of Eugenics,
1936; a ridge on the scatter within speakers as in Friedman, "Regularized discriminant analysis", JASA, 1989), in which
each direction is weighted by how much of its variance is between speakers, as PLDA would. Lengths count in what comes
out: see `acanet.models.parts.discriminant`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from acanet.audio.blocks import Waveform
from acanet.data.augment.chain import Chain
from acanet.data.augment.voices import Voice
from acanet.data.feed.batches import TrainingBatches
from acanet.data.feed.whole import whole_in
from acanet.errors import AcanetError, BadConfig
from acanet.models.config import ExtractorConfig, ModelConfig
from acanet.models.extractor import Extractor
from acanet.models.parts.discriminant import Discriminant
from acanet.scoring.cosine import unit
from acanet.scoring.discriminant_analysis import (
    Labels,
    Matrix,
    by_speaker,
    discriminants,
    most_directions,
    ridged,
    scatter,
    upright,
)
from acanet.training.recipe import DiscriminantFit, Recipe

CHUNK = 32
"""Utterances that are read and embedded together, in all their forms."""


@dataclass(frozen=True, eq=False)
class Projection:
    """The projection, as `acanet.models.parts.discriminant.Discriminant` computes with it.

    Attributes:
        centre: (dim,) mean of the speakers' means.
        matrix: (directions, dim), the direction in which speakers differ most first.
        lift: the constant coordinate.
    """

    centre: Matrix
    matrix: Matrix
    lift: float


@dataclass(frozen=True, slots=True)
class Fitted:
    """The facts that a model card tells of the projection of its model.

    Attributes:
        fit: how it was fitted.
        utterances: that it was learned from.
        speakers: of these.
        eer: dev EER with it; None without a dev set.
    """

    fit: DiscriminantFit
    utterances: int
    speakers: int
    eer: float | None


def check_discriminant(recipe: Recipe, config: ModelConfig, speakers: Sequence[int]) -> None:
    """See that what a recipe says of a discriminant can be done, before the training that it comes after.

    Args:
        recipe: of the run.
        config: the model's.
        speakers: number of the speaker of each training utterance.

    Raises:
        BadConfig: when the model brings a discriminant of its own, or has no place for one.
        AcanetError: for more directions than there are, or than so many speakers span.
    """
    if isinstance(config, ExtractorConfig) and config.discriminant is not None:
        problem = "it is fitted after training, not trained: ask for it by the recipe's own key `discriminant`"
        raise BadConfig("the recipe", [f"model.change.discriminant: {problem}"])
    if recipe.discriminant is None:
        return
    if not isinstance(config, ExtractorConfig):
        problem = f"model {recipe.model.name!r} is not frames, aggregator and head, and has no place for it"
        raise BadConfig("the recipe", [f"discriminant: {problem}"])
    kept = np.asarray(speakers)[several(speakers)]
    _require(kept, config.head_dim, recipe.discriminant.directions)


def several(speakers: Labels) -> NDArray[np.intp]:
    """The numbers of the utterances of speakers (utterances,) with more than one."""
    _, of, counts = np.unique(np.asarray(speakers), return_inverse=True, return_counts=True)
    return np.flatnonzero(counts[of] > 1)


class Views:
    """The waveforms that the projection is learned from, chunk by chunk.

    Each utterance is there whole: as it is, faster or slower, and made worse.

    Args:
        batches: of the run, which know audio and speakers.
        speeds: at which an utterance is one of another speaker.
        chains: of effects, with each of which an utterance counts once more.
        rate: samples a second.
    """

    def __init__(self, batches: TrainingBatches, speeds: Sequence[float], chains: Sequence[Chain], rate: int) -> None:
        self.batches, self.speeds, self.chains, self.rate = batches, speeds, chains, rate
        self.utterances = several(batches.speakers)

    @property
    def speakers(self) -> NDArray[np.intp]:
        """The numbers of the speakers of the views, in their order."""
        own = np.asarray(self.batches.speakers, dtype=np.intp)[self.utterances]
        others = [own + place * len(self.batches.utterances) for place in range(1, 1 + len(self.speeds))]
        return np.stack([own, *others, *(own for _ in self.chains)], axis=1).ravel()

    def __len__(self) -> int:
        return -(-len(self.utterances) // CHUNK)

    def __getitem__(self, chunk: int) -> list[Waveform]:
        """The waveforms (samples,) of a chunk: all of an utterance, then all of the next."""
        chosen = self.utterances[chunk * CHUNK : (chunk + 1) * CHUNK]
        return [view for utterance in chosen.tolist() for view in self._of(utterance)]

    def _of(self, utterance: int) -> list[Waveform]:
        played = whole_in(self.batches.audio, utterance, self.rate, [Voice(speed) for speed in self.speeds])
        worse = [self.batches.changed(played[0], utterance, chain, number) for number, chain in enumerate(self.chains)]
        return [*played, *worse]


def with_discriminant(
    model: Extractor, embeddings: NDArray[np.floating], speakers: Labels, fit: DiscriminantFit
) -> Extractor:
    """A copy of a model with a discriminant that was learned from its embeddings (views, dim) of training speech.

    Raises:
        AcanetError: as `fit_discriminant`, whose other arguments are those of `fit`.
    """
    found = fit_discriminant(embeddings, speakers, directions=fit.directions, ridge=fit.ridge, lift=fit.lift)
    centre, matrix = (torch.from_numpy(array).float() for array in (found.centre, found.matrix))
    device = next(model.parameters()).device
    return model.with_discriminant(Discriminant.of(centre, matrix, found.lift).to(device))


def fit_discriminant(
    embeddings: NDArray[np.floating], speakers: Labels, *, directions: int, ridge: float, lift: float
) -> Projection:
    """Learn in which directions speakers differ, and how their own utterances do.

    With the scatter within speakers W (and the ridge) and that of the speakers' means B, both a mean over their items,
    the directions are the generalised eigenvectors B v = b W v with v' W v = 1 and the largest b, each weighted by
    sqrt(b / (1 + b)).

    Args:
        embeddings: (utterances, dim); only their directions count.
        speakers: (utterances,) who speaks; those of a single utterance are left out.
        directions: how many are kept.
        ridge: added to the variance within speakers in every direction, as a share of the mean one.
        lift: the constant coordinate, as a multiple of the root mean square length of what is projected.

    Raises:
        AcanetError: when there are not more speakers than directions, or all utterances of a speaker are the same.
        BadArgument: for embeddings of length zero, or of numbers that are not finite.
    """
    chosen = several(speakers)
    kept = np.asarray(speakers)[chosen]
    _require(kept, embeddings.shape[1], directions)
    vectors = unit(embeddings[chosen].astype(np.float64))
    seen = by_speaker(vectors, kept)
    means = seen.means
    centre = means.mean(axis=0)
    axes, ratios = discriminants(ridged(scatter(vectors - means[seen.of]), ridge), scatter(means - centre))
    matrix = (upright(axes) * np.sqrt(ratios / (1 + ratios))[:, None])[:directions]
    projected = (vectors - centre) @ matrix.T
    length = np.sqrt((projected**2).sum(axis=1).mean())
    return Projection(centre, matrix, float(lift * length))


def _require(speakers: Labels, dim: int, directions: int) -> None:
    """See that speakers with several utterances, (utterances,), span so many directions.

    Raises:
        AcanetError: when they do not.
    """
    several = len(np.unique(speakers))
    if several < 2:
        raise AcanetError(
            f"a discriminant of {several} speakers with several utterances; how voices differ is learned from two such "
            "speakers at least, better from hundreds"
        )
    most = most_directions(speakers, dim)
    if not 1 <= directions <= most:
        raise AcanetError(
            f"discriminant.directions is {directions}; from 1 to {most} are possible with {several} speakers with "
            f"several utterances and embeddings of {dim} numbers"
        )
