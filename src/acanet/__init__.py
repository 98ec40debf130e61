"""Speaker verification with asymmetric cross attention: from a recording to a decision.

recording --audio--> waveform --speech--> enough of it? --Encoder--> embedding --scoring--> score -> decision

>>> from acanet import Encoder                            # doctest: +SKIP
>>> encoder = Encoder.load()                              # the model that ships
>>> encoder.verify("enrolment.wav", "test.wav").score     # a cosine
0.71
"""

from acanet.encoder import Encoder
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
