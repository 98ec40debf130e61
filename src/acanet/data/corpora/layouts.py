"""How each kind of source lies on disk.

A corpus with a layout of its own needs one more module in this folder, with a `LAYOUT`, and its name in `Kind`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import get_args

from acanet.data.corpora.corpus_kinds import Kind
from acanet.data.corpora.layout import Layout

LAYOUTS: Mapping[str, Layout] = {kind: import_module(f"acanet.data.corpora.{kind}").LAYOUT for kind in get_args(Kind)}
"""The layout of each kind: `LAYOUT` of the module of its name. Of two duplicates, the one found first is kept."""
