"""Utterances as the Lhotse cuts of a manifest."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from acanet.config.reading import json_text
from acanet.data.lists.manifest import Utterance
from acanet.data.lists.recording import is_unicode
from acanet.data.prepare.measure import Measured


def write_manifest(path: Path, utterances: Iterable[tuple[Utterance, Measured]]) -> None:
    """Write a Lhotse CutSet, a cut a line: what Lhotse's own objects write, in a fifth of their time.

    Args:
        path: a `.jsonl` file.
        utterances: each with what decoding told. Gender, language and text are the supervision's own, other fields
            are custom ones of the supervision; `audio_hash` is one of the cut.
    """
    with path.open("w", encoding="utf-8") as file:
        file.writelines(_line(_cut(*pair)) for pair in utterances)


def _line(cut: dict[str, object]) -> str:
    """A line of JSON; bytes of a file's name that are no UTF-8 stand in it as escapes, from which they come back."""
    line = json_text(cut, ascii_only=False)
    return (line if line.isascii() or is_unicode(line) else json_text(cut)) + "\n"


def _cut(utterance: Utterance, measured: Measured) -> dict[str, object]:
    """The Lhotse cut of an utterance."""
    channels = list(range(measured.channels))
    channel = channels if measured.channels > 1 else 0
    custom = {key: value for key, value in utterance.fields.items() if key != "audio_hash"}
    known = {name: custom.pop(name) for name in ("text", "language", "gender") if custom.get(name) is not None}
    source = {"type": "file", "channels": channels, "source": os.path.abspath(utterance.path)}
    return {
        "id": utterance.id,
        "start": measured.first / measured.rate,
        "duration": measured.seconds,
        "channel": channel,
        "supervisions": [
            {
                "id": utterance.id,
                "recording_id": utterance.recording,
                "start": 0.0,
                "duration": measured.seconds,
                "channel": channel,
                "speaker": utterance.speaker,
                **known,
                **({"custom": custom} if custom else {}),
            }
        ],
        "recording": {
            "id": utterance.recording,
            "sources": [source],
            "sampling_rate": measured.rate,
            "num_samples": measured.samples,
            "duration": measured.samples / measured.rate,
            "channel_ids": channels,
        },
        "custom": {"audio_hash": measured.audio_hash},
        "type": "MultiCut" if measured.channels > 1 else "MonoCut",
    }
