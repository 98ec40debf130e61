"""Speaker verification with asymmetric cross attention: from a recording to a decision.

recording --audio--> waveform --speech--> enough of it? --Encoder--> embedding --scoring--> score -> decision

>>> from acanet import Encoder                            # doctest: +SKIP
>>> encoder = Encoder.load()                              # the model that ships
>>> encoder.verify("enrolment.wav", "test.wav").score     # a cosine
0.71

What stands in `__all__` is for everybody's use, and is imported from here: `from acanet import read_audio`. What one
builds models of stands in `acanet.models`. All else may move.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from acanet.errors import (
    AcanetError,
    BadArgument,
    BadAudio,
    BadConfig,
    BadManifest,
    BadRegistration,
    BadTrials,
    Diverged,
    ExportMismatch,
    MissingExtra,
    ModelMismatch,
    NoSpeech,
    NotCalibrated,
    SeenInTraining,
    TooLong,
    TooShort,
    UnknownModel,
)

if TYPE_CHECKING:
    from acanet.audio.quality import AudioWarning
    from acanet.audio.recording import read_audio
    from acanet.data.draw.list_files import draw_list
    from acanet.data.draw.plan import Plan
    from acanet.data.lists.manifest import read_manifest
    from acanet.data.synthetic import SyntheticVoice, synthesise
    from acanet.encoder import Encoder
    from acanet.evaluation.evaluate import evaluate
    from acanet.evaluation.figures.metrics import cllr, eer, error_rates, min_dcf
    from acanet.export.export import export_model
    from acanet.export.public import torch_bundle
    from acanet.listening.watch import watch
    from acanet.runtime.detector import find_speech
    from acanet.runtime.embedding_file import read_embeddings, write_embeddings
    from acanet.scoring.cosine import cosine_rows
    from acanet.scoring.decide import Verification
    from acanet.scoring.heard import Heard
    from acanet.scoring.pairs import all_pairs
    from acanet.segments.diarization import diarize
    from acanet.speech.speech import Speech
    from acanet.training.read_recipe import read_recipe
    from acanet.training.run import train

os.environ.update(ORT_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_TELEMETRY="1")
"""What hears voices reports to nobody. onnxruntime would from the moment that it is imported, unless it finds this."""

__version__ = "0.1.0"

__all__ = [
    "AcanetError",
    "AudioWarning",
    "BadArgument",
    "BadAudio",
    "BadConfig",
    "BadManifest",
    "BadRegistration",
    "BadTrials",
    "Diverged",
    "Encoder",
    "ExportMismatch",
    "Heard",
    "MissingExtra",
    "ModelMismatch",
    "NoSpeech",
    "NotCalibrated",
    "Plan",
    "SeenInTraining",
    "Speech",
    "SyntheticVoice",
    "TooLong",
    "TooShort",
    "UnknownModel",
    "Verification",
    "__version__",
    "all_pairs",
    "cllr",
    "cosine_rows",
    "diarize",
    "draw_list",
    "eer",
    "error_rates",
    "evaluate",
    "export_model",
    "find_speech",
    "min_dcf",
    "read_audio",
    "read_embeddings",
    "read_manifest",
    "read_recipe",
    "synthesise",
    "torch_bundle",
    "train",
    "watch",
    "write_embeddings",
]

_HOMES = {
    "AudioWarning": "acanet.audio.quality",
    "Encoder": "acanet.encoder",
    "Heard": "acanet.scoring.heard",
    "Plan": "acanet.data.draw.plan",
    "Speech": "acanet.speech.speech",
    "SyntheticVoice": "acanet.data.synthetic",
    "Verification": "acanet.scoring.decide",
    "all_pairs": "acanet.scoring.pairs",
    "cllr": "acanet.evaluation.figures.metrics",
    "cosine_rows": "acanet.scoring.cosine",
    "diarize": "acanet.segments.diarization",
    "draw_list": "acanet.data.draw.list_files",
    "eer": "acanet.evaluation.figures.metrics",
    "error_rates": "acanet.evaluation.figures.metrics",
    "evaluate": "acanet.evaluation.evaluate",
    "export_model": "acanet.export.export",
    "find_speech": "acanet.runtime.detector",
    "min_dcf": "acanet.evaluation.figures.metrics",
    "read_audio": "acanet.audio.recording",
    "read_embeddings": "acanet.runtime.embedding_file",
    "read_manifest": "acanet.data.lists.manifest",
    "read_recipe": "acanet.training.read_recipe",
    "synthesise": "acanet.data.synthetic",
    "torch_bundle": "acanet.export.public",
    "train": "acanet.training.run",
    "watch": "acanet.listening.watch",
    "write_embeddings": "acanet.runtime.embedding_file",
}
"""Modules of what is loaded when it is first asked for (PEP 562): whatever they import may be missing or broken, which
the command line has to live to tell."""


def __getattr__(name: str) -> Any:
    """Load a member of `_HOMES`; from then on it is one like any other."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = getattr(import_module(_HOMES[name]), name)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
