"""Recordings in many formats with damage of many kinds, heard in a process of its own that may hang, crash or swell."""

from __future__ import annotations

import multiprocessing
import os
import resource
import struct
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from support.sounds import ID3, encode

SOUND = (
    ("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("WAV", "ULAW"), ("WAV", "IMA_ADPCM"), ("WAV", "MS_ADPCM"),
    ("WAV", "GSM610"), ("WAV", "G721_32"), ("WAV", "NMS_ADPCM_32"), ("WAVEX", "PCM_16"), ("RF64", "PCM_16"),
    ("W64", "PCM_16"), ("AIFF", "PCM_16"), ("AIFF", "FLOAT"), ("AIFF", "GSM610"), ("AU", "PCM_16"), ("AU", "G723_24"),
    ("CAF", "ALAC_16"), ("CAF", "PCM_16"), ("NIST", "PCM_16"), ("NIST", "ULAW"), ("VOC", "PCM_16"), ("XI", "DPCM_16"),
    ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"),
)  # fmt: skip
"""What libsndfile writes."""
MEDIA = (
    ("aac", "ipod", "fltp", {}), ("alac", "ipod", "s16p", {}), ("pcm_s16le", "mov", "s16", {}),
    ("aac", "mp4", "fltp", {"movflags": "frag_keyframe+empty_moov+delay_moov"}), ("libopus", "webm", "s16", {}),
    ("flac", "matroska", "s16", {}), ("aac", "adts", "fltp", {}), ("wmav2", "asf", "fltp", {}),
    ("libopencore_amrnb", "amr", "s16", {}), ("flac", "ogg", "s16", {}),
)  # fmt: skip
"""What FFmpeg writes: codec, container, type of samples, options."""
SECONDS, PATIENCE = 10.0, 900.0
"""Nothing takes a processor so long, and what is not back after so long by the clock, waits for ever."""
MEGABYTES = 400
"""Memory that no mutant takes beyond what a good recording does."""
NUMBERS = (0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF, 2**31 - 36)


@dataclass
class Tally:
    """What came of mutants.

    Attributes:
        outcomes: how many were read, and how many refused, for each format.
        wrong: what must not be: exceptions, hangs, crashes, memory; with the number of the mutant.
        slowest: seconds of a processor that the slowest took, and its number.
        megabytes: that the process took beyond what a good recording does.
    """

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest: tuple[float, int] = (0.0, -1)
    megabytes: float = 0.0

    def lines(self) -> list[str]:
        """The figures, for people."""
        total = Counter[str]()
        for (_, outcome), count in self.outcomes.items():
            total[outcome] += count
        return [
            f"{sum(total.values())} mutants: {total['heard']} heard, {total['read']} read but not embedded, "
            f"{total['refused']} refused, {len(self.wrong)} wrong",
            f"slowest {self.slowest[0]:.2f} s (mutant {self.slowest[1]}), memory at most {self.megabytes:.0f} MB more",
            *self.wrong,
        ]


def recordings(speech: np.ndarray, rate: int) -> dict[str, bytes]:
    """One voice, (samples,), in every format that can be written here, alone, joined and behind tags."""
    made: dict[str, bytes] = {}
    for format, subtype in SOUND:
        for name, samples in (("", speech), (" stereo", np.stack([speech, -0.5 * speech], axis=1))):
            made |= _attempt(f"{format} {subtype}{name}", lambda: encode(samples, rate, format, subtype))  # noqa: B023
    for kind in MEDIA:
        made |= _attempt(f"{kind[1]} {kind[0]}", lambda: media(speech, rate, *kind))  # noqa: B023
    for name in (
        "OGG VORBIS",
        "OGG OPUS",
        "ogg flac",
        "FLAC PCM_16",
        "MP3 MPEG_LAYER_III",
        "WAV PCM_16",
        "ipod aac",
        "webm libopus",
    ):
        if name in made:
            made[f"{name}, joined"] = made[name] + made[name]
    for name in ("MP3 MPEG_LAYER_III", "adts aac", "WAV PCM_16", "OGG OPUS"):
        if name in made:
            made[f"{name}, tagged"] = ID3 + made[name]
    return made


def mutant(seeds: dict[str, bytes], number: int) -> tuple[str, bytes]:
    """The format and the bytes of a mutant, always the same."""
    rng = np.random.default_rng([17, number])
    names = sorted(seeds)
    name = names[number % len(names)]
    data = seeds[name]
    for _ in range(int(rng.integers(1, 4))):
        data = DAMAGES[int(rng.integers(len(DAMAGES)))](rng, data, seeds[names[int(rng.integers(len(names)))]])
    return name, data


def hear(seeds: dict[str, bytes], bundle: Path, numbers: range) -> Tally:
    """Mutants heard, one after the other, by `read_audio` and `Encoder.embed` in a process of its own.

    Args:
        seeds: from `recordings`.
        bundle: the model.
        numbers: of the mutants.
    """
    tally, waiting = Tally(), list(numbers)
    spawn = multiprocessing.get_context("spawn")
    while waiting:
        ours, theirs = spawn.Pipe()
        process = spawn.Process(target=_work, args=(theirs, seeds, bundle, waiting), daemon=True)
        process.start()
        theirs.close()
        ours.recv()  # it is ready
        waiting = _follow(ours, int(process.pid or 0), waiting, tally)
        process.kill()
        process.join()
    return tally


def _follow(worker: Connection, process: int, waiting: list[int], tally: Tally) -> list[int]:
    """Note what a process tells of each mutant, up to one that it does not come back from; those that are left."""
    for place, number in enumerate(waiting):
        try:
            if not _answers(worker, process):
                tally.wrong.append(f"mutant {number}: it hangs")
                return waiting[place + 1 :]
            name, outcome, seconds, megabytes = worker.recv()
        except EOFError:
            tally.wrong.append(f"mutant {number}: the process died")
            return waiting[place + 1 :]
        if outcome.startswith("wrong") or seconds > SECONDS:
            tally.wrong.append(f"mutant {number} ({name}): {outcome}, {seconds:.1f} s")
        tally.outcomes[name, outcome.partition(":")[0]] += 1
        tally.slowest = max(tally.slowest, (seconds, number))
        if megabytes > max(MEGABYTES, tally.megabytes):
            tally.wrong.append(f"mutant {number} ({name}): {megabytes:.0f} MB")
        tally.megabytes = max(tally.megabytes, megabytes)
    return []


def _answers(worker: Connection, process: int) -> bool:
    """Whether something comes before the process has had a processor, or the clock, for too long."""
    used, begin = _used(process), time.monotonic()
    while not worker.poll(1.0):
        if _used(process) - used > 2 * SECONDS or time.monotonic() - begin > PATIENCE:
            return False
    return True


def _used(process: int) -> float:
    """Seconds of a processor that a process has had; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _work(parent: Connection, seeds: dict[str, bytes], bundle: Path, numbers: list[int]) -> None:
    from acanet.encoder import Encoder

    warnings.simplefilter("ignore")
    encoder = Encoder.load(bundle)
    for data in seeds.values():
        _outcome(encoder, data)
    before = _megabytes()
    resource.setrlimit(resource.RLIMIT_DATA, (2**33, 2**33))  # for the machine's sake
    parent.send("ready")
    for number in numbers:
        name, data = mutant(seeds, number)
        begin = time.process_time()
        outcome = _outcome(encoder, data)
        parent.send((name, outcome, time.process_time() - begin, _megabytes() - before))


def _outcome(encoder: Any, data: bytes) -> str:
    """What comes of a recording: `heard`, `read`, `refused`, or `wrong` with what it was."""
    from acanet.audio.recording import read_audio
    from acanet.errors import AcanetError

    outcome = "refused"
    try:
        waveform, _ = read_audio(data)
        if not np.isfinite(waveform).all():
            return "wrong: samples that are not finite"
        outcome = "read"
        embedding = encoder.embed(data)
        return "heard" if abs(float(np.linalg.norm(embedding)) - 1) < 1e-3 else "wrong: no embedding of unit length"
    except AcanetError as error:
        return "wrong: no memory" if isinstance(error.__cause__, MemoryError) else outcome
    except BaseException as error:
        return f"wrong: {type(error).__name__}: {error}"


def _megabytes() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# Damage


def _flip(rng: np.random.Generator, data: bytes, _: bytes) -> bytes:
    broken = bytearray(data)
    for at in rng.integers(0, max(1, len(data)), int(rng.integers(1, 17))):
        broken[at : at + 1] = bytes([int(rng.integers(256))])
    return bytes(broken)


def _flip_head(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    size = int(rng.integers(16, 600))
    return _flip(rng, data[:size], other) + data[size:]


def _number(rng: np.random.Generator, data: bytes, _: bytes) -> bytes:
    """A size or a count replaced, more often near the beginning."""
    at = int(rng.integers(0, max(1, min(len(data), 600 if rng.random() < 0.7 else len(data)))))
    value, layout = NUMBERS[int(rng.integers(len(NUMBERS)))], ("<I", ">I", "<Q", ">Q", "<H", ">H")[int(rng.integers(6))]
    packed = struct.pack(layout, value % 2 ** (8 * struct.calcsize(layout)))
    return data[:at] + packed + data[at + len(packed) :]


def _cut(rng: np.random.Generator, data: bytes, _: bytes) -> bytes:
    return data[: int(rng.integers(0, len(data) + 1))]


def _behead(rng: np.random.Generator, data: bytes, _: bytes) -> bytes:
    return data[int(rng.integers(0, min(len(data), 2000) + 1)) :]


def _drop(rng: np.random.Generator, data: bytes, _: bytes) -> bytes:
    begin, end = sorted(rng.integers(0, len(data) + 1, 2).tolist())
    return data[:begin] + data[end:]


def _repeat(rng: np.random.Generator, data: bytes, _: bytes) -> bytes:
    begin, end = sorted(rng.integers(0, len(data) + 1, 2).tolist())
    return data[:end] + data[begin:end] * int(rng.integers(1, 4)) + data[end:]


def _insert(rng: np.random.Generator, data: bytes, _: bytes) -> bytes:
    at = int(rng.integers(0, len(data) + 1))
    return data[:at] + rng.bytes(int(rng.integers(1, 3000))) + data[at:]


def _erase(rng: np.random.Generator, data: bytes, _: bytes) -> bytes:
    begin, end = sorted(rng.integers(0, len(data) + 1, 2).tolist())
    return data[:begin] + bytes([0, 255][int(rng.integers(2))] for _ in range(end - begin)) + data[end:]


def _splice(rng: np.random.Generator, data: bytes, other: bytes) -> bytes:
    return data[: int(rng.integers(0, len(data) + 1))] + other[int(rng.integers(0, len(other) + 1)) :]


def _join(_: np.random.Generator, data: bytes, other: bytes) -> bytes:
    return data + other


DAMAGES: tuple[Callable[[np.random.Generator, bytes, bytes], bytes], ...] = (
    _flip, _flip, _flip_head, _flip_head, _number, _number, _number, _cut, _behead, _drop, _repeat, _insert, _erase,
    _splice, _join,
)  # fmt: skip


# Files


def _attempt(name: str, make: Callable[[], bytes]) -> dict[str, bytes]:
    """A file, where the libraries that are here write such a one."""
    try:
        return {name: make()}
    except Exception:
        return {}


def media(speech: np.ndarray, rate: int, codec: str, container: str, samples: str, options: dict[str, str]) -> bytes:
    """A voice, (samples,), as FFmpeg writes it."""
    import av

    rate, speech = (8000, speech[::2]) if container == "amr" else (rate, speech)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "recording")
        with av.open(path, "w", format=container, options=options) as file:
            stream = file.add_stream(codec, rate=rate, layout="mono")
            stream.codec_context.format = samples
            if codec.startswith("wma"):
                stream.bit_rate = 32_000
            stream.codec_context.open()
            size = stream.codec_context.frame_size or 1024
            pcm = speech if samples.startswith("flt") else np.rint(speech * 32767).astype(np.int16)
            for at in range(0, len(pcm), size):
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(pcm[None, at : at + size]), samples, "mono")
                frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
                file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
        return Path(path).read_bytes()
