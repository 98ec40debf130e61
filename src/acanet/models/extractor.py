"""Every extractor is a frame encoder, an aggregator and a head; a config says which."""

from __future__ import annotations

import copy

from torch import Tensor, nn
from torch.nn import functional

from acanet.errors import BadRegistration
from acanet.models.base import Aggregator
from acanet.models.config import ExtractorConfig
from acanet.models.layers import frame_mask, full_precision, upcast
from acanet.models.parts.discriminant import Discriminant, DiscriminantConfig
from acanet.models.passes import AggregatorInPasses


class Extractor(nn.Module):
    """Waveform -> embedding.

    `forward` is the network alone (features -> embedding as the head gives it, what training wants); `embed` goes the
    whole way, through the discriminant where there is one, to embeddings of unit length.
    """

    def __init__(self, config: ExtractorConfig) -> None:
        super().__init__()
        self.config = config
        self.front_end = config.front_end.build()
        self.frames = config.frames.build(config.front_end.mels, config.branches)
        self.aggregator = _aggregator(config)
        features = config.aggregator.features_out(config.frames_channels, config.branches)
        self.head = config.head.build(features, config.aggregator.latents_out, config.branches)
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
        return self.config.exact_when_padded

    def forward(self, features: Tensor, lengths: Tensor | None = None, counts: Tensor | None = None) -> Tensor:
        """Features -> embeddings, not of unit length.

        Args:
            features: (batch, frames, mels), zero in padded frames.
            lengths: (batch,) frames of each row; None when no row is padded.
            counts: (batch, frames) how much each of them counts; None: all that are real count the same.

        Returns:
            (batch, config.head_dim).
        """
        frames, mask = self.encoded(features, lengths, counts)
        embeddings: Tensor = self.head(self.aggregator(upcast(frames), mask))
        return embeddings

    def encoded(self, features: Tensor, lengths: Tensor | None, counts: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The frames of features, and how much each counts, as the aggregator takes them; arguments as `forward`."""
        frames, mask = self.frames(features, None if lengths is None else frame_mask(lengths, features.shape[1]))
        field = self.config.frames.receptive_field
        return frames, mask if counts is None or field is None else counts[:, :: field.stride]

    def embed(self, waveforms: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Waveforms (batch, samples) and, when padded, samples of each row -> (batch, dim) of unit length."""
        return self.hear(waveforms, lengths)[0]

    def hear(self, waveforms: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """What `embed` gives, and the probability of speech in each step where the front end listens for it."""
        with full_precision(waveforms):
            features = self.front_end.hear(waveforms, lengths)
        embeddings = upcast(self(*features.inputs))
        with full_precision(waveforms):
            return functional.normalize(self.discriminant(embeddings)), features.speech

    def start_as(self, pooled: Extractor) -> None:
        """Take frames and head of a model of `config.starts_as`; with fresh queries this one then equals it."""
        self.frames.load_state_dict(pooled.frames.state_dict())
        self.head.load_state_dict(self.head.of_vector(pooled.head.state_dict()))

    def with_discriminant(self, discriminant: Discriminant | None) -> Extractor:
        """A copy that projects what its head gives by this one; None: by none."""
        directions = None if discriminant is None else DiscriminantConfig(directions=len(discriminant.matrix))
        other = copy.deepcopy(self)
        other.config = self.config.model_copy(update={"discriminant": directions})
        other.discriminant = nn.Identity() if discriminant is None else discriminant
        return other


def _aggregator(config: ExtractorConfig) -> Aggregator:
    """The aggregator, which is in passes if its config says so; one in passes may need all frames at once."""
    aggregator = config.aggregator.build(config.frames_channels, config.branches)
    found = aggregator.passes if isinstance(aggregator, AggregatorInPasses) else None
    if config.aggregator.passes not in (None, found):
        raise BadRegistration(
            f"aggregator {config.aggregator.kind!r} answers passes {config.aggregator.passes}, and what it builds has "
            f"{found}; one in passes is an AggregatorInPasses of so many"
        )
    return aggregator
