"""What a model card says of an export: how close it is to the original, and what a twin costs and gains."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor

from acanet.export.gate import Parity
from acanet.export.graphs import OPSET
from acanet.export.twins import Twin
from acanet.runtime.bundle import Bundle
from acanet.runtime.golden import GOLDEN


def export_card(source: Bundle, files: Mapping[str, bytes], parity: Parity, recordings: int) -> str:
    """The card of a float32 export: the model's own, and what was exported.

    Args:
        source: the model.
        files: graphs and weights.
        parity: with torch.
        recordings: that it was measured on.
    """
    card = (source.folder / "README.md").read_text(encoding="utf-8").rstrip()
    ways = "alone and in batches" if parity.in_pieces is None else "alone, in batches and in pieces"
    megabytes = sum(map(len, files.values())) / 1e6
    return f"""{card}

## Export

ONNX, float32, opset {OPSET}, {megabytes:.1f} MB: waveforms in, embeddings of unit length out. Compared with torch on
{recordings} recordings of 0.5 to 60 s, {ways}, no number of an embedding differs by more than
{parity.worst:.1e}. `acanet check` replays the recordings in `{GOLDEN}`.
"""


def twin_card(source: Bundle, twin: Twin, fingerprint: str, recordings: int) -> str:
    """The card of a twin: the model's own, and what the twin costs and gains.

    Args:
        source: the model.
        twin: beside its float32 original.
        fingerprint: of the twin.
        recordings: that it was compared on.
    """
    card = (source.folder / "README.md").read_text(encoding="utf-8").rstrip()
    card = card.replace(f"Fingerprint `{source.fingerprint}`", f"Fingerprint `{fingerprint}` ({twin.precision})")
    times = "\n".join(
        f"| {seconds} s, one thread, ms | {plain:.1f} | {other:.1f} |"
        for seconds, (plain, other) in twin.milliseconds.items()
    )
    return f"""{card}

## Export

ONNX, {twin.precision}, opset {OPSET}: waveforms in, embeddings of unit length out. The fingerprint
`{fingerprint}` is its own; figures above are of the model in float32. On {recordings} recordings of
0.5 to 60 s the cosine between the embeddings of the two is {floor(1e4 * twin.cosine) / 1e4:.4f} or more.

| | float32 | {twin.precision} |
|---|---:|---:|
| graphs and weights, MB | {twin.megabytes[0]:.1f} | {twin.megabytes[1]:.1f} |
{times}

On the processor that it was exported on: {twin.verdict.replace(" on this processor", "")}.

{twin.error_rate[0].upper()}{twin.error_rate[1:]}.

A calibration of the model in float32 is not one of this: `acanet calibrate` makes one.

`acanet check` replays the recordings in `{GOLDEN}`.
"""
