"""A manifest: plain JSONL, or a Lhotse CutSet."""

from __future__ import annotations

from acanet.data.corpora.layout import Layout
from acanet.data.lists.manifest import read_manifest

LAYOUT = Layout(read_manifest)
