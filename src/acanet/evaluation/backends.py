"""Which back-end scores a trial list, and the training of the one that learns: PLDA."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from acanet.data.lists.manifest import Utterance, read_manifest
from acanet.encoder import Encoder
from acanet.errors import AcanetError, SeenInTraining, few
from acanet.evaluation.backend_choices import BackendKind, CohortEntry
from acanet.evaluation.cohort import embed_cohort
from acanet.evaluation.embedding import embed_utterances, refuse_trimming
from acanet.evaluation.scorer import Scoring
from acanet.scoring.cosine import cosine
from acanet.scoring.normalise import SNorm
from acanet.scoring.plda import Origin, Plda, require_trainable

TOP = 200
"""Cohort entries nearest to an embedding that adaptive S-norm takes, when nobody says how many."""


def _need(kind: BackendKind, what: str, option: str, *, given: bool, needed: bool) -> None:
    if needed and not given:
        raise AcanetError(f"{kind} needs {what}; give {option}")
    if given and not needed:
        raise AcanetError(f"{kind} takes no {option}; leave it out, or choose another --scoring")


@dataclass(frozen=True)
class Backend:
    """A back-end: what turns embeddings into scores; a PLDA file or a cohort comes with those that need one.

    Attributes:
        kind: `snorm` and `asnorm` need a cohort, `plda` a PLDA.
        cohort: manifests of people who are not in the list.
        cohort_by: what an entry of the cohort is (see `embed_cohort`).
        top: of `asnorm`: so many entries of the cohort, those nearest; None: `TOP`.
        plda: a file that `acanet plda` wrote, for this very model.
    """

    kind: BackendKind = "cosine"
    cohort: Sequence[Path] = ()
    cohort_by: CohortEntry = "utterances"
    top: int | None = None
    plda: Path | None = None

    def __post_init__(self) -> None:
        normalises = self.kind in ("snorm", "asnorm")
        _need(self.kind, "a cohort", "--cohort", given=bool(self.cohort), needed=normalises)
        _need(self.kind, "a PLDA", "--plda", given=self.plda is not None, needed=self.kind == "plda")
        if self.top is not None and self.kind != "asnorm":
            raise AcanetError(f"{self.kind} takes no --top; it belongs to asnorm")


COSINE = Backend()


def prepare_scoring(
    backend: Backend, encoder: Encoder, listed: Sequence[Utterance], *, seen: bool = False
) -> tuple[Scoring, str]:
    """The scoring of a trial list by a back-end, and what the card says of it.

    Args:
        backend: which.
        encoder: the model.
        listed: the utterances of the list.
        seen: allow a PLDA that was trained on speakers of the list.

    Raises:
        AcanetError: for a cohort that is too small, or a file that is not a PLDA.
        BadManifest: for a cohort that cannot be used, or shares speakers or files with the list.
        BadAudio, TooShort: for a recording of the cohort that cannot be embedded.
        ModelMismatch: for a PLDA of another model.
        SeenInTraining: for a PLDA that was trained on speakers of the list, unless `seen`.
    """
    match backend.kind:
        case "cosine":
            return cosine, "cosine"
        case "plda":
            assert backend.plda is not None  # `Backend` sees to it
            model = Plda.load(backend.plda, encoder.fingerprint)
            if not seen:
                _refuse_trained_on(model, backend.plda, listed)
            return model, f"plda, {model.origin}"
        case "snorm":
            others = embed_cohort(encoder, backend.cohort, listed, by=backend.cohort_by)
            return SNorm(others.embeddings), f"snorm, {others.description}"
        case "asnorm":
            others = embed_cohort(encoder, backend.cohort, listed, by=backend.cohort_by)
            top = TOP if backend.top is None else backend.top
            return SNorm(others.embeddings, top), f"asnorm, {others.description}, top {top:,}"
        case _:
            assert_never(backend.kind)


def train_plda(encoder: Encoder, manifests: Sequence[Path], *, lda: int | None = None) -> Plda:
    """Train a PLDA on the embeddings of whole utterances.

    Args:
        encoder: the model.
        manifests: what to train on; a name in two of them is one speaker.
        lda: directions that LDA keeps; None: all, without LDA.

    Raises:
        BadManifest: for a manifest that cannot be used.
        AcanetError: for an encoder that trims, or speakers from whom it cannot be learned; known before anything is
            decoded.
        BadAudio, TooShort: for a recording that cannot be embedded.
    """
    refuse_trimming(encoder)
    utterances = [utterance for manifest in manifests for utterance in read_manifest(manifest)]
    speakers = [utterance.speaker for utterance in utterances]
    require_trainable(speakers, encoder.dim, lda)
    origin = Origin(
        fingerprint=encoder.fingerprint,
        data=tuple(manifest.name for manifest in manifests),
        speakers=frozenset(speakers),
        utterances=len(utterances),
        lda=lda,
    )
    return Plda.train(embed_utterances(encoder, utterances).embeddings, speakers, origin)


def _refuse_trained_on(model: Plda, path: Path, listed: Sequence[Utterance]) -> None:
    known = sorted({utterance.speaker for utterance in listed} & model.origin.speakers)
    if known:
        shown = f"{len(known)} speakers ({few(known)})"
        raise SeenInTraining(f"{path} was trained on {shown} of this trial list")
