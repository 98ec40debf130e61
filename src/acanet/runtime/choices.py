"""What can be chosen of a bundle and what runs it, by name; without imports, for the command line spells these too."""

from typing import Literal

Device = Literal["cpu", "cuda"]
"""What a network runs on."""

Precision = Literal["float32", "int8", "fp16"]
"""Of an exported model's products with weights."""

WeightLayout = Literal["speechbrain-ecapa", "authors-acanet", "campplus", "redimnet2"]
"""Layouts of public weights that acanet reads: those in `acanet.models.weights.LAYOUTS` that it brings itself."""
