"""The speech of a run: utterances with their speakers as numbers, how crops are cut from them, what is added."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from pathlib import Path

from acanet.data.augment.chain import Banks
from acanet.data.augment.effects import Augment, Range
from acanet.data.augment.rooms import build_rooms
from acanet.data.corpora.folder import recordings
from acanet.data.feed.batches import Phase
from acanet.data.feed.cache import Audio, build_cache, open_files, warn_of_failures
from acanet.data.lists.manifest import NOBODY, Utterance, read_manifest, read_recordings
from acanet.data.lists.names_alike import warn_of_names
from acanet.errors import BadConfig, BadManifest
from acanet.runtime.bundle import Bundle, Provenance
from acanet.training.dev import read_dev
from acanet.training.recipe import Data, Recipe
from acanet.training.sources import Source
from acanet.training.start import check_frozen


@dataclass(frozen=True, slots=True)
class Corpus:
    """The utterances that a run trains on.

    Attributes:
        audio: the utterances.
        speakers: number of the speaker (0, 1, ... in the order of their names) of each utterance; one that names nobody
            has a number of its own, above those of all names.
        named: how many speakers have names.
        provenance: what a model that was trained on it has to tell.
        sources: the manifests that it was read from.
    """

    audio: Audio
    speakers: tuple[int, ...]
    named: int
    provenance: Provenance
    sources: tuple[Source, ...]


def load_corpus(
    recipe: Recipe, rate: int, dev_speakers: frozenset[str] = frozenset(), heard_before: frozenset[str] = frozenset()
) -> Corpus:
    """Read the manifests and decode what they name, or find it decoded.

    Args:
        recipe: names the manifests, tells how they are decoded, and whether speakers need names.
        rate: samples a second.
        dev_speakers: who chooses the model, and so must not be trained on.
        heard_before: the speakers of the models that training starts from or learns from.

    Raises:
        BadManifest: with fewer than two speakers where they have a loss, when an id or path stands twice, when nobody
            is named without a teacher, or when a dev speaker is trained on, now or before.
        BadAudio: when no recording can be decoded.
        AcanetError: for a manifest without lengths that is not to be decoded at once.

    Warns:
        AlikeWarning: of speakers, those of dev among them, whose names are alike.
        LeftOutWarning: of recordings that cannot be decoded, and are left out.
    """
    data, read = recipe.data, _read(recipe)
    utterances = [utterance for _, utterance in read]
    names = _speakers(utterances, recipe, dev_speakers, heard_before)
    if data.decode == "once":
        cache = build_cache(utterances, data.cache, rate, data.workers)
        warn_of_failures(cache, utterances)
        read = [read[place] for place in cache.kept]
        utterances = [utterance for _, utterance in read]
        audio: Audio = cache
        names = _speakers(utterances, recipe, dev_speakers, heard_before)
    else:
        audio = open_files(utterances, rate)
    warn_of_names(dev_speakers.union(names))
    number, nobody = {name: i for i, name in enumerate(names)}, count(len(names))
    provenance = Provenance(
        data=tuple(path.name for path in data.train), speakers=frozenset(names), audio=frozenset(audio.hashes)
    )
    speakers = (next(nobody) if each.speaker == NOBODY else number[each.speaker] for each in utterances)
    sources = (Source.of(path.name, [each for origin, each in read if origin == path]) for path in data.train)
    return Corpus(audio, tuple(speakers), len(names), provenance, tuple(sources))


def check_inputs(recipe: Recipe) -> frozenset[str]:
    """See that what a run names is there, before hours of others: frozen parts, manifests, trials, recordings.

    Returns:
        The speakers that it will train on.

    Raises:
        BadManifest, BadTrials, BadConfig, AcanetError: as training would, later.
    """
    check_frozen(recipe.model)
    if recipe.teacher is not None:
        Bundle.load(recipe.teacher.bundle)
    dev_speakers = read_dev(recipe.dev).speakers if recipe.dev else frozenset()
    names = _speakers([utterance for _, utterance in _read(recipe)], recipe, dev_speakers)
    for key, effect in (("music", recipe.augment.music), ("noise", recipe.augment.noise)):
        if effect.probability and effect.folder is not None:
            _recordings(effect.folder, f"augment.{key}.folder")
    return frozenset(names)


def crop_phases(recipe: Recipe, rate: int) -> list[Phase]:
    """The phases of a run: how crops are cut, in samples at a rate, and augmented in each."""
    data, large_margin = recipe.data, recipe.large_margin
    phases = [Phase(recipe.steps, data.batch, _samples(data.crop_seconds, rate), recipe.augment)]
    if large_margin is not None:
        calm = recipe.augment.model_copy(update={"speed": recipe.augment.speed.model_copy(update={"probability": 0.0})})
        crop_samples = _samples(large_margin.crop_seconds, rate)
        phases.append(Phase(large_margin.steps, large_margin.batch or data.batch, crop_samples, calm))
    return phases


def load_banks(augment: Augment, data: Data, rate: int, seed: int) -> Banks:
    """Make the rooms and decode the recordings that the effects draw from, or find them made.

    Raises:
        BadConfig: for a folder that holds no recordings.
        BadAudio: when no recording of a folder can be decoded.
        MissingExtra: without what makes rooms.

    Warns:
        LeftOutWarning: of recordings that cannot be decoded, and are left out.
    """

    def decoded(probability: float, folder: Path | None, key: str) -> Audio | None:
        if not probability or folder is None:
            return None
        found = _recordings(folder, key)
        cache = build_cache(found, data.cache, rate, data.workers)
        warn_of_failures(cache, found)
        return cache

    rooms = None
    if augment.room.probability:
        t60 = (augment.room.t60.low, augment.room.t60.high)
        rooms = build_rooms(data.cache, rate, count=augment.room.count, t60=t60, seed=seed, workers=data.workers)
    return Banks(
        rooms=rooms,
        music=decoded(augment.music.probability, augment.music.folder, "augment.music.folder"),
        noise=decoded(augment.noise.probability, augment.noise.folder, "augment.noise.folder"),
    )


def _read(recipe: Recipe) -> list[tuple[Path, Utterance]]:
    """The training utterances, each with its manifest; with a teacher they need not tell who speaks."""
    read = read_manifest if recipe.teacher is None else read_recordings
    return [(path, utterance) for path in recipe.data.train for utterance in read(path)]


def _speakers(
    utterances: list[Utterance],
    recipe: Recipe,
    dev_speakers: frozenset[str],
    heard_before: frozenset[str] = frozenset(),
) -> list[str]:
    """The names of the speakers, sorted: two or more where they have a loss, none of dev."""
    manifest = recipe.data.train[0]
    names = sorted({utterance.speaker for utterance in utterances} - {NOBODY})
    if recipe.loss is not None and len(names) < 2:
        known = "only one speaker" if names else "no speaker is named"
        raise BadManifest(manifest, None, f"{known}; the loss on speakers needs two or more")
    if len(utterances) < 2:
        raise BadManifest(manifest, None, "only one utterance; training needs two or more")
    if shared := sorted(dev_speakers & heard_before.union(names)):
        reason = f"{len(shared)} dev speakers are trained on too ({', '.join(shared[:3])}); make them disjoint"
        raise BadManifest(manifest, None, reason)
    return names


def _recordings(folder: Path, key: str) -> list[Utterance]:
    paths = sorted(recordings(folder)) if folder.is_dir() else []
    if not paths:
        raise BadConfig(key, [f"no recordings in {folder}; name a folder that holds some, or none to generate them"])
    return [Utterance(str(path), path, "", str(path)) for path in paths]


def _samples(seconds: Range, rate: int) -> tuple[int, int]:
    return round(seconds.low * rate), round(seconds.high * rate)
