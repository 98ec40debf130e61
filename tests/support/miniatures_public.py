"""Public corpora in miniature: their folders, names, lists and tables, with a few synthetic voices in them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import chain, combinations
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from acanet.data.synthetic import SyntheticVoice, synthesise

RATE = 16000
SEED = 762
M4A = b"\x00\x00\x00\x20ftypM4A \x00\x00\x00\x00M4A mp42isom\x00\x00\x00\x00"
"""How an m4a file begins."""

LIBRISPEECH = {
    "train-clean-100": (103, 1034, 1040, 19),
    "dev-clean": (84, 174, 251, 422),
    "test-clean": (61, 121, 237, 260),
}
VOX1_DEV, VOX1_TEST = tuple(range(10001, 10006)), tuple(range(10270, 10274))
VOX2_DEV, VOX2_TEST = (12, 15, 16, 18, 19), (17, 61, 81, 154)
CNCELEB1, CNCELEB2, CNCELEB_EVAL = range(5), range(10000, 10004), range(800, 804)
SPEECHOCEAN = {"train": (1, 5, 6, 26), "test": (3, 24, 44, 49)}


@cache
def voice(speaker: int, number: int) -> NDArray[np.float32]:
    """A recording of a voice, (samples,), about 1.5 s long; other numbers are other words in another room."""
    seconds = float(np.random.default_rng([SEED, speaker, number, 1]).uniform(1.4, 1.6))
    return synthesise(SyntheticVoice.draw(SEED, speaker), seconds, (SEED, speaker, number), RATE)


def record(path: Path, speaker: int, number: int) -> None:
    """A file with that recording, in the format that its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, voice(speaker, number), RATE, subtype="PCM_16")


def voices(*groups: Iterable[int]) -> dict[int, int]:
    """The number of a voice for each speaker of a corpus; all corpora have the same voices, which takes less time."""
    return {speaker: number for number, speaker in enumerate(chain(*groups))}


