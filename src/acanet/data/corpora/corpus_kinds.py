"""Kinds of sources, by name; without imports, for the command line spells these too."""

from typing import Literal

Kind = Literal["folder", "jsonl", "csv", "kaldi", "cnceleb", "librispeech", "speechocean762", "voxceleb", "wsj0"]
"""How a source lies on disk: the name of the module beside this one that reads it."""
