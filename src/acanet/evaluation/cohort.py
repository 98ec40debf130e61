"""Other people's voices, beside which the scores of a list are looked at (see `acanet.scoring.normalise`)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from acanet.data.lists.manifest import Utterance, read_manifest
from acanet.encoder import Encoder
from acanet.errors import BadManifest, few
from acanet.evaluation.backend_choices import CohortEntry
from acanet.evaluation.embedding import embed_utterances
from acanet.scoring.enrolment import mean_embeddings
from acanet.scoring.pairs import Floats


@dataclass(frozen=True, eq=False)
class Cohort:
    """Embeddings of people who are not in a trial list.

    Attributes:
        embeddings: (entries, dim).
        description: says in words what they are.
    """

    embeddings: Floats
    description: str


def embed_cohort(
    encoder: Encoder, manifests: Sequence[Path], listed: Sequence[Utterance], *, by: CohortEntry = "utterances"
) -> Cohort:
    """Embed the cohort that manifests name.

    Every utterance is an entry, or every speaker, as the mean of their embeddings at length one. Utterances are the
    default because they have the spread that what is compared has, and gave the lower EER on the dev lists of the
    model that ships (docs/evaluate.md). Means make a small cohort, in which everybody counts the same.

    Args:
        encoder: the model.
        manifests: of the cohort; a name in two of them is one speaker.
        listed: the utterances of the trial list, none of which may be of a speaker or file of the cohort.
        by: what an entry is.

    Raises:
        BadManifest: for a manifest that cannot be used, or that shares speakers or files with the list.
        BadAudio, TooShort: for a recording that cannot be embedded.
    """
    utterances = []
    for manifest in manifests:
        found = read_manifest(manifest)
        _refuse_shared(manifest, found, listed)
        utterances += found
    embeddings = embed_utterances(encoder, utterances, label="embedding the cohort").embeddings
    names, of = np.unique([utterance.speaker for utterance in utterances], return_inverse=True)
    people = f"{len(names):,} speakers of {', '.join(manifest.name for manifest in manifests)}"
    if by == "utterances":
        return Cohort(embeddings, f"{len(embeddings):,} cohort utterances of {people}")
    members = [np.flatnonzero(of == speaker) for speaker in range(len(names))]
    return Cohort(mean_embeddings(embeddings, members), f"cohort of the means of {people}")


def _refuse_shared(manifest: Path, utterances: Sequence[Utterance], listed: Sequence[Utterance]) -> None:
    """See that a cohort is of others; a list without a manifest has no speakers' names, but has files."""
    people = {utterance.speaker for utterance in utterances} & {utterance.speaker for utterance in listed}
    files = _files(utterances) & _files(listed)
    for what, shared in (("speakers", people), ("files", files)):
        if shared:
            reason = f"{len(shared)} of its {what} ({few(sorted(shared))}) are in the trial list too"
            raise BadManifest(manifest, None, f"{reason}; a cohort is of other people: give another manifest")


def _files(utterances: Sequence[Utterance]) -> set[str]:
    return {os.path.realpath(utterance.path) for utterance in utterances}
