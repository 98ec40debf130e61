"""The network that finds speech as files: its weights, and its graphs for who runs it alone."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from acanet.config.files import written_folder
from acanet.export.graphs import graph_files
from acanet.export.stages import EXAMPLE, speech_stages
from acanet.models.folding import fold
from acanet.models.parts.kaldi_fbank import KaldiFrontEnd
from acanet.runtime.detector import FEATURES

_METADATA = {"acanet.name": "speech", "acanet.rate": "16000", "acanet.licence": "CC-BY-4.0"}


def write_speech_network(weights: Mapping[str, NDArray[Any]], folder: Path) -> None:
    """Write the network as `acanet.speech.network` holds it; the folder appears whole, or stays as it was.

    Args:
        weights: by name, of `acanet.models.speech.SpeechNetwork`.
        folder: where; what is there is replaced.
    """
    front_end = KaldiFrontEnd(speech_only=True).build()
    assert front_end.speech is not None
    front_end.speech.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    graphs = speech_stages(fold(front_end), EXAMPLE)
    files = graph_files({FEATURES: graphs["features"], "speech": graphs["speech"]}, _METADATA, alone=True)
    stream = io.BytesIO()
    np.savez_compressed(stream, **weights)  # type: ignore[arg-type]
    with written_folder(folder, replace=True) as fresh:
        for name, content in {**files, "weights.npz": stream.getvalue()}.items():
            (fresh / name).write_bytes(content)
