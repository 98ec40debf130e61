"""What a model is, as data that travels with its weights: the configs of its parts, and whether they fit each other.

Nothing here knows a part by name. `ExtractorConfig` looks the kinds of its parts up, and asks them.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import (
    Field,
    PlainValidator,
    PositiveInt,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from acanet.config.strict import Strict
from acanet.models.base import (
    AGGREGATORS,
    FRAMES,
    FRONT_ENDS,
    HEADS,
    AggregatorConfig,
    FramesConfig,
    FrontEndPart,
    HeadConfig,
)
from acanet.models.kinds import Kinds
from acanet.models.parts.discriminant import DiscriminantConfig
from acanet.models.parts.kaldi_fbank import KaldiFrontEnd
from acanet.speech.steps import STEP

AnyFrontEnd = Annotated[SerializeAsAny[FrontEndPart], PlainValidator(FRONT_ENDS.validated)]
AnyFrames = Annotated[SerializeAsAny[FramesConfig], PlainValidator(FRAMES.validated)]
AnyAggregator = Annotated[SerializeAsAny[AggregatorConfig], PlainValidator(AGGREGATORS.validated)]
AnyHead = Annotated[SerializeAsAny[HeadConfig], PlainValidator(HEADS.validated)]


class ModelConfig(Strict):
    """What every model has; a model of your own derives its config from this (see `register_model`)."""

    front_end: AnyFrontEnd = KaldiFrontEnd()


class ExtractorConfig(ModelConfig):
    """Frames -> aggregator -> head.

    With several `branches`, channels, hidden, keys, latents and dim of the parts are those of all branches together.
    """

    frames: AnyFrames
    aggregator: AnyAggregator
    head: AnyHead
    branches: PositiveInt = Field(
        1,
        description="networks side by side after the first convolutions, each with its share of channels, latents and "
        "the embedding, and a loss of its own",
    )
    discriminant: DiscriminantConfig | None = None

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        latents = self.aggregator.latents_out
        if latents is None and not self.head.takes_vectors:
            able = HEADS.that(lambda head: "" if head.takes_vectors else None)
            raise ValueError(f"aggregator {self.aggregator.kind!r} needs head {able}, not {self.head.kind!r}")
        self.frames.check_mels(self.front_end.mels)
        self.aggregator.check_channels(self.frames_channels, 1)
        self.head.check_latents(latents)
        if self.front_end.speech_only:
            self._speech_can_be_told()
        if self.branches > 1:
            self._branches_fit()
        if self.discriminant is not None and self.discriminant.directions > self.head_dim:
            raise ValueError(
                f"discriminant.directions {self.discriminant.directions} is more than the {self.head_dim} numbers that "
                "the head gives"
            )
        return self

    def _speech_can_be_told(self) -> None:
        field = self.frames.receptive_field
        if field is None:
            raise ValueError(f"front_end.speech_only needs frames that are local in time, not {self.frames.kind!r}")
        if field.stride > STEP:  # a step between two frames would count for nothing
            raise ValueError(f"front_end.speech_only needs frames with a stride of {STEP} or less, not {field.stride}")

    def _branches_fit(self) -> None:
        sizes = self._divided("frames", FRAMES), self._divided("head", HEADS), self._divided("aggregator", AGGREGATORS)
        for name, size in [*sizes[2], *sizes[0], *sizes[1]]:
            if size % self.branches:
                raise ValueError(f"{name} {size} does not divide into {self.branches} branches")
        self.aggregator.check_channels(self.frames_channels, self.branches)

    def _divided(self, role: str, kinds: Kinds[Any]) -> list[tuple[str, int]]:
        """The names and values of a part's sizes of which each branch has its share."""
        part: Any = getattr(self, role)
        if part.division is None or not part.division.holds(part):
            able = kinds.that(lambda kind: None if kind.division is None else kind.division.when)
            other = "" if part.division else f", not {part.kind!r}"
            raise ValueError(f"{self.branches} branches need {role} {able}{other}")
        return [(f"{role}.{name}", getattr(part, name)) for name in part.division.sizes]

    @model_serializer(mode="wrap")
    def _without_defaults(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what came later and is not there, so that a model without it keeps its fingerprint."""
        plain: dict[str, Any] = serialise(self)
        for key, absent in (("discriminant", None), ("branches", 1)):
            if plain.get(key, ...) == absent:
                del plain[key]
        return plain

    @property
    def dim(self) -> int:
        """Numbers in an embedding."""
        return self.head_dim if self.discriminant is None else self.discriminant.directions + 1

    @property
    def head_dim(self) -> int:
        """Numbers that the head gives, which the training loss sees."""
        return self.head.dimensions(self.aggregator.latents_out)

    @property
    def starts_as(self) -> ExtractorConfig | None:
        """The config of the trained models whose weights this one can start from, though it has another aggregator.

        None where the aggregator starts as no pooling.
        """
        pooling = self.aggregator.starts_as
        return None if pooling is None else self.model_copy(update={"aggregator": pooling})

    @property
    def frames_channels(self) -> int:
        """Channels that the frame encoder gives."""
        return self.frames.channels_out

    @property
    def exact_when_padded(self) -> bool:
        """Whether a row of a padded batch gives the embedding that it gives alone."""
        return all(part.exact_when_padded for part in (self.front_end, self.frames, self.aggregator))
