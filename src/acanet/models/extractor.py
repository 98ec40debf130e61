"""Every extractor is a frame encoder, an aggregator and a head; a config says which."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from acanet.models import config as c
from acanet.models.campplus import Campplus
from acanet.models.discriminant import Discriminant
from acanet.models.ecapa import Ecapa
from acanet.models.frames import Convolution, Pointwise, Spectral, Tdnn
from acanet.models.frontend import FrontEnd, frame_mask
from acanet.models.heads import LinearHeadModule, OwnReadoutHead, SharedReadoutHead
from acanet.models.latents import AcaStatistics, Mla
from acanet.models.layers import full_precision, widened
from acanet.models.pooling import AttentiveStatistics, Mean, Statistics

_FRAMES: dict[type, Callable[..., nn.Module]] = {
    c.PointwiseFrames: Pointwise,
    c.ConvolutionFrames: Convolution,
    c.SpectralFrames: Spectral,
    c.TdnnFrames: Tdnn,
    c.EcapaFrames: Ecapa,
    c.CampplusFrames: Campplus,
}
_AGGREGATORS: dict[type, Callable[..., nn.Module]] = {
    c.MlaAggregator: Mla,
    c.AcaStatisticsAggregator: AcaStatistics,
    c.MeanPooling: lambda channels, _: Mean(channels),
    c.StatisticsPooling: Statistics,
    c.AttentiveStatisticsPooling: AttentiveStatistics,
}


class Extractor(nn.Module):
    """Waveform -> embedding.

    `forward` is the network alone (features -> embedding as the head gives it, what training wants); `embed` goes the
    whole way, through the discriminant where there is one, to embeddings of unit length.
    """

    def __init__(self, config: c.ExtractorConfig) -> None:
        super().__init__()
        self.config = config
        self.front_end = FrontEnd(config.front_end)
        several = {"branches": config.branches} if config.branches > 1 else {}  # only some parts have branches
        self.frames = _FRAMES[type(config.frames)](config.front_end.mels, config.frames, **several)
        aggregator: Any = _AGGREGATORS[type(config.aggregator)](config.frames_channels, config.aggregator, **several)
        self.aggregator = aggregator
        self.head = _head(config, aggregator.features)
        self.discriminant: nn.Module = nn.Identity()
        if config.discriminant is not None:
            self.discriminant = Discriminant(config.head_dim, config.discriminant.directions)

    @property
    def dim(self) -> int:
        """Numbers in an embedding."""
        return self.config.dim

    @property
    def exact_when_padded(self) -> bool:
        """Whether a row of a padded batch gives the embedding that it gives alone."""
        return not isinstance(self.config.frames, c.EcapaFrames)

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Features -> embeddings, not of unit length.

        Args:
            features: (batch, frames, mels), zero in padded frames.
            lengths: (batch,) frames of each row; None when no row is padded.

        Returns:
            (batch, config.head_dim).
        """
        mask = None if lengths is None else frame_mask(lengths, features.shape[1])
        frames, mask = self.frames(features, mask)
        embeddings: Tensor = self.head(self.aggregator(widened(frames), mask))
        return embeddings

    def embed(self, waveforms: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Waveforms (batch, samples) and, when padded, samples of each row -> (batch, dim) of unit length."""
        with full_precision(waveforms):
            features = self.front_end(waveforms, lengths)
        embeddings = widened(self(*features))
        with full_precision(waveforms):
            return functional.normalize(self.discriminant(embeddings))

    def with_discriminant(self, discriminant: Discriminant | None) -> Extractor:
        """A copy that projects what its head gives by this one; None: by none."""
        directions = None if discriminant is None else c.DiscriminantConfig(directions=len(discriminant.matrix))
        other = copy.deepcopy(self)
        other.config = self.config.model_copy(update={"discriminant": directions})
        other.discriminant = nn.Identity() if discriminant is None else discriminant
        return other


def _head(config: c.ExtractorConfig, features: int) -> nn.Module:
    aggregator, head = config.aggregator, config.head
    if not isinstance(aggregator, c.MlaAggregator | c.AcaStatisticsAggregator):
        assert isinstance(head, c.LinearHead)  # ExtractorConfig saw to it
        return LinearHeadModule(features, head, config.branches)
    if isinstance(head, c.LinearHead):
        return LinearHeadModule(aggregator.latents * features, head, config.branches)
    if isinstance(head, c.OwnReadout):
        return OwnReadoutHead(aggregator.latents, features, head)
    return SharedReadoutHead(aggregator.latents, features)
