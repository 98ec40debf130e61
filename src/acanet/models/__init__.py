"""The networks, in torch: what parts there are, what a model made of them is, and the models that have names.

What stands in `__all__` is what one builds models of: the bases of parts, the parts that acanet brings, and the
registry. Whoever imports any of this knows all of them.
"""

# isort: off
from acanet.models import parts as parts
from acanet.models import pooling_models as pooling_models

# isort: on
from acanet.models.base import (
    Aggregator,
    AggregatorConfig,
    Division,
    Frames,
    FramesConfig,
    FrontEnd,
    FrontEndPart,
    Head,
    HeadConfig,
    ReceptiveField,
    register_aggregator,
    register_frames,
    register_front_end,
    register_head,
)
from acanet.models.config import ExtractorConfig, ModelConfig
from acanet.models.extractor import Extractor
from acanet.models.folding import constant, fold
from acanet.models.layers import FrameNorm, TimeConv
from acanet.models.parts.aca_statistics import AcaStatisticsAggregator
from acanet.models.parts.astp import AstpPooling
from acanet.models.parts.attentive_statistics import AttentiveStatisticsPooling
from acanet.models.parts.campplus import CampplusFrames
from acanet.models.parts.convolution import ConvolutionFrames
from acanet.models.parts.ecapa import EcapaFrames
from acanet.models.parts.kaldi_fbank import Kaldi, KaldiFrontEnd
from acanet.models.parts.linear_head import LinearHead
from acanet.models.parts.mean import MeanPooling
from acanet.models.parts.mla import MlaAggregator
from acanet.models.parts.own_readout import OwnReadout
from acanet.models.parts.pointwise import PointwiseFrames
from acanet.models.parts.redimnet2 import Redimnet2Frames, RedimStage
from acanet.models.parts.redimnet2_fbank import Redimnet2FrontEnd
from acanet.models.parts.shared_readout import SharedReadout
from acanet.models.parts.spectral import SpectralFrames
from acanet.models.parts.statistics import StatisticsPooling
from acanet.models.parts.tdnn import TdnnFrames
from acanet.models.passes import AggregatorInPasses
from acanet.models.registry import build_model, model_config, model_names, model_size, register_model

__all__ = [
    "AcaStatisticsAggregator",
    "Aggregator",
    "AggregatorConfig",
    "AggregatorInPasses",
    "AstpPooling",
    "AttentiveStatisticsPooling",
    "CampplusFrames",
    "ConvolutionFrames",
    "Division",
    "EcapaFrames",
    "Extractor",
    "ExtractorConfig",
    "FrameNorm",
    "Frames",
    "FramesConfig",
    "FrontEnd",
    "FrontEndPart",
    "Head",
    "HeadConfig",
    "Kaldi",
    "KaldiFrontEnd",
    "LinearHead",
    "MeanPooling",
    "MlaAggregator",
    "ModelConfig",
    "OwnReadout",
    "PointwiseFrames",
    "ReceptiveField",
    "RedimStage",
    "Redimnet2Frames",
    "Redimnet2FrontEnd",
    "SharedReadout",
    "SpectralFrames",
    "StatisticsPooling",
    "TdnnFrames",
    "TimeConv",
    "build_model",
    "constant",
    "fold",
    "model_config",
    "model_names",
    "model_size",
    "register_aggregator",
    "register_frames",
    "register_front_end",
    "register_head",
    "register_model",
]
