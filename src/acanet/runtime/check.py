"""Whether an exported bundle still gives the embeddings that it gave when it was exported, in every way it is run."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from acanet.audio.blocks import Waveform
from acanet.errors import ExportMismatch, ModelMismatch
from acanet.runtime.bundle import Bundle
from acanet.runtime.golden import Golden
from acanet.runtime.onnx import OnnxNetwork

SMALL_PIECE = 32
"""Frames of features: half a second of speech is a piece and a shorter one."""
_BLOCK = 3001  # samples that are fed at a time: pieces begin and end within blocks


def check(bundle: Bundle, *, threads: int | None = None, device: str = "cpu") -> float:
    """Replay an exported bundle's golden recordings, whole and, where the model can, in small pieces.

    Its files and its calibration, where it has one, have to be as they were written.

    Args:
        bundle: an exported one.
        threads, device: as for `OnnxNetwork`.

    Returns:
        The largest difference of any number of their embeddings from what the model gave when it was exported.

    Raises:
        ExportMismatch: when it is larger than the bundle allows (1e-4; more for a twin), or not finite.
        AcanetError: when a file of the bundle is missing or is not what was exported, or its calibration was changed.
        ModelMismatch: when its calibration is of another model.
    """
    bundle.verify_files()
    calibration = bundle.calibration
    if calibration is not None and calibration.fingerprint != bundle.fingerprint:
        raise ModelMismatch(f"a calibration of {calibration.fingerprint} in {bundle.folder}", bundle.fingerprint)
    golden = Golden.load(bundle)
    network = OnnxNetwork(bundle, threads=threads, device=device)
    found = {"": network.embed_waveforms(golden.waveforms)}
    if bundle.graphs.pieces is not None:
        found[", in pieces"] = np.stack([embed_in_pieces(network, waveform) for waveform in golden.waveforms])
    worst = 0.0
    for how, embeddings in found.items():
        difference = largest_difference(embeddings, golden.embeddings)
        if not difference <= bundle.graphs.allowed:
            raise ExportMismatch(f"golden recordings of {bundle.folder}{how}", difference, bundle.graphs.allowed)
        worst = max(worst, difference)
    return worst


def embed_in_pieces(network: OnnxNetwork, waveform: Waveform) -> NDArray[np.float32]:
    """The embedding (dim,) of a waveform (samples,) by the stages that stream hours, in small pieces.

    Args:
        network: of a model that can be run in pieces.
        waveform: at the model's rate, at least one window long.
    """
    piecewise = network.in_pieces(piece=SMALL_PIECE)
    assert piecewise is not None
    with piecewise:
        for start in range(0, len(waveform), _BLOCK):
            piecewise.feed(waveform[start : start + _BLOCK])
        return piecewise.embedding()


def largest_difference(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """The largest absolute difference of two arrays; infinite where a number is not finite."""
    difference = np.abs(one.astype(np.float64) - other)
    return float(difference.max()) if np.isfinite(difference).all() else float("inf")
