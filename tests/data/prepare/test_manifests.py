from __future__ import annotations

import csv
import io
import json
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from rich.console import Console

from acanet.audio.recording import content_hash, read_audio
from acanet.data.corpora.folder import read_folder
from acanet.data.corpora.layout import Layout, LeftOut, Part
from acanet.data.corpora.layouts import LAYOUTS
from acanet.data.corpora.text import UnreadableWarning
from acanet.data.lists.manifest import Utterance, read_manifest
from acanet.data.prepare.cuts import write_manifest
from acanet.data.prepare.findings import Coverage, Report, Share
from acanet.data.prepare.manifests import prepare
from acanet.data.prepare.measure import Measured
from acanet.data.prepare.splits import dev_size, draw_dev
from acanet.errors import AcanetError, BadConfig, BadManifest, BadTrials, MissingExtra

RATE = 8000


def record(path: Path, seconds: float, seed: int, level: float = 0.1, channels: int = 1) -> Path:
    """A file of white noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = level * np.random.default_rng(seed).standard_normal((round(seconds * RATE), channels))
    soundfile.write(path, noise, RATE)
    return path


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Six speakers of two utterances, 1.0 and 2.0 s, and a seventh of one."""
    folder = tmp_path / "corpus"
    for index, speaker in enumerate("abcdef"):
        record(folder / speaker / "day1" / "1.wav", 1.0, 2 * index)
        record(folder / speaker / "2.flac", 2.0, 2 * index + 1)
    record(folder / "g" / "1.wav", 3.0, 100)
    return folder


def left_out(out: Path) -> list[tuple[str, str, str]]:
    with (out / "left_out.csv").open(newline="") as file:
        return [(Path(row["path"]).name, row["speaker"], row["reason"]) for row in csv.DictReader(file)]


