"""What a run trains on: decoded utterances with their speakers as numbers, and how crops are cut from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from acanet.bundle import Provenance
from acanet.data.batches import CropPlan
from acanet.data.cache import AudioCache, build_cache
from acanet.data.manifest import Utterance, read_manifest
from acanet.errors import BadManifest
from acanet.training.config import Augment, Data, Dev


@dataclass(frozen=True, slots=True)
class Corpus:
    """Training data.

    Attributes:
        cache: decoded utterances.
        speakers: number of the speaker (0, 1, ... in the order of their names) of each utterance.
        provenance: what a model that was trained on it has to tell.
    """

    cache: AudioCache
    speakers: tuple[int, ...]
    provenance: Provenance


def load_corpus(
    data: Data, dev: Dev, dev_speakers: frozenset[str], rate: int, heard_before: frozenset[str] = frozenset()
) -> Corpus:
    """Read the manifests and decode what they name, or find it decoded.

    `heard_before` are the speakers of the model that training starts from.

    Raises:
        BadManifest: with fewer than two speakers, or when a dev speaker is trained on, now or before.
        BadAudio: for a recording that cannot be decoded.
    """
    utterances = _utterances(data)
    names = sorted({utterance.speaker for utterance in utterances})
    _check_disjoint(heard_before.union(names), dev_speakers, dev.manifest)
    cache = build_cache(utterances, data.cache, rate, data.workers)
    number = {name: i for i, name in enumerate(names)}
    provenance = Provenance(
        data=tuple(path.name for path in data.train), speakers=frozenset(names), audio=frozenset(cache.hashes)
    )
    return Corpus(cache, tuple(number[utterance.speaker] for utterance in utterances), provenance)


def crop_plan(data: Data, augment: Augment, rate: int) -> CropPlan:
    """How crops are cut and augmented, in samples at a rate."""
    return CropPlan(
        batch=data.batch,
        crop_samples=(round(data.crop_seconds.low * rate), round(data.crop_seconds.high * rate)),
        speed=augment.speed,
        speeds=augment.speeds,
        noise=augment.noise,
        noise_snr_db=(augment.noise_snr_db.low, augment.noise_snr_db.high),
        babble=augment.babble,
        babble_snr_db=(augment.babble_snr_db.low, augment.babble_snr_db.high),
        babble_speakers=(round(augment.babble_speakers.low), round(augment.babble_speakers.high)),
        gain=augment.gain,
        gain_db=(augment.gain_db.low, augment.gain_db.high),
    )


def _utterances(data: Data) -> list[Utterance]:
    utterances = [utterance for path in data.train for utterance in read_manifest(path)]
    if len({utterance.speaker for utterance in utterances}) < 2:
        raise BadManifest(data.train[0], None, "only one speaker; training needs two or more")
    return utterances


def _check_disjoint(speakers: frozenset[str], dev: frozenset[str], manifest: Path) -> None:
    if shared := sorted(dev & speakers):
        reason = f"{len(shared)} dev speakers are trained on too ({', '.join(shared[:3])}); make them disjoint"
        raise BadManifest(manifest, None, reason)
