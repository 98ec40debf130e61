"""Speaker verification with asymmetric cross attention: from a recording to a decision.

recording --audio--> waveform --speech--> enough of it? --Encoder--> embedding --scoring--> score -> decision

>>> from acanet import Encoder                            # doctest: +SKIP
>>> encoder = Encoder.load()                              # the model that ships
>>> encoder.verify("enrolment.wav", "test.wav").score     # a cosine
0.71
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from acanet.errors import (
    AcanetError,
    BadAudio,
    BadConfig,
    BadManifest,
    BadTrials,
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
    from acanet.encoder import Encoder
    from acanet.scoring.decide import Verification

__version__ = "0.1.0"

__all__ = [
    "AcanetError",
    "BadAudio",
    "BadConfig",
    "BadManifest",
    "BadTrials",
    "Encoder",
    "ExportMismatch",
    "MissingExtra",
    "ModelMismatch",
    "NoSpeech",
    "NotCalibrated",
    "SeenInTraining",
    "TooLong",
    "TooShort",
    "UnknownModel",
    "Verification",
    "__version__",
]

_HOMES = {"Encoder": "acanet.encoder", "Verification": "acanet.scoring.decide"}
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
