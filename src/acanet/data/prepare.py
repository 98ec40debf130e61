"""Recordings of any layout -> a train and a dev manifest, and a report of what was kept and left out.

Reader (`corpora.py`) -> decode each file once, in parallel -> sift -> split by speaker -> files.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import math
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile
from rich.console import Console, Group
from rich.progress import track
from rich.table import Table
from rich.text import Text

from acanet.audio import Waveform, content_hash, decode
from acanet.data.corpora import READERS, LeftOut
from acanet.data.manifest import Utterance
from acanet.data.parallel import spread
from acanet.errors import AcanetError, BadAudio, BadConfig, BadManifest, MissingExtra

Kind = Literal["folder", "jsonl", "csv"]

SHORTEST = 0.5
"""Seconds; shorter utterances are left out."""
QUIETEST = 10 ** (-60 / 20)
"""RMS (-60 dBFS); quieter utterances are left out as silent."""
OVERRUN = 0.1
"""Seconds that a manifest may name beyond the end of a file (rounding); they are cut off."""
OTHER_SPEAKER = "duplicate under another speaker"
"""The reason that tells of wrong labels."""


@dataclass(frozen=True, slots=True)
class Durations:
    """Of the utterances that were kept, in seconds; `deciles` are the nine from 10 % to 90 %."""

    min: float
    median: float
    mean: float
    max: float
    deciles: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Share:
    """What one split holds."""

    utterances: int
    speakers: int
    hours: float


@dataclass(frozen=True, slots=True)
class Report:
    """What `prepare` kept and left out.

    Attributes:
        utterances: how many were kept.
        speakers: how many people speak them.
        hours: how long they are together.
        durations: how long each is.
        splits: what `train` and, unless it was not wanted, `dev` hold.
        left_out: how many utterances were left out, by reason.
        single_utterance_speakers: who has only one utterance, and so no target trial.
        dev: the share of the speakers that was asked for.
        seed: that of the split.
    """

    utterances: int
    speakers: int
    hours: float
    durations: Durations
    splits: Mapping[str, Share]
    left_out: Mapping[str, int]
    single_utterance_speakers: tuple[str, ...]
    dev: float
    seed: int

    def as_json(self) -> str:
        """The report as JSON."""
        return json.dumps(asdict(self), indent=2) + "\n"

    def summary(self) -> Group:
        """The report for people, to print with rich."""
        table = Table("", "utterances", "speakers", "hours", box=None)
        total = Share(self.utterances, self.speakers, self.hours)
        for name, share in {**self.splits, "all": total}.items():
            table.add_row(name, f"{share.utterances:,}", f"{share.speakers:,}", f"{share.hours:.2f}")
        lengths = self.durations
        lines = [
            Text(
                f"utterances last {lengths.min:.1f} to {lengths.max:.1f} s, "
                f"median {lengths.median:.1f} s, mean {lengths.mean:.1f} s"
            )
        ]
        if self.left_out:
            counts = ", ".join(f"{count:,} {reason}" for reason, count in self.left_out.items())
            lines.append(Text(f"left out: {counts} (left_out.csv names them)", style="yellow"))
        if self.single_utterance_speakers:
            count = len(self.single_utterance_speakers)
            lines.append(Text(f"speakers with a single utterance: {count:,}", style="yellow"))
        if wrong := self.left_out.get(OTHER_SPEAKER, 0):
            warning = f"WRONG LABELS: {wrong:,} recordings are there under two speakers; see left_out.csv"
            lines.append(Text(warning, style="bold red"))
        return Group(table, *lines)


def prepare(
    kind: Kind,
    source: Path,
    out: Path,
    *,
    dev: float = 0.1,
    seed: int = 0,
    workers: int = 2,
    progress: bool = False,
) -> Report:
    """Write `train.jsonl`, `dev.jsonl`, `report.json` and `left_out.csv` for a set of recordings.

    Every file is decoded once. Left out are utterances that cannot be read, are silent, shorter than 0.5 s,
    or have the content of an earlier one. No speaker is in both splits. The manifests are Lhotse CutSets: the
    id of a cut is its path relative to `source` (or what the source says), `audio_hash` its content, and the
    recording's path is absolute. A file of several channels, read as their mean, becomes a MultiCut.

    Args:
        kind: `folder`: `source`/speaker/.../file; `jsonl`: a plain or Lhotse manifest; `csv`: a table with
            the columns `path` and `speaker` and any others.
        source: the folder or file.
        out: a folder that does not exist yet or is empty; it appears when everything is done.
        dev: share of the speakers for `dev.jsonl`, drawn among those with at least two utterances, at least
            two of them; 0: no dev split.
        seed: of that draw.
        workers: processes that decode; 1: this one.
        progress: show a bar on standard error.

    Returns:
        The report, also written as `report.json`.

    Raises:
        BadManifest: a source that cannot be read or leaves too little to train on.
        BadConfig: an unknown kind, a share outside [0, 1), a negative seed.
        AcanetError: `out` is not empty, or a process died.
        MissingExtra: lhotse is not installed.
    """
    source, out = Path(source), Path(out)
    _check(kind, dev, seed, out)
    found = list(READERS[kind](source))
    utterances = [item for item in found if isinstance(item, Utterance)]
    left_out = [item for item in found if isinstance(item, LeftOut)]
    _draw_dev(utterances, dev, seed, source, left_out)  # fails early where even all of them are too few
    kept, rejected = _sift(utterances, _measure(utterances, workers, progress))
    left_out += rejected
    dev_speakers = _draw_dev([utterance for utterance, _ in kept], dev, seed, source, left_out)
    splits = {"train": [pair for pair in kept if pair[0].speaker not in dev_speakers]}
    if dev_speakers:
        splits["dev"] = [pair for pair in kept if pair[0].speaker in dev_speakers]
    report = _report(splits, left_out, dev, seed)
    _write(out, splits, left_out, report)
    return report


def _check(kind: str, dev: float, seed: int, out: Path) -> None:
    problems = []
    if kind not in READERS:
        problems.append(f"kind is {kind!r}; known are {', '.join(READERS)}")
    if not 0 <= dev < 1:
        problems.append(f"dev is {dev}; a share of the speakers, at least 0 and below 1, is expected")
    if seed < 0:
        problems.append(f"seed is {seed}; 0 or more is expected")
    if problems:
        raise BadConfig("prepare", problems)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise AcanetError(f"{out}: is there already and not an empty folder; name another one, or remove it")
    if importlib.util.find_spec("lhotse") is None:
        raise MissingExtra("lhotse", "train")


# Decoding, in parallel


@dataclass(frozen=True, slots=True)
class Measured:
    """What decoding tells about an utterance: its file (rate, samples, channels), its piece, its content."""

    rate: int
    samples: int
    channels: int
    first: int
    count: int
    audio_hash: str

    @property
    def seconds(self) -> float:
        """How long the piece is."""
        return self.count / self.rate


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why an utterance cannot be used."""

    reason: str
    detail: str


