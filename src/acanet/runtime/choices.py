"""What can be chosen of a run time, by name; without imports, for the command line spells these too."""

from typing import Literal

Device = Literal["cpu", "cuda"]
"""What a network runs on."""

Precision = Literal["float32", "int8", "fp16"]
"""Of an exported model's products with weights."""
