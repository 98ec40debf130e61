"""A folded model as the graphs that are exported: the whole, and the stages that it can be run in.

A recording of any length is embedded in pieces by the stages of a model whose frames are local in time:

    features     waveforms (batch, samples) -> log-mel (batch, frames, mels), the mean not yet removed
    frames       features, their mean over the recording (mels,), number of the first frame -> frames
    latents-0    -> latents and queries at the start
    pass         queries and frames -> highest score, sum of the weights, sum of the frames under them, ...
    latents-k    latents before, and the mean of the frames that pass k gave (and of their squares) -> latents, queries
    readout      latents -> unit embeddings (batch, dim)

A model that listens for speech has one stage more, and two take what comes of it:

    speech       features (1, frames, mels) -> for each step the probability of speech, and how much the step counts
    frames       also the floor of the features, ()
    pass         also how much each frame counts, (batch, frames)

The weights of a pass are exp(score - highest score), so the sums of two pieces add up once both are brought to the
higher one of their highest scores (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018). All
sums can be added in the precision that the caller likes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from acanet.models.extractor import Extractor
from acanet.models.passes import AggregatorInPasses
from acanet.models.speech import step_counts
from acanet.runtime.bundle import Pieces

_SAMPLES = 48000  # so many that no size which depends on them is one, which a trace takes for always one
EXAMPLE = torch.linspace(-0.5, 0.5, 2 * _SAMPLES).view(2, _SAMPLES)
"""Waveforms, (batch, samples), that graphs are traced with."""
_STATE = ("latents", "queries")


@dataclass(frozen=True)
class Stage:
    """One graph: what computes it, and its inputs and outputs by name.

    Attributes:
        module: the computation; its forward has the parameters `inputs`.
        inputs: an example of each; sizes that vary are named in `dynamic`.
        dynamic: for each input, the names of its axes of variable size.
        outputs: names.
    """

    module: nn.Module
    inputs: dict[str, Tensor]
    dynamic: dict[str, dict[int, str]]
    outputs: tuple[str, ...]


def stages(model: Any) -> dict[str, Stage]:
    """The graphs of a folded model by name; `whole` alone where it cannot be run in pieces."""
    waveforms = EXAMPLE
    inputs = {"waveforms": waveforms, "lengths": torch.tensor([_SAMPLES, _SAMPLES - 1000])}
    dynamic = {"waveforms": {0: "batch", 1: "samples"}, "lengths": {0: "batch"}}
    heard = ("embeddings", "speech") if hears_speech(model) else ("embeddings",)
    graphs = {"whole": Stage(Whole(model), inputs, dynamic, heard)}
    if _attends(model):
        graphs["attention"] = Stage(Attention(model), inputs, dynamic, ("attention",))
    if hears_speech(model):
        graphs |= speech_stages(model.front_end, waveforms)
    if pieces(model) is not None:
        graphs |= _pieces(model, waveforms)
    return graphs


def hears_speech(model: Any) -> bool:
    """Whether a model finds the speech in what it embeds."""
    return isinstance(model, Extractor) and model.config.front_end.hears_speech


def speech_stages(front_end: Any, waveforms: Tensor) -> dict[str, Stage]:
    """The graphs of a front end that find speech: from samples to features, and from features to speech."""
    features = Stage(_Features(front_end), {"waveforms": waveforms[:1]}, {"waveforms": {1: "samples"}}, ("features",))
    with torch.no_grad():
        example = features.module(waveforms[:1])
    speech = Stage(_Speech(front_end), {"features": example}, {"features": {1: "frames"}}, ("speech", "counts"))
    return {"features": features, "speech": speech}


def pieces(model: Any) -> Pieces | None:
    """How a recording can be embedded in pieces: features and frames local in time, and an aggregator in passes.

    None where one of the parts answers that it is not, and of a model that is no `Extractor`.
    """
    if not _attends(model) or not model.config.front_end.local:
        return None
    field, passes = model.config.frames.receptive_field, model.config.aggregator.passes
    return None if field is None or passes is None else Pieces(passes=passes, reach=field.around, stride=field.stride)


class Whole(nn.Module):
    """Waveforms and the samples of each row -> embeddings of unit length, and where speech is, if the model listens."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, waveforms: Tensor, lengths: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """(batch, samples), (batch,) -> (batch, dim), and the probability of speech (batch, steps)."""
        if not hears_speech(self.model):
            embeddings: Tensor = self.model.embed(waveforms, lengths)
            return embeddings
        heard: tuple[Tensor, Tensor] = self.model.hear(waveforms, lengths)
        return heard


class Attention(nn.Module):
    """Waveforms and the samples of each row -> what the last pass attends to."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """(batch, samples), (batch,) -> (batch, latents, frames), which adds up to one over the real frames."""
        features = self.model.front_end.hear(waveforms, lengths)
        frames, mask = self.model.encoded(features.values, features.lengths, features.counts)
        return self.model.aggregator.attention(frames, mask)


class _Features(nn.Module):
    def __init__(self, front_end: Any) -> None:
        super().__init__()
        self.front_end = front_end

    def forward(self, waveforms: Tensor) -> Tensor:
        return self.front_end.features(waveforms)


class _Speech(nn.Module):
    def __init__(self, front_end: Any) -> None:
        super().__init__()
        self.speech = front_end.speech

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        speech = self.speech(features)
        return speech, step_counts(speech)


class _Frames(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.frames, self.aggregator = model.frames, model.aggregator

    def forward(self, features: Tensor, mean: Tensor, start: Tensor) -> Tensor:
        frames, _ = self.frames(features - mean, None)
        return self.aggregator.prepare(frames, start)


class _FlooredFrames(_Frames):
    def forward(self, features: Tensor, mean: Tensor, start: Tensor, floor: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(features.maximum(floor), mean, start)


class _Pass(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.aggregator = model.aggregator

    def forward(self, queries: Tensor, frames: Tensor) -> tuple[Tensor, ...]:
        highest, weights, *sums = self.aggregator.attend(queries, frames)
        return highest, weights.sum(dim=-1, keepdim=True), *sums


class _CountedPass(_Pass):
    def forward(self, queries: Tensor, frames: Tensor, counts: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        highest, weights, *sums = self.aggregator.attend(queries, frames, counts)
        return highest, weights.sum(dim=-1, keepdim=True), *sums


class _Start(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.aggregator = model.aggregator

    def forward(self) -> tuple[Tensor, Tensor]:
        latents, queries = self.aggregator.start()
        return latents.unsqueeze(0), queries.unsqueeze(0)


class _Step(nn.Module):
    def __init__(self, model: Any, number: int) -> None:
        super().__init__()
        self.aggregator, self.number = model.aggregator, number

    def forward(self, before: Tensor, mean: Tensor) -> tuple[Tensor, ...]:
        return _given(self.aggregator.step(self.number, before, mean))


class _SecondOrderStep(nn.Module):
    def __init__(self, model: Any, number: int) -> None:
        super().__init__()
        self.aggregator, self.number = model.aggregator, number

    def forward(self, before: Tensor, mean: Tensor, square: Tensor) -> tuple[Tensor, ...]:
        return _given(self.aggregator.step(self.number, before, mean, square))


def _given(outputs: tuple[Tensor | None, ...]) -> tuple[Tensor, ...]:
    return tuple(output for output in outputs if output is not None)


class _Readout(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.aggregator, self.head, self.discriminant = model.aggregator, model.head, model.discriminant

    def forward(self, latents: Tensor) -> Tensor:
        return functional.normalize(self.discriminant(self.head(self.aggregator.finish(latents))))


def _attends(model: Any) -> bool:
    return isinstance(model, Extractor) and isinstance(model.aggregator, AggregatorInPasses)


def _pieces(model: Any, waveforms: Tensor) -> dict[str, Stage]:
    """The stages for one recording, each with the example that those before it give."""
    found: dict[str, Stage] = {}

    def add(name: str, module: nn.Module, outputs: tuple[str, ...], **inputs: Tensor) -> Any:
        sizes = {"waveforms": "samples", "features": "frames", "frames": "frames", "counts": "frames"}
        dynamic = {key: {1: sizes[key]} if key in sizes else {} for key in inputs}
        found[name] = Stage(module, inputs, dynamic, outputs)
        with torch.no_grad():
            return module(**inputs)

    floored, counted = model.config.front_end.floor_db is not None, model.config.front_end.speech_only
    features = add("features", _Features(model.front_end), ("features",), waveforms=waveforms[:1])
    mean, start = features.mean(dim=(0, 1)), torch.tensor(0)
    floor = {"floor": features.min()} if floored else {}
    stage = (_FlooredFrames if floored else _Frames)(model)
    frames = add("frames", stage, ("frames",), features=features, mean=mean, start=start, **floor)
    latents, queries = add("latents-0", _Start(model), _STATE)
    one_pass = (_CountedPass if counted else _Pass)(model)
    counts = {"counts": torch.ones(frames.shape[:2])} if counted else {}
    with torch.no_grad():
        names = ("highest", "total", "sum", "squares")[: len(one_pass(queries, frames, **counts))]
    _, total, *heard = add("pass", one_pass, names, queries=queries, frames=frames, **counts)
    means = dict(zip(("mean", "square"), (each / total for each in heard), strict=False))
    passes = model.aggregator.passes
    for number in range(passes):
        module = (_SecondOrderStep if len(means) > 1 else _Step)(model, number)
        outputs = add(f"latents-{number + 1}", module, _STATE[: 1 + (number + 1 < passes)], before=latents, **means)
        latents = outputs[0]
    add("readout", _Readout(model), ("embeddings",), latents=latents)
    return found