def write(path: Path, rows: Iterable[str]) -> None:
    """A text file of these lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")


def gender(speaker: int) -> str:
    """Of a speaker, by the number."""
    return "mf"[speaker % 2]


def librispeech(folder: Path) -> Path:
    """LibriSpeech: three parts of four speakers, each with two chapters of two utterances.

    Returns:
        `folder`/LibriSpeech.
    """
    root = folder / "LibriSpeech"
    voice_of = voices(*LIBRISPEECH.values())
    speakers = [";ID  |SEX| SUBSET           |MINUTES| NAME"]
    chapters = [";ID    |READER|MINUTES| SUBSET           | PROJ.|BOOK ID| CH. TITLE | PROJECT TITLE"]
    for part, readers in LIBRISPEECH.items():
        for reader in readers:
            speakers.append(f"{reader:<4} | {gender(reader).upper()} | {part:<16} |  0.10 | Reader | {reader}")
            for first, chapter in ((0, 1000 + reader), (2, 2000 + reader)):
                chapters.append(f"{chapter} | {reader} | 0.05 | {part} | 1 | 2 | A chapter | A book")
                home = root / part / str(reader) / str(chapter)
                names = [f"{reader}-{chapter}-{number:04d}" for number in range(2)]
                for number, name in enumerate(names, first):
                    record(home / f"{name}.flac", voice_of[reader], number)
                write(home / f"{reader}-{chapter}.trans.txt", [f"{name} CHAPTER {chapter} SAYS THIS" for name in names])
    write(root / "SPEAKERS.TXT", speakers)
    write(root / "CHAPTERS.TXT", chapters)
    return root


def voxceleb(folder: Path, *, vox2: bool = True) -> Path:
    """VoxCeleb1 and, unless it is not wanted, VoxCeleb2 (m4a, and wav beside), with the trial lists O, E and H.

    Five speakers in dev, four in test, each with two videos of two clips. Tables and lists lie in voxceleb1 and
    voxceleb2: vox1_meta.csv, veri_test2.txt (O), list_test_all2.txt (E), list_test_hard2.txt (H), vox2_meta.csv.

    Returns:
        `folder`/VoxCeleb.
    """
    root = folder / "VoxCeleb"
    vox1 = root / "voxceleb1"
    voice_of = voices(VOX1_DEV, VOX1_TEST, VOX2_DEV, VOX2_TEST)
    for part, speakers in (("dev", VOX1_DEV), ("test", VOX1_TEST)):
        _clips(vox1 / part / "wav", speakers, voice_of)
    header = "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet"
    write(vox1 / "vox1_meta.csv", [header, *(_vox1_row(speaker) for speaker in (*VOX1_DEV, *VOX1_TEST))])
    everybody = [*VOX1_DEV, *VOX1_TEST]
    write(vox1 / "veri_test2.txt", _vox_trials(VOX1_TEST, hard=False))
    write(vox1 / "list_test_all2.txt", _vox_trials(everybody, hard=False))
    write(vox1 / "list_test_hard2.txt", _vox_trials(everybody, hard=True))
    if vox2:
        for part, speakers in (("dev", VOX2_DEV), ("test", VOX2_TEST)):
            _clips(root / "voxceleb2" / part / "wav", speakers, voice_of)
            _m4a(root / "voxceleb2" / part / "aac", speakers)
        header = "VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set "
        rows = [f"id{speaker:05d} ,n{speaker:06d} ,{gender(speaker)} ,dev " for speaker in VOX2_DEV]
        rows += [f"id{speaker:05d} ,n{speaker:06d} ,{gender(speaker)} ,test " for speaker in VOX2_TEST]
        write(root / "voxceleb2" / "vox2_meta.csv", [header, *rows])
    return root


def _vox1_row(speaker: int) -> str:
    nation, split = "New Zealand" if speaker < 10270 else "USA", "test" if speaker in VOX1_TEST else "dev"
    return f"id{speaker}\tA_Voice_{speaker}\t{gender(speaker)}\t{nation}\t{split}"


def _vox_names(speaker: int) -> list[str]:
    """Of two videos with two clips each; the videos' names are 11 letters, as YouTube's."""
    return [f"id{speaker:05d}/{video}{speaker:05d}/0000{clip}.wav" for video in ("-first", "second") for clip in (1, 2)]


def _clips(home: Path, speakers: Iterable[int], voice_of: Mapping[int, int]) -> None:
    for speaker in speakers:
        for number, name in enumerate(_vox_names(speaker)):
            record(home / name, voice_of[speaker], number)


def _m4a(home: Path, speakers: Iterable[int]) -> None:
    for path in (home / name for speaker in speakers for name in _vox_names(speaker)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".m4a").write_bytes(M4A)


def _vox_trials(speakers: Sequence[int], *, hard: bool) -> list[str]:
    """Across videos; in a hard list the two of a nontarget are of one gender and nationality."""
    pairs = [(_vox_names(speaker)[0], _vox_names(speaker)[clip]) for speaker in speakers for clip in (2, 3)]
    trials = [f"1 {enrol} {test}" for enrol, test in pairs]
    for first, second in combinations(speakers, 2):
        if not hard or (gender(first) == gender(second) and (first < 10270) == (second < 10270)):
            trials += [f"0 {_vox_names(first)[0]} {_vox_names(second)[clip]}" for clip in (1, 2)]
    return trials


def cnceleb(folder: Path) -> Path:
    """CN-Celeb1 (five speakers for training, four for evaluation) and CN-Celeb2 (four), three utterances each.

    Returns:
        The folder that CN-Celeb_flac and CN-Celeb2_flac are in.
    """
    root = folder / "CN-Celeb"
    first, second = root / "CN-Celeb_flac", root / "CN-Celeb2_flac"
    voice_of = voices(CNCELEB1, CNCELEB2, CNCELEB_EVAL)
    clips = ("interview-01-001", "interview-01-002", "live_broadcast-02-001")
    for home, speakers in ((first, (*CNCELEB1, *CNCELEB_EVAL)), (second, CNCELEB2)):
        for speaker in speakers:
            for number, clip in enumerate(clips):
                record(home / "data" / f"id{speaker:05d}" / f"{clip}.flac", voice_of[speaker], number)
    write(first / "dev" / "dev.lst", [f"id{speaker:05d}" for speaker in CNCELEB1])
    write(second / "spk.lst", [f"id{speaker:05d}" for speaker in CNCELEB2])
    _evaluation(first / "eval", {f"id{speaker:05d}": voice_of[speaker] for speaker in CNCELEB_EVAL})
    return root


def _evaluation(home: Path, names: Mapping[str, int]) -> None:
    tests = [f"test/{name}-{clip}.wav" for name in names for clip in ("singing-01-002", "drama-03-001")]
    for name, speaker in names.items():
        record(home / "enroll" / f"{name}-enroll.flac", speaker, 3)
        for number, clip in enumerate(("singing-01-002", "drama-03-001")):
            record(home / "test" / f"{name}-{clip}.flac", speaker, number)
    lists = home / "lists"
    write(lists / "enroll.lst", [f"{name}-enroll enroll/{name}-enroll.wav" for name in names])
    write(lists / "enroll.map", [f"{name}-enroll {name}/speech-02-001.wav {name}/speech-02-002.wav" for name in names])
    write(lists / "test.lst", tests)
    trials = [f"{name}-enroll {test} {int(f'/{name}-' in test)}" for name in names for test in tests]
    write(lists / "trials.lst", trials)


def speechocean762(folder: Path) -> Path:
    """speechocean762: four speakers in train and in test, with four utterances each.

    Returns:
        `folder`/speechocean762.
    """
    root = folder / "speechocean762"
    voice_of = voices(*SPEECHOCEAN.values())
    scores = {}
    for part, speakers in SPEECHOCEAN.items():
        names = {f"{speaker:05d}{number:04d}": f"{speaker:04d}" for speaker in speakers for number in range(10, 50, 10)}
        for name, speaker in names.items():
            path = root / "WAVE" / f"SPEAKER{speaker}" / f"{name}.WAV"
            record(path, voice_of[int(speaker)], int(name[-4:]) // 10 - 1)
            scores[name] = {"text": f"SENTENCE {name}"}
        home = root / part
        write(home / "wav.scp", [f"{name}\tWAVE/SPEAKER{speaker}/{name}.WAV" for name, speaker in names.items()])
        write(home / "utt2spk", [f"{name}\t{speaker}" for name, speaker in names.items()])
        write(home / "text", [f"{name}\tSENTENCE {name}" for name in names])
        write(home / "spk2gender", [f"{speaker:04d}\t{gender(speaker)}" for speaker in speakers])
        write(home / "spk2age", [f"{speaker:04d}\t{speaker % 40 + 5}" for speaker in speakers])
    write(root / "resource" / "scores.json", [json.dumps(scores)])
    return root
