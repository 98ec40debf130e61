"""speechocean762: English read by Mandarin speakers, half of them children (openslr.org/101).

Zhang et al., "speechocean762: An Open-Source Non-native English Speech Corpus For Pronunciation Assessment",
Interspeech 2021.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from acanet.data.corpora.kaldi import read_kaldi
from acanet.data.corpora.layout import Layout, LeftOut, Part
from acanet.data.lists.manifest import Utterance
from acanet.errors import BadManifest

PARTS = {
    "train": Part("train", 125, 2_500),
    "test": Part("test", 125, 2_500),
}


def read_speechocean762(folder: Path) -> Iterator[Utterance | LeftOut]:
    """The Kaldi folders `train` and `test`, whose `wav.scp` names files in `WAVE` beside them.

    Ids, speakers (such as 0003), gender, age in years and text are those of the Kaldi folders.

    Args:
        folder: `speechocean762`, or the folder that it is in.

    Raises:
        BadManifest: neither of the two is there, or a file in it is not or cannot be understood.
    """
    root = _root(folder)
    for part in PARTS:
        if not (root / part).is_dir():
            continue
        for found in read_kaldi(root / part, root):
            if isinstance(found, Utterance):
                yield replace(found, fields={"part": part, "language": "en", **found.fields})
            else:
                yield found


def _root(folder: Path) -> Path:
    for root in (folder, folder / "speechocean762"):
        if any((root / part / "wav.scp").is_file() for part in PARTS):
            return root
    looked = "looked for train/wav.scp and test/wav.scp in it and in its folder speechocean762"
    raise BadManifest(folder, None, f"is not speechocean762; {looked}")


LAYOUT = Layout(read_speechocean762, PARTS)
