"""Small networks, waveforms for them, and what runs their stages."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from acanet.export.stages import pieces, stages
from acanet.models.config import ModelConfig
from acanet.models.parts.aca_statistics import AcaStatisticsAggregator
from acanet.models.parts.astp import AstpPooling
from acanet.models.parts.attentive_statistics import AttentiveStatisticsPooling
from acanet.models.parts.campplus import CampplusFrames
from acanet.models.parts.convolution import ConvolutionFrames
from acanet.models.parts.ecapa import EcapaFrames
from acanet.models.parts.linear_head import LinearHead
from acanet.models.parts.mla import MlaAggregator
from acanet.models.parts.own_readout import OwnReadout
from acanet.models.parts.pointwise import PointwiseFrames
from acanet.models.parts.redimnet2 import Redimnet2Frames
from acanet.models.parts.redimnet2_fbank import Redimnet2FrontEnd
from acanet.models.parts.spectral import SpectralFrames
from acanet.models.parts.tdnn import TdnnFrames
from acanet.models.registry import build_model, model_config
from acanet.models.speech import Taught
from acanet.runtime.detector import own_detector
from acanet.runtime.pieces import Piecewise

LENGTHS = (16000, 4567, 9999, 1040, 12345)


SMALL_PARTS = {
    PointwiseFrames: {"channels": 32},
    ConvolutionFrames: {"channels": 32, "hidden": 48},
    SpectralFrames: {
        "stages": ({"channels": 4, "stride": 2, "blocks": 0}, {"channels": 6, "stride": 2}),
        "channels": 32,
        "hidden": 48,
    },
    TdnnFrames: {"channels": 16, "out_channels": 24},
    EcapaFrames: {"channels": 32, "out_channels": 32, "se_channels": 16},
    CampplusFrames: {"front_channels": 16, "channels": 16, "growth": 8, "bottleneck": 16, "layers": (2, 4, 3)},
    Redimnet2FrontEnd: {"mels": 80},
    Redimnet2Frames: {
        "mels": 80,
        "channels": 3,
        "stages": (
            {"hidden": 6, "blocks": 1, "context": 8},
            {"hidden": 6, "blocks": 2, "context": 8, "mel_stride": 2, "stride": 2},
            {"hidden": 9, "blocks": 1, "context": 12, "mel_stride": 2, "stride": 2},
        ),
    },
    MlaAggregator: {"latents": 12, "heads": 4, "aca_mlp": 40, "latent_mlp": 24},
    AcaStatisticsAggregator: {"latents": 8, "heads": 4, "mlp": 24},
    AttentiveStatisticsPooling: {"channels": 16},
    AstpPooling: {"channels": 16},
    LinearHead: {"dim": 16},
    OwnReadout: {"dim": 16},
}


SHARED_OUT = (
    ("frames", "channels"),
    ("frames", "hidden"),
    ("aggregator", "latents"),
    ("aggregator", "keys"),
    ("head", "dim"),
)
"""Sizes of which each branch has its share."""


PARTS = ("front_end", "frames", "aggregator", "head")


def small(name, **changes):
    """A registered model with few channels, and weights and statistics of which none is zero or one."""
    config = model_config(name)
    parts = {part: SMALL_PARTS.get(type(getattr(config, part)), {}) for part in PARTS}
    if isinstance(config.aggregator, AcaStatisticsAggregator):
        parts["aggregator"] = parts["aggregator"] | {"aca_heads": min(8, config.aggregator.aca_heads)}
    for part, key in SHARED_OUT:
        if key in parts[part]:
            parts[part] = parts[part] | {key: config.branches * parts[part][key]}
    for part, values in changes.items():
        parts[part] = parts.get(part, {}) | values
    torch.manual_seed(0)
    return shaken(build_model(name, model_config(name, parts)))


def shaken(model, seed=0):
    """Moves parameters and batch-norm statistics away from their starting values; what finds speech stays as taught."""
    generator = torch.Generator().manual_seed(seed)
    taught = {each for module in model.modules() if isinstance(module, Taught) for each in module.modules()}
    with torch.no_grad():
        for module in model.modules():
            for parameter in () if module in taught else module.parameters(recurse=False):
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
        for module in model.modules():
            if module not in taught and isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.running_mean.normal_(generator=generator)
                module.running_var.uniform_(0.5, 2.0, generator=generator)
    return model.eval()


def waveforms(lengths=LENGTHS, seed=1):
    rng = np.random.default_rng(seed)
    return [(0.1 * rng.standard_normal(length)).astype(np.float32) for length in lengths]


def padded(utterances):
    rows = [torch.from_numpy(utterance) for utterance in utterances]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True), torch.tensor([len(row) for row in rows])


class TinyConfig(ModelConfig):
    dim: int = 3


class Tiny(nn.Module):
    """A user's own architecture: a linear layer over the mean of the features."""

    exact_when_padded = True

    def __init__(self, config):
        super().__init__()
        self.config, self.dim = config, config.dim
        self.front_end = config.front_end.build()
        self.linear = nn.Linear(config.front_end.mels, config.dim)

    def forward(self, x, lengths=None):
        frames = x.shape[1] if lengths is None else lengths.unsqueeze(1)
        return self.linear(x.abs().sum(dim=1) / frames)

    def embed(self, batch, lengths=None):
        return nn.functional.normalize(self(*self.front_end(batch, lengths)))


def in_pieces(model, piece):
    """A recording that is embedded in pieces of so many frames by a folded model, with what is exported of it."""
    front_end = model.config.front_end
    detector = None if front_end.hears_speech else own_detector(front_end.rate)
    return Piecewise(runner(stages(model)), pieces(model), front_end, detector, piece=piece)


def runner(graphs):
    """What `acanet.runtime.network.Network.run` does, with torch."""

    def run(stage, **inputs):
        with torch.no_grad():
            outputs = graphs[stage].module(**{name: torch.tensor(value) for name, value in inputs.items()})
        return [output.numpy() for output in (outputs if isinstance(outputs, tuple) else (outputs,))]

    return run
