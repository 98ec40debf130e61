"""A folded model as the graphs that are exported: the whole, and the stages that it can be run in.

A recording of any length is embedded in pieces by the stages of a model whose frames are local in time:

    features     waveforms (batch, samples) -> log-mel (batch, frames, mels), the mean not yet removed
    frames       features, their mean over the recording (mels,), number of the first frame -> frames
    latents-0    -> latents and queries at the start
    pass         queries and frames -> highest score, sum of the weights, sum of the frames under them, ...
    latents-k    latents before, and the mean of the frames that pass k gave (and of their squares) -> latents, queries
    readout      latents -> unit embeddings (batch, dim)

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
from acanet.models.layers import frame_mask
from acanet.runtime.bundle import Pieces

_SAMPLES = 8000  # of the examples that graphs are traced with
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
    waveforms = torch.linspace(-0.5, 0.5, 2 * _SAMPLES).view(2, _SAMPLES)
    inputs = {"waveforms": waveforms, "lengths": torch.tensor([_SAMPLES, _SAMPLES - 1000])}
    dynamic = {"waveforms": {0: "batch", 1: "samples"}, "lengths": {0: "batch"}}
    graphs = {"whole": Stage(Whole(model), inputs, dynamic, ("embeddings",))}
    if _attends(model):
        graphs["attention"] = Stage(Attention(model), inputs, dynamic, ("attention",))
    if pieces(model) is not None:
        graphs |= _pieces(model, waveforms)
    return graphs


def pieces(model: Any) -> Pieces | None:
    """How a recording can be embedded in pieces: features and frames local in time, and an aggregator in passes.

    None where one of the parts answers that it is not, and of a model that is no `Extractor`.
    """
    if not _attends(model) or not model.config.front_end.local or model.config.frames.receptive_field is None:
        return None
    around, stride = model.config.frames.receptive_field
    return Pieces(passes=model.aggregator.passes, reach=around, stride=stride)


class Whole(nn.Module):
    """Waveforms and the samples of each row -> embeddings of unit length."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """(batch, samples), (batch,) -> (batch, dim)."""
        embeddings: Tensor = self.model.embed(waveforms, lengths)
        return embeddings


class Attention(nn.Module):
    """Waveforms and the samples of each row -> what the last pass attends to."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """(batch, samples), (batch,) -> (batch, latents, frames), which adds up to one over the real frames."""
        features, counts = self.model.front_end(waveforms, lengths)
        frames, mask = self.model.frames(features, frame_mask(counts, features.shape[1]))
        return self.model.aggregator.attention(frames, mask)


class _Features(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.front_end = model.front_end

    def forward(self, waveforms: Tensor) -> Tensor:
        return self.front_end.features(waveforms)


class _Frames(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.frames, self.aggregator = model.frames, model.aggregator

    def forward(self, features: Tensor, mean: Tensor, start: Tensor) -> Tensor:
        frames, _ = self.frames(features - mean, None)
        return self.aggregator.prepare(frames, start)


class _Pass(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.aggregator = model.aggregator

    def forward(self, queries: Tensor, frames: Tensor) -> tuple[Tensor, ...]:
        highest, weights, *sums = self.aggregator.attend(queries, frames)
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
    return isinstance(model, Extractor) and model.config.aggregator.passes is not None


def _pieces(model: Any, waveforms: Tensor) -> dict[str, Stage]:
    """The stages for one recording, each with the example that those before it give."""
    found: dict[str, Stage] = {}

    def add(name: str, module: nn.Module, outputs: tuple[str, ...], **inputs: Tensor) -> Any:
        sizes = {"waveforms": "samples", "features": "frames", "frames": "frames"}
        dynamic = {key: {1: sizes[key]} if key in sizes else {} for key in inputs}
        found[name] = Stage(module, inputs, dynamic, outputs)
        with torch.no_grad():
            return module(**inputs)

    features = add("features", _Features(model), ("features",), waveforms=waveforms[:1])
    mean, start = features.mean(dim=(0, 1)), torch.tensor(0)
    frames = add("frames", _Frames(model), ("frames",), features=features, mean=mean, start=start)
    latents, queries = add("latents-0", _Start(model), _STATE)
    with torch.no_grad():
        names = ("highest", "total", "sum", "squares")[: len(_Pass(model)(queries, frames))]
    _, total, *heard = add("pass", _Pass(model), names, queries=queries, frames=frames)
    means = dict(zip(("mean", "square"), (each / total for each in heard), strict=False))
    passes = model.aggregator.passes
    for number in range(passes):
        module = (_SecondOrderStep if len(means) > 1 else _Step)(model, number)
        outputs = add(f"latents-{number + 1}", module, _STATE[: 1 + (number + 1 < passes)], before=latents, **means)
        latents = outputs[0]
    add("readout", _Readout(model), ("embeddings",), latents=latents)
    return found
