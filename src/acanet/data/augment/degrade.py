"""Utterances made worse on purpose, to measure what a model does with them.

Every draw derives from a seed, the kind of degradation and the utterance's id: an utterance suffers the same in any
order and any batch. All severities of a kind share their draws, so that 5 dB is the noise of 10 dB, louder.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.signal import firwin, oaconvolve

from acanet.audio.blocks import Waveform
from acanet.data.augment import functions as augment
from acanet.data.augment.chain import random_crop
from acanet.data.augment.codecs import opus, telephone
from acanet.data.augment.rooms import RoomBank
from acanet.data.augment.silence import Place, add_faint_noise, gate, lose_packets, put_in
from acanet.data.feed.cache import Audio, build_cache
from acanet.data.lists.manifest import Utterance, read_manifest
from acanet.errors import BadManifest, few

VOICES = 5  # that talk at once in babble
POOL = 100  # speakers that babble is drawn from
POOL_SECONDS = 20.0  # of each
_FULL_SCALE = 2**15

Draw = Callable[[Waveform, np.random.Generator], Waveform]
"""(samples,) -> (samples,); what is left to chance comes from the generator."""


@dataclass(frozen=True)
class Degradation:
    """One way of making an utterance worse.

    Attributes:
        kind: such as `noise`; degradations of one kind share their draws.
        severity: such as `10 dB`.
        apply: does it.
        keeps: seconds that are left of an utterance that is longer; None: all.
    """

    kind: str
    severity: str
    apply: Draw
    keeps: float | None = None

    def __call__(self, waveform: Waveform, seed: int, utterance: str) -> Waveform:
        """An utterance as it may have been recorded.

        Args:
            waveform: (samples,).
            seed: of all draws.
            utterance: its id.
        """
        return self.apply(waveform, generator(seed, self.kind, utterance))


def generator(seed: int, kind: str, utterance: str) -> np.random.Generator:
    """The random generator that an utterance draws from for a kind of degradation."""
    digest = hashlib.sha256(f"{kind} {utterance}".encode(errors="surrogatepass")).digest()
    return np.random.default_rng((seed, int.from_bytes(digest[:16])))


def white_noise(snr_db: float) -> Degradation:
    """Gaussian white noise at a signal-to-noise ratio.

    The ratio is of mean powers over the whole utterance, pauses included: where a third of it is silence, the voice
    itself is 1.8 dB higher above the noise. To an utterance of silence nothing is added.
    """

    def apply(waveform: Waveform, rng: np.random.Generator) -> Waveform:
        return augment.add_at_snr(waveform, rng.standard_normal(len(waveform), dtype=np.float32), snr_db)

    return Degradation("noise", f"{snr_db:g} dB", apply)


def babble(voices: Audio, snr_db: float) -> Degradation:
    """Five other people talking, each at the same mean power; the ratio is that of `white_noise`.

    Args:
        voices: an utterance a speaker, five or more, as `babble_voices` gives them.
        snr_db: of the utterance to all of them together.
    """

    def apply(waveform: Waveform, rng: np.random.Generator) -> Waveform:
        chosen = rng.choice(len(voices), VOICES, replace=False).tolist()
        crops = [random_crop(voices, voice, len(waveform), rng) for voice in chosen]
        return augment.add_at_snr(waveform, augment.babble(crops), snr_db)

    return Degradation("babble", f"{snr_db:g} dB", apply)


def telephone_line(rate: int) -> Degradation:
    """A telephone line, 300 to 3,400 Hz, 8 kHz, mu-law; waveforms have `rate` samples a second, before and after."""
    return Degradation("telephone", "8 kHz", lambda waveform, _: telephone(waveform, rate))


def opus_line(rate: int, kbps: float) -> Degradation:
    """Opus at so many kbit/s; waveforms have `rate` samples a second, before and after."""
    return Degradation("opus", f"{kbps:g} kbit/s", lambda waveform, _: opus(waveform, rate, kbps))


def crop(rate: int, seconds: float) -> Degradation:
    """A crop of so many seconds from anywhere; an utterance that is not longer is taken whole."""
    samples = round(seconds * rate)

    def apply(waveform: Waveform, rng: np.random.Generator) -> Waveform:
        start = int(rng.random() * max(0, len(waveform) - samples + 1))
        return waveform[start : start + samples]

    return Degradation("crop", f"{seconds:g} s", apply, keeps=seconds)


def zeros(rate: int, seconds: float, place: Place) -> Degradation:
    """So many seconds of digital silence before an utterance, inside, or after it."""
    quiet = np.zeros(round(seconds * rate), np.float32)
    return Degradation("zeros", f"{seconds:g} s {place}", lambda waveform, _: put_in(waveform, quiet, place))


def hiss(rate: int, seconds: float, dbfs: float, place: Place) -> Degradation:
    """So many seconds of white noise at a level, in decibels below 1, before an utterance, inside, or after it."""

    def apply(waveform: Waveform, rng: np.random.Generator) -> Waveform:
        return put_in(waveform, add_faint_noise(np.zeros(round(seconds * rate), np.float32), rng, dbfs), place)

    return Degradation("hiss", f"{seconds:g} s at {dbfs:g} dBFS {place}", apply)


def noise_gate(rate: int, threshold_db: float) -> Degradation:
    """A noise gate, which leaves zeros where the level is so far below that of the loudest parts."""
    return Degradation("gate", f"{threshold_db:g} dB", lambda waveform, _: gate(waveform, rate, threshold_db))


def lost_packets(rate: int, share: float, seconds: float) -> Degradation:
    """A share of all packets of so many seconds lost, and zeros in their place."""

    def apply(waveform: Waveform, rng: np.random.Generator) -> Waveform:
        return lose_packets(waveform, rng, share, round(seconds * rate))

    return Degradation("packets", f"{share:.0%} of {1000 * seconds:g} ms", apply)


def low_level(decibels: float) -> Degradation:
    """A recording at a root mean square so far below 1, in 16 bit."""

    def apply(waveform: Waveform, _: np.random.Generator) -> Waveform:
        power = float(np.mean(np.square(waveform, dtype=np.float64)))
        gain = np.float32(10 ** (decibels / 20) / np.sqrt(power)) if power else np.float32(1)
        quiet: Waveform = np.rint(waveform * gain * _FULL_SCALE).astype(np.float32) / np.float32(_FULL_SCALE)
        return quiet

    return Degradation("level", f"{decibels:g} dBFS, 16 bit", apply)


def overdriven(gain: float) -> Degradation:
    """An utterance amplified so many times, and clipped at full scale."""
    return Degradation("overdrive", f"gain {gain:g}", lambda waveform, _: np.clip(waveform * np.float32(gain), -1, 1))


def low_pass(rate: int, hz: float) -> Degradation:
    """An utterance with nothing above a frequency."""
    taps = firwin(257, hz, fs=rate).astype(np.float32)
    return Degradation("low-pass", f"{hz:g} Hz", lambda waveform, _: oaconvolve(waveform, taps, mode="same"))


def one_room(bank: RoomBank) -> Degradation:
    """The same room for all utterances."""
    return Degradation("one-room", "the same for all", lambda waveform, _: augment.reverberate(waveform, bank[0]))


def room(bank: RoomBank, severity: str) -> Degradation:
    """A room of a bank, drawn for each utterance."""

    def apply(waveform: Waveform, rng: np.random.Generator) -> Waveform:
        return augment.reverberate(waveform, bank[int(rng.random() * len(bank))])

    return Degradation("room", severity, apply)


def babble_voices(
    manifest: Path, folder: Path, rate: int, *, seed: int, without: Collection[Utterance], workers: int = 1
) -> Audio:
    """Voices to make babble of: an utterance of each of up to 100 speakers, 20 s of it at most.

    Args:
        manifest: whose utterances, such as those of the training.
        folder: where the decoded audio is kept.
        rate: samples a second.
        seed: decides which speakers and utterances.
        without: the utterances that babble is added to; none of them, nor of their speakers, may be in it.
        workers: processes that decode.

    Raises:
        BadManifest: that cannot be read, shares speakers or files with `without`, or has fewer than five speakers.
        BadAudio: for a recording that cannot be read.
    """
    utterances = sorted(read_manifest(manifest), key=lambda utterance: utterance.id)
    _refuse_known(manifest, utterances, without)
    by_speaker: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        by_speaker.setdefault(utterance.speaker, []).append(utterance)
    if len(by_speaker) < VOICES:
        reason = f"{len(by_speaker)} speakers; babble is {VOICES} of them at once, give a manifest of more"
        raise BadManifest(manifest, None, reason)
    rng = np.random.default_rng(seed)
    speakers = sorted(by_speaker)
    chosen = rng.permutation(len(speakers))[:POOL].tolist()
    pool = [_one(by_speaker[speakers[speaker]], rng) for speaker in chosen]
    return build_cache(pool, folder, rate, workers)


def _refuse_known(manifest: Path, utterances: Sequence[Utterance], without: Collection[Utterance]) -> None:
    speakers = {utterance.speaker for utterance in without}
    files = {os.path.abspath(utterance.path) for utterance in without}
    known = [each.id for each in utterances if each.speaker in speakers or os.path.abspath(each.path) in files]
    if known:
        reason = f"{len(known)} of its utterances ({few(known)}) are of speakers of the trial list"
        raise BadManifest(manifest, None, f"{reason}; babble has to be of others, such as those of the training")


def _one(utterances: list[Utterance], rng: np.random.Generator) -> Utterance:
    utterance = utterances[int(rng.integers(len(utterances)))]
    return replace(utterance, duration=min(utterance.duration or POOL_SECONDS, POOL_SECONDS))
