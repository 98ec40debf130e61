"""What can be chosen of a back-end, by name; without imports, for the command line spells these too."""

from typing import Literal

BackendKind = Literal["cosine", "snorm", "asnorm", "plda"]
"""What turns embeddings into scores."""

CohortEntry = Literal["utterances", "speakers"]
"""What an entry of a cohort is."""

EnrolBy = Literal["embeddings", "scores"]
"""Of what a model of several utterances is the mean."""