Finding = Measured | Unfit
Piece = tuple[float, float | None]
"""Start and duration in seconds."""


def _measure(utterances: Sequence[Utterance], workers: int, progress: bool) -> list[Finding]:
    """What is found about each utterance; a file is decoded once, whatever the number of its utterances."""
    of_file: dict[Path, list[int]] = {}
    for index, utterance in enumerate(utterances):
        of_file.setdefault(utterance.path, []).append(index)
    pieces = [[(utterances[i].start, utterances[i].duration) for i in indices] for indices in of_file.values()]
    findings: dict[int, Finding] = {}
    for indices, found in zip(of_file.values(), _measure_files(list(of_file), pieces, workers, progress), strict=True):
        findings.update(zip(indices, found, strict=True))
    return [findings[index] for index in range(len(utterances))]


def _measure_files(
    paths: Sequence[Path], pieces: Sequence[Sequence[Piece]], workers: int, progress: bool
) -> list[list[Finding]]:
    results = spread(_measure_file, paths, pieces, workers=workers)
    return list(track(results, "decoding", len(paths), console=Console(stderr=True), disable=not progress))


def _measure_file(path: Path, pieces: Sequence[Piece]) -> list[Finding]:
    """Decode a file and look at pieces of it.

    Args:
        path: the file.
        pieces: start and duration of each, in seconds; duration None: to the end.

    Returns:
        One finding a piece.
    """
    try:
        waveform, rate = decode(path)
    except BadAudio as error:
        return [Unfit("unreadable", error.reason)] * len(pieces)
    channels = soundfile.info(path).channels
    return [_measure_piece(waveform, rate, channels, start, duration) for start, duration in pieces]


def _measure_piece(waveform: Waveform, rate: int, channels: int, start: float, duration: float | None) -> Finding:
    total = len(waveform)
    first = round(start * rate)
    end = total if duration is None else first + round(duration * rate)
    if first >= total or end > total + OVERRUN * rate:
        detail = f"{start:g} s to {end / rate:g} s of a recording of {total / rate:g} s"
        return Unfit("outside its recording", detail)
    piece = waveform[first:end]
    if len(piece) < SHORTEST * rate:
        return Unfit("too short", f"{len(piece) / rate:.2f} s, at least {SHORTEST} s are needed")
    rms = float(np.sqrt(np.mean(np.square(piece, dtype=np.float64))))
    if rms < QUIETEST:
        level = f"{20 * math.log10(rms):.0f} dBFS" if rms else "digital silence"
        return Unfit("silent", level)
    return Measured(rate, total, channels, first, len(piece), content_hash(piece))


# Sifting, splitting, reporting

Kept = list[tuple[Utterance, Measured]]


def _sift(utterances: Sequence[Utterance], findings: Sequence[Finding]) -> tuple[Kept, list[LeftOut]]:
    """What is fit for use, without the later ones of those with the same content; and the rest."""
    kept: Kept = []
    left_out: list[LeftOut] = []
    first_with: dict[str, Utterance] = {}
    for utterance, finding in zip(utterances, findings, strict=True):
        if isinstance(finding, Measured):
            first = first_with.setdefault(finding.audio_hash, utterance)
            if first is utterance:
                kept.append((utterance, finding))
                continue
            finding = _duplicate(utterance, first)
        left_out.append(LeftOut(str(utterance.path), utterance.speaker, finding.reason, finding.detail))
    return kept, left_out


