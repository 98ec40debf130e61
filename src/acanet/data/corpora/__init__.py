"""Where the utterances of a source are: one module a layout.

A corpus with a layout of its own needs one more module, and a line in `LAYOUTS`.
"""

from __future__ import annotations

from collections.abc import Mapping

from acanet.data.corpora import cnceleb, folder, kaldi, librispeech, speechocean762, table, voxceleb, wsj0
from acanet.data.corpora.layout import Layout, LeftOut, Part, Split
from acanet.data.lists.manifest import read_manifest

__all__ = ["LAYOUTS", "Layout", "LeftOut", "Part", "Split"]

LAYOUTS: Mapping[str, Layout] = {
    "folder": folder.LAYOUT,
    "jsonl": Layout(read_manifest),
    "csv": table.LAYOUT,
    "kaldi": kaldi.LAYOUT,
    "cnceleb": cnceleb.LAYOUT,
    "librispeech": librispeech.LAYOUT,
    "speechocean762": speechocean762.LAYOUT,
    "voxceleb": voxceleb.LAYOUT,
    "wsj0": wsj0.LAYOUT,
}
"""How each kind of source lies on disk. Of two duplicates, the one found first is kept."""