def test_folder(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    report = prepare("folder", corpus, out, dev=0.3, workers=1)

    assert (report.utterances, report.speakers) == (13, 7)
    assert report.hours == pytest.approx(21 / 3600)
    lengths = report.durations
    assert (lengths.min, lengths.median, lengths.max) == (1.0, 2.0, 3.0)
    assert lengths.mean == pytest.approx(21 / 13)
    # 13 sorted lengths (six of 1 s, six of 2 s, one of 3 s): quantile q lies at position 12 q
    assert lengths.deciles == pytest.approx((1, 1, 1, 1, 2, 2, 2, 2, 2))
    assert report.splits["train"] == Share(9, 5, pytest.approx(15 / 3600))
    assert report.splits["dev"] == Share(4, 2, pytest.approx(6 / 3600))
    assert report.single_utterance_speakers == ("g",)
    assert report.left_out == {}
    assert json.loads((out / "report.json").read_text()) == json.loads(report.as_json())
    assert sorted(path.name for path in out.parent.iterdir()) == ["out"]

    train, dev = (read_manifest(out / name) for name in ("train.jsonl", "dev.jsonl"))
    assert {u.speaker for u in train} | {u.speaker for u in dev} == set("abcdefg")
    assert {u.speaker for u in train} & {u.speaker for u in dev} == set()
    assert "g" not in {u.speaker for u in dev}
    first = train[0]
    assert first.id == f"{first.speaker}/2.flac"
    assert (first.path, first.start, first.duration) == (corpus / first.id, 0.0, 2.0)
    assert first.fields == {"audio_hash": content_hash(read_audio(first.path)[0])}


def test_lhotse_reads_the_same(corpus: Path, tmp_path: Path) -> None:
    from lhotse import CutSet, MonoCut, Recording

    prepare("folder", corpus, tmp_path / "out", workers=1)
    cuts = list(CutSet.from_jsonl(tmp_path / "out/train.jsonl"))
    ours = read_manifest(tmp_path / "out/train.jsonl")
    assert all(isinstance(cut, MonoCut) for cut in cuts)
    assert [cut.id for cut in cuts] == [utterance.id for utterance in ours]
    for cut, utterance in zip(cuts, ours, strict=True):
        assert cut.supervisions[0].speaker == utterance.speaker
        assert cut.audio_hash == utterance.fields["audio_hash"]
        assert cut.recording.num_samples == Recording.from_file(utterance.path).num_samples
        np.testing.assert_allclose(cut.load_audio()[0], read_audio(utterance.path)[0], atol=1e-4)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("fields", [{}, {"gender": "m", "text": "Ja, já", "language": "is", "age": 30, "n": None}])
def test_lines_are_those_that_lhotse_writes(tmp_path: Path, channels: int, fields: dict[str, object]) -> None:
    from lhotse import CutSet

    utterance = Utterance("a 1", tmp_path / "a.wav", "a", "rec", fields=fields)
    write_manifest(tmp_path / "ours.jsonl", [(utterance, Measured(16000, 64000, channels, 8000, 24000, "0af3"))])
    (cut,) = CutSet.from_jsonl(tmp_path / "ours.jsonl")
    assert cut.to_dict() == json.loads((tmp_path / "ours.jsonl").read_text("utf-8"))
    assert (cut.start, cut.duration, cut.num_channels) == (0.5, 1.5, channels)
    assert read_manifest(tmp_path / "ours.jsonl")[0].fields == fields | {"audio_hash": "0af3"}


def test_several_processes_give_the_same_files(corpus: Path, tmp_path: Path) -> None:
    prepare("folder", corpus, tmp_path / "one", workers=1)
    prepare("folder", corpus, tmp_path / "two", workers=2)
    for name in ("train.jsonl", "dev.jsonl", "report.json", "left_out.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_seed_draws_the_split(corpus: Path, tmp_path: Path) -> None:
    def dev_speakers(seed: int, name: str) -> frozenset[str]:
        prepare("folder", corpus, tmp_path / name, seed=seed, workers=1)
        return frozenset(utterance.speaker for utterance in read_manifest(tmp_path / name / "dev.jsonl"))

    assert dev_speakers(0, "first") == dev_speakers(0, "again")
    assert len({dev_speakers(seed, f"seed{seed}") for seed in range(6)}) > 1


def test_what_is_unfit_is_left_out_and_named(corpus: Path, tmp_path: Path) -> None:
    record(corpus / "a" / "short.wav", 0.45, 200)
    record(corpus / "a" / "whisper.wav", 1.0, 201, level=0.0005)
    record(corpus / "a" / "quiet.wav", 1.0, 202, level=0.002)
    record(corpus / "a" / "zero.wav", 1.0, 203, level=0.0)
    record(corpus / "b" / "again.wav", 1.0, 2)
    record(corpus / "c" / "stolen.wav", 1.0, 0)
    record(corpus / "stray.wav", 1.0, 204)
    record(corpus / "a" / ".hidden.wav", 1.0, 205)
    (corpus / "b" / "broken.wav").write_bytes(b"RIFF not really")
    (corpus / "b" / "phone.m4a").write_bytes(b"....ftypM4A ")
    (corpus / "b" / "tour.mov").write_bytes(b"....ftypqt  ")
    (corpus / "b" / "video.mkv").write_bytes(b"\x1a\x45\xdf\xa3")
    (corpus / "b" / "notes.txt").touch()
    report = prepare("folder", corpus, tmp_path / "out", workers=1)
    assert sorted(left_out(tmp_path / "out")) == [
        ("1.wav", "b", "duplicate"),  # again.wav sorts before day1/1.wav
        ("broken.wav", "b", "unreadable"),
        ("phone.m4a", "b", "unreadable"),
        ("short.wav", "a", "too short"),
        ("stolen.wav", "c", "duplicate under another speaker"),
        ("stray.wav", "", "without a speaker"),
        ("tour.mov", "b", "unreadable"),
        ("video.mkv", "b", "unreadable"),
        ("whisper.wav", "a", "silent"),
        ("zero.wav", "a", "silent"),
    ]
    assert report.utterances == 14  # 13, and quiet.wav; again.wav stands in for b/day1/1.wav
    assert report.left_out["unreadable"] == 4
    console = Console(width=100)
    with console.capture() as captured:
        console.print(report.summary())
    assert "WRONG LABELS: 1 recordings are there under two speakers" in captured.get()
    assert "speakers with a single utterance: 1" in captured.get()


def test_jsonl_keeps_what_is_known_and_cuts_pieces(tmp_path: Path) -> None:
    record(tmp_path / "audio" / "long.wav", 4.0, 0)
    record(tmp_path / "audio" / "b.wav", 1.0, 1)
    lines = [
        {
            "path": "audio/long.wav",
            "speaker": "a",
            "id": "a1",
            "start": 0,
            "duration": 1.5,
            "gender": "f",
            "age": 9,
        },
        {"path": "audio/long.wav", "speaker": "a", "id": "a2", "start": 2.5, "duration": 1.55},
        {"path": "audio/long.wav", "speaker": "a", "id": "late", "start": 4.0},
        {"path": "audio/long.wav", "speaker": "a", "id": "over", "start": 3.0, "duration": 1.2},
        {"path": "audio/b.wav", "speaker": "b"},
        {"path": "audio/gone.wav", "speaker": "b"},
    ]
    source = tmp_path / "set.jsonl"
    source.write_text("\n".join(map(json.dumps, lines)))
    report = prepare("jsonl", source, tmp_path / "out", dev=0, workers=1)
    assert report.left_out == {"outside its recording": 2, "unreadable": 1}
    assert list(report.splits) == ["train"]
    assert not (tmp_path / "out/dev.jsonl").exists()

    first, second, third = read_manifest(tmp_path / "out/train.jsonl")
    assert (first.id, first.recording, first.start, first.duration) == ("a1", "audio/long.wav", 0.0, 1.5)
    assert (first.fields["gender"], first.fields["age"]) == ("f", 9)
    assert (second.id, second.start, second.duration) == ("a2", 2.5, 1.5)
    assert (third.id, third.speaker) == ("audio/b.wav", "b")
    piece = read_audio(first.path, start=0.0, duration=1.5)[0]
    assert first.fields["audio_hash"] == content_hash(piece)

    again = prepare("jsonl", tmp_path / "out/train.jsonl", tmp_path / "again", dev=0, workers=1)
    assert read_manifest(tmp_path / "again/train.jsonl") == [first, second, third]
    assert again.left_out == {}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv(tmp_path: Path, delimiter: str) -> None:
    record(tmp_path / "one, two.wav", 2.0, 0)
    record(tmp_path / "b.wav", 1.0, 1)
    source = tmp_path / "set.csv"
    with source.open("w", encoding="utf-8-sig", newline="") as file:
        table = csv.writer(file, delimiter=delimiter)
        table.writerows(
            [
                ["path", "speaker", "gender", "start", "age"],
                ["one, two.wav", "zoë", "f", "0.5", "31"],
                ["b.wav", "7", "", "", ""],
            ]
        )
    prepare("csv", source, tmp_path / "out", dev=0, workers=1)
    first, second = read_manifest(tmp_path / "out/train.jsonl")
    assert (first.id, first.speaker, first.start, first.duration) == ("one, two.wav", "zoë", 0.5, 1.5)
    assert (first.fields["gender"], first.fields["age"]) == ("f", 31)
    assert (second.speaker, set(second.fields)) == ("7", {"audio_hash"})


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        ("", 1, "no column 'path'; found are none"),
        ("path,speakers\na.wav,a", 1, "no column 'speaker'; did you mean 'speakers'?"),
        ("path,speaker\na.wav,a\nb.wav,", 3, "no 'speaker'"),
        ("path,speaker\na.wav,a,9", 2, "1 more cells than the header has"),
        ("path,speaker,start\na.wav,a,soon", 2, "start is 'soon'"),
        ("path,speaker\na.wav,a\na.wav,a", 3, "id 'a.wav' is already that of line 2"),
        ("path,speaker\n", None, "no utterances"),
        (b"path,speaker\n\xff,a", None, "not UTF-8"),
        ('path,speaker\n"a.wav,a', None, "cannot be read"),
        (None, None, "there is no such file"),
    ],
)
def test_bad_csv(tmp_path: Path, content: str | bytes | None, line: int | None, reason: str) -> None:
    source = tmp_path / "set.csv"
    if content is not None:
        source.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(BadManifest, match=reason) as caught:
        prepare("csv", source, tmp_path / "out")
    assert caught.value.line == line