def _duplicate(utterance: Utterance, first: Utterance) -> Unfit:
    if utterance.speaker == first.speaker:
        return Unfit("duplicate", f"of {first.id}")
    return Unfit(OTHER_SPEAKER, f"of {first.id}, there as speaker {first.speaker}")


def _draw_dev(
    utterances: Sequence[Utterance], dev: float, seed: int, source: Path, left_out: Sequence[LeftOut]
) -> set[str]:
    """The speakers of the dev split: two or more, each with two utterances or more; two others are left."""
    counts = Counter(utterance.speaker for utterance in utterances)
    eligible = sorted(speaker for speaker, count in counts.items() if count >= 2)
    size = min(max(2, round(dev * len(counts))), len(eligible), len(counts) - 2) if dev else 0
    if len(counts) < 2:
        need = "two speakers are needed to tell people apart"
    elif dev and size < 2:
        need = (
            f"a dev split needs two of the {len(eligible)} speakers with two utterances or more, and two "
            "others left to train; add recordings or ask for no dev split (0)"
        )
    else:
        return set(np.random.default_rng(seed).choice(eligible, size, replace=False).tolist())
    have = f"{len(utterances)} usable utterances of {len(counts)} speakers ({_first_losses(left_out)})"
    raise BadManifest(source, None, f"{have}; {need}")


def _first_losses(left_out: Sequence[LeftOut]) -> str:
    """How many were left out, and the first of them, for an error before `left_out.csv` is there."""
    if not left_out:
        return "none left out"
    first = left_out[0]
    return f"{len(left_out)} left out, first {first.path}: {first.reason}, {first.detail}"


def _report(splits: Mapping[str, Kept], left_out: Sequence[LeftOut], dev: float, seed: int) -> Report:
    kept = [pair for split in splits.values() for pair in split]
    seconds = np.array([measured.seconds for _, measured in kept])
    total = _share(kept)
    counts = Counter(utterance.speaker for utterance, _ in kept)
    return Report(
        utterances=total.utterances,
        speakers=total.speakers,
        hours=total.hours,
        durations=Durations(
            min=float(seconds.min()),
            median=float(np.median(seconds)),
            mean=float(seconds.mean()),
            max=float(seconds.max()),
            deciles=tuple(np.quantile(seconds, np.arange(1, 10) / 10).tolist()),
        ),
        splits={name: _share(split) for name, split in splits.items()},
        left_out=dict(Counter(item.reason for item in left_out).most_common()),
        single_utterance_speakers=tuple(sorted(name for name, count in counts.items() if count == 1)),
        dev=dev,
        seed=seed,
    )


def _share(kept: Kept) -> Share:
    speakers = {utterance.speaker for utterance, _ in kept}
    return Share(len(kept), len(speakers), sum(measured.seconds for _, measured in kept) / 3600)


# Writing


def _write(out: Path, splits: Mapping[str, Kept], left_out: Sequence[LeftOut], report: Report) -> None:
    """All files into a folder beside `out`, which then takes its name."""
    from lhotse import CutSet

    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    temporary.mkdir(parents=True)
    try:
        for name, kept in splits.items():
            CutSet.from_cuts(_cut(*pair) for pair in kept).to_file(temporary / f"{name}.jsonl")
        _write_left_out(temporary / "left_out.csv", left_out)
        (temporary / "report.json").write_text(report.as_json(), encoding="utf-8")
        if out.exists():
            out.rmdir()
        os.replace(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _cut(utterance: Utterance, measured: Measured) -> Any:
    """The Lhotse cut of an utterance."""
    from lhotse import AudioSource, Recording, SupervisionSegment

    channels = list(range(measured.channels))
    recording = Recording(
        id=utterance.recording,
        sources=[AudioSource("file", channels, os.path.abspath(utterance.path))],
        sampling_rate=measured.rate,
        num_samples=measured.samples,
        duration=measured.samples / measured.rate,
    )
    fields = {key: value for key, value in utterance.fields.items() if key != "audio_hash"}
    cut = recording.to_cut()
    cut.id = utterance.id
    cut.start = measured.first / measured.rate
    cut.duration = measured.seconds
    cut.custom = {"audio_hash": measured.audio_hash}
    cut.supervisions = [
        SupervisionSegment(
            id=utterance.id,
            recording_id=utterance.recording,
            start=0.0,
            duration=measured.seconds,
            channel=cut.channel,
            speaker=utterance.speaker,
            **{name: fields.pop(name) for name in ("gender", "language", "text") if name in fields},
            custom=fields or None,
        )
    ]
    return cut


def _write_left_out(path: Path, left_out: Iterable[LeftOut]) -> None:
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "speaker", "reason", "detail"])
        table.writerows([item.path, item.speaker, item.reason, item.detail] for item in left_out)
