"""Whose layouts public weights may have, by name; without imports, for the command line spells these too."""

from typing import Literal

WeightLayout = Literal["speechbrain-ecapa", "authors-acanet", "campplus"]
"""The names in `acanet.models.weights.LAYOUTS`."""