def test_stereo_is_read_as_its_mean(corpus: Path, tmp_path: Path) -> None:
    stereo = record(corpus / "a" / "stereo.wav", 1.0, 300, channels=2)
    prepare("folder", corpus, tmp_path / "out", dev=0, workers=1)
    lines = (tmp_path / "out/train.jsonl").read_text().splitlines()
    (entry,) = [json.loads(line) for line in lines if '"id": "a/stereo.wav"' in line]
    assert (entry["type"], entry["channel"]) == ("MultiCut", [0, 1])
    (utterance,) = [u for u in read_manifest(tmp_path / "out/train.jsonl") if u.path == stereo]
    samples = soundfile.read(stereo, dtype="float32")[0]
    assert utterance.fields["audio_hash"] == content_hash(samples.mean(axis=1))


def test_output_folder_has_to_be_new_or_empty(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    prepare("folder", corpus, out, workers=1)
    with pytest.raises(AcanetError, match="not an empty folder"):
        prepare("folder", corpus, out, workers=1)
    with pytest.raises(AcanetError, match="not an empty folder"):
        prepare("folder", corpus, corpus / "g" / "1.wav", workers=1)


def test_nothing_is_left_behind_when_writing_fails(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("acanet.data.prepare.manifests._write_left_out", fail)
    with pytest.raises(KeyboardInterrupt):
        prepare("folder", corpus, tmp_path / "out", workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"kind": "cassette"}, "kind is 'cassette'; known are folder, jsonl, csv"),
        ({"lists": {"tests": []}}, "a list for 'tests'; known are train, dev, test"),
        ({"dev": 1.0}, "dev is 1.0"),
        ({"dev": float("nan")}, "dev is nan"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_wrong_arguments(corpus: Path, tmp_path: Path, arguments: dict[str, object], reason: str) -> None:
    with pytest.raises(BadConfig, match=reason):
        prepare(**({"kind": "folder", "source": corpus, "out": tmp_path / "out"} | arguments))  # type: ignore[arg-type]


def test_too_little_to_use(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(BadManifest, match="is not a folder"):
        prepare("folder", tmp_path / "gone", out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadManifest, match="holds no recordings"):
        prepare("folder", tmp_path / "empty", out)
    with pytest.raises(BadManifest, match=r"0 usable utterances of 0 speakers .*without a speaker"):
        prepare("folder", corpus / "g", out)
    for speaker in ("x", "y"):
        record(tmp_path / "silence" / speaker / "1.wav", 1.0, 0, level=0.0)
    with pytest.raises(BadManifest, match=r"2 left out, first .*1\.wav: silent, digital silence"):
        prepare("folder", tmp_path / "silence", out, dev=0, workers=1)
    for speaker in ("x", "y", "z"):
        record(tmp_path / "few" / speaker / "1.wav", 1.0, ord(speaker))
    with pytest.raises(BadManifest, match="a dev split needs two of the 0 speakers with two utterances"):
        prepare("folder", tmp_path / "few", out)
    assert not out.exists()


# Splits of a corpus and by lists

PARTS = {"clean": Part("train", 7, 13), "noisy": Part("train", 2, 4), "trials": Part("test", 2, 4)}


@pytest.fixture
def published(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of kind "published": part clean has the speakers a to d, trials e and f; g/1.wav and noisy are missing."""

    def read(folder: Path) -> Iterator[Utterance | LeftOut]:
        for item in read_folder(folder):
            assert isinstance(item, Utterance)
            if item.speaker != "g":
                yield replace(item, fields={"part": "trials" if item.speaker in "ef" else "clean", "age": 7})
        yield LeftOut("g/1.wav", "g", "missing", "in the list of clean")

    monkeypatch.setitem(LAYOUTS, "published", Layout(read, PARTS))  # type: ignore[arg-type]
    return corpus


def shown(report: Report) -> str:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(report.summary())
    return captured.get()


def speakers(out: Path) -> dict[str, set[str]]:
    """Who is in each manifest."""
    return {path.stem: {u.speaker for u in read_manifest(path)} for path in sorted(out.glob("*.jsonl"))}


def prepare_published(source: Path, out: Path, **arguments: Any) -> Report:
    return prepare("published", source, out, workers=1, **arguments)  # type: ignore[arg-type]


def test_parts_go_where_they_belong(published: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = prepare_published(published, out, dev=0.5)
    found = speakers(out)
    assert found["test"] == {"e", "f"}
    assert found["train"] | found["dev"] == set("abcd")
    assert len(found["dev"]) == 2
    assert report.parts == {
        "clean": Coverage(8, 4, 13, 7),
        "noisy": Coverage(0, 0, 4, 2),
        "trials": Coverage(4, 2, 4, 2),
    }
    assert report.missing == ("g/1.wav",)
    assert report.left_out == {"missing": 1}
    assert left_out(out) == [("1.wav", "g", "missing")]
    assert json.loads(report.as_json())["parts"]["clean"]["published_speakers"] == 7
    text = shown(report)
    assert "clean: 8 of 13 utterances, 4 of 7 speakers" in text
    assert "noisy: absent (4 utterances, 2 speakers)" in text
    assert "trials" not in text
    assert "missing: 1: g/1.wav\n  1 in the list of clean" in text
    assert [u.fields["age"] for u in read_manifest(out / "test.jsonl")] == [7, 7, 7, 7]


def test_an_official_dev_set_is_taken_as_it_is(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = replace(LAYOUTS["published"], parts=PARTS | {"trials": Part("dev", 2, 4)})
    monkeypatch.setitem(LAYOUTS, "published", layout)  # type: ignore[arg-type]
    prepare_published(published, tmp_path / "out", dev=0.5)
    assert speakers(tmp_path / "out") == {"train": set("abcd"), "dev": {"e", "f"}}


def test_a_part_may_change_the_split_of_another(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = replace(LAYOUTS["published"], beside={"clean": {"trials": "dev"}, "noisy": {"trials": "train"}})
    monkeypatch.setitem(LAYOUTS, "published", layout)  # type: ignore[arg-type]
    prepare_published(published, tmp_path / "out")
    assert speakers(tmp_path / "out") == {"train": set("abcd"), "dev": {"e", "f"}}


def test_a_test_set_keeps_what_its_trials_name(published: Path, tmp_path: Path) -> None:
    record(published / "e" / "short.wav", 0.3, 200)
    record(published / "e" / "zero.wav", 1.0, 201, level=0.0)
    record(published / "e" / "again.wav", 1.0, 8)  # the content of e/day1/1.wav
    record(published / "a" / "leaked.wav", 1.0, 8)
    (published / "e" / "broken.wav").write_bytes(b"RIFF not really")
    prepare_published(published, tmp_path / "out", dev=0)
    kept = {u.id for u in read_manifest(tmp_path / "out/test.jsonl") if u.speaker == "e"}
    assert kept == {"e/2.flac", "e/again.wav", "e/day1/1.wav", "e/short.wav", "e/zero.wav"}
    assert sorted(left_out(tmp_path / "out")) == [
        ("1.wav", "g", "missing"),
        ("broken.wav", "e", "unreadable"),
        ("leaked.wav", "a", "duplicate under another speaker"),
    ]


def test_a_corpus_without_anything_to_train_on(published: Path, tmp_path: Path) -> None:
    for speaker in "abcd":
        (published / speaker).rename(tmp_path / speaker)
    with pytest.raises(BadManifest, match=r"nothing of clean, noisy was found .*docs/corpora\.md"):
        prepare_published(published, tmp_path / "out")


def test_a_speaker_of_train_in_test_is_named(published: Path, tmp_path: Path) -> None:
    trials = write_list(tmp_path / "trials", "1 a/2.flac a/day1/1.wav", "0 a/2.flac e/2.flac")
    train = write_list(tmp_path / "train", "a/2.flac", "b/2.flac", "e/2.flac")
    for lists in ({"train": [train], "test": [trials]}, {"train": [train], "dev": [trials], "test": []}):
        with pytest.raises(BadManifest, match="is listed for train too"):
            prepare_published(published, tmp_path / "out", lists=lists)
    train = write_list(tmp_path / "train", "b/2.flac", "e/day1/1.wav")
    with pytest.raises(BadManifest, match="speaker 'e' in train and in test; a speaker is in one of them only"):
        prepare_published(published, tmp_path / "out", lists={"train": [train], "test": [trials]})


def write_list(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_lists_decide(corpus: Path, tmp_path: Path) -> None:
    train = write_list(tmp_path / "train", "a/2.flac anna", "b/2.flac", "b/day1/1.wav", "h/1.wav", "i/1.wav")
    more = write_list(tmp_path / "more", "c/2.flac")
    trials = write_list(tmp_path / "trials", "e/2.flac f/2.flac 0", "e/2.flac e/day1/1.wav 1", "e/2.flac j/1.wav 0")
    lists = {"train": [train, more], "test": [trials]}
    report = prepare("folder", corpus, tmp_path / "out", lists=lists, dev=0, workers=1)
    assert speakers(tmp_path / "out") == {"train": set("abc"), "test": set("ef")}
    assert report.splits["train"].utterances == 4
    assert report.missing == ("h/1.wav", "i/1.wav", "j/1.wav")
    assert report.left_out == {"missing": 3}
    with (tmp_path / "out/left_out.csv").open(newline="") as file:
        assert next(csv.DictReader(file))["detail"] == f"listed in {train}"


def test_dev_is_drawn_unless_a_list_says_it(corpus: Path, tmp_path: Path) -> None:
    both = ("2.flac", "day1/1.wav")
    train = write_list(tmp_path / "train", *(f"{speaker}/{name}" for speaker in "abcd" for name in both))
    dev = write_list(tmp_path / "dev", *(f"e/{name}" for name in both))
    prepare("folder", corpus, tmp_path / "drawn", lists={"train": [train]}, dev=0.1, workers=1)
    assert len(speakers(tmp_path / "drawn")["dev"]) == 2
    prepare("folder", corpus, tmp_path / "said", lists={"train": [train], "dev": [dev]}, dev=0.1, workers=1)
    assert speakers(tmp_path / "said") == {"train": set("abcd"), "dev": {"e"}}


def test_a_list_of_tests_alone_makes_a_test_set(corpus: Path, tmp_path: Path) -> None:
    trials = write_list(tmp_path / "trials", "1 e/2.flac e/day1/1.wav", "0 e/2.flac g/1.wav")
    report = prepare("folder", corpus, tmp_path / "out", lists={"test": [trials]}, workers=1)
    assert list(report.splits) == ["test"]
    assert speakers(tmp_path / "out") == {"test": {"e", "g"}}


def test_names_in_lists_are_ids_recordings_and_paths(tmp_path: Path) -> None:
    lines = [{"path": f"{name}.wav", "speaker": name, "id": f"id-{name}", "start": 0.0} for name in "abc"]
    lines.append({"path": "b.wav", "speaker": "b", "id": "id-b2", "start": 1.0})
    for seed, name in enumerate("abc"):
        record(tmp_path / f"{name}.wav", 2.0, seed)
    source = tmp_path / "set.jsonl"
    source.write_text("\n".join(map(json.dumps, lines)))
    train = write_list(tmp_path / "train", "id-a", "b.wav", str(tmp_path / "c.wav"))
    prepare("jsonl", source, tmp_path / "out", lists={"train": [train]}, dev=0, workers=1)
    assert [u.id for u in read_manifest(tmp_path / "out/train.jsonl")] == ["id-a", "id-b", "id-c", "id-b2"]


def test_lists_that_lead_nowhere(corpus: Path, tmp_path: Path) -> None:
    train = write_list(tmp_path / "train", "x/1.wav")
    with pytest.raises(BadManifest, match=r"nothing that .*train lists is here"):
        prepare("folder", corpus, tmp_path / "out", lists={"train": [train]}, workers=1)
    with pytest.raises(BadManifest, match=r"no usable utterances \(1 left out, first x/1\.wav: missing"):
        prepare("folder", corpus, tmp_path / "out", lists={"test": [train]}, workers=1)
    with pytest.raises(BadTrials, match="there is no such file"):
        prepare("folder", corpus, tmp_path / "out", lists={"test": [tmp_path / "gone"]}, workers=1)


def test_ids_with_white_space_are_counted(corpus: Path, tmp_path: Path) -> None:
    record(corpus / "a" / "day two.wav", 1.0, 300)
    report = prepare("folder", corpus, tmp_path / "out", workers=1)
    assert report.ids_with_space == 1
    assert "ids with white space, which no trial list can name: 1" in shown(report)


def test_all_fields_come_back(tmp_path: Path) -> None:
    known = {"gender": "f", "age": 31.5, "language": "en", "session": "02", "video": "x-1", "text": "Ja, já", "n": None}
    lines = [{"path": f"{name}.wav", "speaker": name} | known for name in "ab"]
    for seed, name in enumerate("ab"):
        record(tmp_path / f"{name}.wav", 1.0, seed)
    (tmp_path / "set.jsonl").write_text("\n".join(map(json.dumps, lines)))
    prepare("jsonl", tmp_path / "set.jsonl", tmp_path / "out", dev=0, workers=1)
    for utterance in read_manifest(tmp_path / "out/train.jsonl"):
        fields = dict(utterance.fields)
        assert fields.pop("audio_hash")
        assert fields == known


@pytest.mark.speech
def test_real_recordings_have_the_length_that_lhotse_sees(shared: Path, tmp_path: Path) -> None:
    from lhotse import CutSet, Recording

    lines = (shared / "data/speechocean762.dev.jsonl").read_text().splitlines()[::20]
    source = tmp_path / "some.jsonl"
    entries = [json.loads(line) for line in lines]
    source.write_text("\n".join(json.dumps(e | {"path": str(shared / "data" / e["path"])}) for e in entries))
    report = prepare("jsonl", source, tmp_path / "out", dev=0, workers=1)
    assert report.utterances == len(lines)
    for cut in CutSet.from_jsonl(tmp_path / "out/train.jsonl"):
        theirs = Recording.from_file(cut.recording.sources[0].source)
        assert (cut.recording.num_samples, cut.recording.sampling_rate) == (
            theirs.num_samples,
            theirs.sampling_rate,
        )


# Files that cannot be read


@pytest.mark.parametrize(
    "error",
    [OSError(5, "Input/output error"), PermissionError(13, "Permission denied"), struct.error("odd"), MemoryError()],
)
def test_whatever_a_file_does_is_an_error_of_that_file(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def read(path: Path) -> object:
        if path == corpus / "b" / "2.flac":
            raise error
        return read_audio(path)

    monkeypatch.setattr("acanet.data.prepare.measure.read_audio", read)
    report = prepare("folder", corpus, tmp_path / "out", workers=1)
    assert report.left_out == {"unreadable": 1}
    assert left_out(tmp_path / "out") == [("2.flac", "b", "unreadable")]
    with (tmp_path / "out" / "left_out.csv").open() as file:
        assert type(error).__name__ in file.read()


def test_what_needs_an_extra_is_left_out_with_the_advice(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(path: Path) -> object:
        if path.suffix == ".m4a":
            raise MissingExtra(f"PyAV to read {path}", "media")
        return read_audio(path)

    (corpus / "a" / "3.m4a").write_bytes(b"....ftypM4A ")
    monkeypatch.setattr("acanet.data.prepare.measure.read_audio", read)
    prepare("folder", corpus, tmp_path / "out", workers=1)
    assert left_out(tmp_path / "out") == [("3.m4a", "a", "unreadable")]
    assert "extra 'media'" in (tmp_path / "out" / "left_out.csv").read_text()


def test_a_folder_that_cannot_be_read_is_passed_over(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    within = Path.iterdir

    def iterdir(folder: Path) -> Iterator[Path]:
        if folder.name == "day1" and folder.parent.name == "c":
            raise PermissionError(13, "Permission denied", str(folder))
        return within(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    with pytest.warns(UnreadableWarning, match="c/day1 is passed over: Permission denied"):
        report = prepare("folder", corpus, tmp_path / "out", workers=1)
    assert report.utterances == 12


def test_links_that_lead_back_are_not_followed_for_ever(corpus: Path, tmp_path: Path) -> None:
    for link in (corpus / "a" / "back", corpus / "b" / "day1" / "here", corpus / "a" / "day1" / "top"):
        link.symlink_to(corpus)
    (corpus / "b" / "itself").symlink_to("itself")
    (corpus / "b" / "itself.wav").symlink_to("itself.wav")
    report = prepare("folder", corpus, tmp_path / "out", workers=1)
    assert report.utterances == 13
    assert ("itself.wav", "b", "unreadable") in left_out(tmp_path / "out")


@pytest.mark.parametrize("odd", ["caf\udce9", "new\nline", "tab\tand 'quotes\"", "\u202eright to left"])
def test_a_corpus_in_a_folder_with_an_odd_name(corpus: Path, tmp_path: Path, odd: str) -> None:
    place = corpus.rename(tmp_path / odd)
    (place / "a" / "3 \udce9.wav").write_bytes((place / "a" / "2.flac").read_bytes())
    prepare("folder", place, tmp_path / "out", workers=1)
    found = [utterance for name in ("train", "dev") for utterance in read_manifest(tmp_path / "out" / f"{name}.jsonl")]
    assert len(found) == 13
    assert all(utterance.path.is_file() for utterance in found)
    assert [reason for _, _, reason in left_out(tmp_path / "out")] == ["unreadable"]


# Speakers


@pytest.mark.parametrize(
    ("several", "single", "dev", "given", "wanted"),
    [
        (20, 180, 0.1, 10, 20),  # all of those with several, as it once was, would leave none to train on
        (200, 0, 0.1, 20, 20),
        (3, 20, 0.1, 2, 2),
        (5, 20, 0.2, 3, 5),
        (10, 0, 0.5, 5, 5),
        (10, 0, 0.8, 8, 8),
        (2, 30, 0.5, 2, 16),
        (4, 0, 0.1, 2, 2),
        (20, 180, 0.0, 0, 0),
    ],
)
def test_dev_leaves_speakers_with_several_utterances_to_train_on(
    several: int, single: int, dev: float, given: int, wanted: int
) -> None:
    counts = {f"s{number}": 3 if number < several else 1 for number in range(several + single)}
    assert dev_size(counts, dev) == (given, wanted)
    utterances = [
        Utterance(f"{name}-{number}", Path("x"), name, "") for name, count in counts.items() for number in range(count)
    ]
    drawn = draw_dev(utterances, dev, 0, Path("x"), [])
    assert len(drawn) == given
    assert all(counts[name] > 1 for name in drawn)


def told(report: Report) -> str:
    console = Console(width=400, file=io.StringIO())
    console.print(report.summary())
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_a_dev_split_that_is_smaller_than_asked_for_is_told(tmp_path: Path) -> None:
    for number in range(12):
        for take in range(2 if number < 4 else 1):
            record(tmp_path / "corpus" / f"s{number}" / f"{take}.wav", 1.0, 10 * number + take)
    report = prepare("folder", tmp_path / "corpus", tmp_path / "out", dev=0.4, workers=1)
    assert (report.dev_wanted, report.splits["dev"].speakers, report.train_with_several) == (5, 2, 2)
    assert "dev has 2 speakers, not 5 (0.4 of all)" in told(report)
    assert json.loads((tmp_path / "out" / "report.json").read_text())["dev_wanted"] == 5
    for path in (tmp_path / "corpus").glob("s[23]/1.wav"):
        path.unlink()
    poor = prepare("folder", tmp_path / "corpus", tmp_path / "poor", dev=0.1, workers=1)
    assert poor.train_with_several == 0
    assert "of the speakers of train, 0 have several utterances" in told(poor)


def test_a_dev_split_as_asked_for_is_not_told(corpus: Path, tmp_path: Path) -> None:
    assert "dev has" not in told(prepare("folder", corpus, tmp_path / "out", dev=0.3, workers=1))


def test_speakers_whose_names_are_alike_are_told(corpus: Path, tmp_path: Path) -> None:
    (corpus / "b").rename(corpus / "A")
    (corpus / "c").rename(corpus / "a ")
    report = prepare("folder", corpus, tmp_path / "out", workers=1)
    assert report.names_alike == ("'A', 'a' and 'a ' differ in white space and case alone",)
    assert "names of speakers that are alike, one person perhaps: 'A', 'a' and 'a ' differ in white" in told(report)


# Kills


def test_what_a_killed_prepare_left_is_swept(corpus: Path, tmp_path: Path) -> None:
    scratch = tmp_path / f".acanet-{'0a' * 16}.part"
    (scratch / "new").mkdir(parents=True)
    prepare("folder", corpus, tmp_path / "out", workers=1)
    assert not scratch.exists()
    scratch.mkdir()
    with pytest.raises(AcanetError, match="is there already"):
        prepare("folder", corpus, tmp_path / "out", workers=1)
    assert not scratch.exists()
