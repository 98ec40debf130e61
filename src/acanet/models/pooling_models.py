"""Models that put the paper's question, "is ACA better than temporal pooling?": frames under another aggregator."""

from __future__ import annotations

from acanet.models.base import AggregatorConfig
from acanet.models.config import ExtractorConfig
from acanet.models.parts.aca_statistics import AcaStatisticsAggregator
from acanet.models.parts.attentive_statistics import AttentiveStatisticsPooling
from acanet.models.parts.campplus import CampplusFrames
from acanet.models.parts.convolution import ConvolutionFrames
from acanet.models.parts.ecapa import EcapaFrames
from acanet.models.parts.linear_head import LinearHead
from acanet.models.parts.mean import MeanPooling
from acanet.models.parts.mla import MlaAggregator
from acanet.models.parts.pointwise import PointwiseFrames
from acanet.models.parts.shared_readout import SharedReadout
from acanet.models.parts.statistics import StatisticsPooling
from acanet.models.registry import register_model

_POOLINGS: dict[str, AggregatorConfig] = {
    "mean": MeanPooling(),
    "statistics": StatisticsPooling(),
    "attentive": AttentiveStatisticsPooling(),
}
for _name, _pooling in _POOLINGS.items():
    register_model(f"acanet-{_name}", ExtractorConfig(frames=PointwiseFrames(), aggregator=_pooling, head=LinearHead()))
register_model(
    "acanet-local-attentive",
    ExtractorConfig(frames=ConvolutionFrames(), aggregator=AttentiveStatisticsPooling(), head=LinearHead()),
)
register_model(
    "ecapa-512-aca",
    ExtractorConfig(
        frames=EcapaFrames(channels=512, out_channels=256), aggregator=MlaAggregator(), head=SharedReadout()
    ),
)
register_model(
    "campplus-aca",  # with the weights of `campplus` it starts as that
    ExtractorConfig(
        frames=CampplusFrames(),
        aggregator=AcaStatisticsAggregator(
            latents=4, aca_heads=64, keys=128, latent_layers=0, pooling=StatisticsPooling(unbiased=True)
        ),
        head=LinearHead(norm="after"),
    ),
)
