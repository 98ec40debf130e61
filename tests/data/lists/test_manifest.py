from __future__ import annotations

import contextlib
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acanet.data.lists.manifest import Utterance, read_manifest, read_recordings
from acanet.errors import BadManifest


def write(folder: Path, *lines: object) -> Path:
    """A manifest of entries; text is written as it is."""
    path = folder / "set.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def cut(**changes: Any) -> dict[str, Any]:
    """A cut as Lhotse writes it."""
    recording = {
        "id": "call-7",
        "sources": [{"type": "file", "channels": [0], "source": "/far/call-7.wav"}],
        "sampling_rate": 16000,
        "num_samples": 160000,
        "duration": 10.0,
        "channel_ids": [0],
    }
    speech = {
        "id": "s",
        "recording_id": "call-7",
        "start": 0,
        "duration": 2.5,
        "channel": 0,
        "speaker": "anna",
    }
    entry = {"id": "call-7-1", "start": 1.5, "duration": 2.5, "channel": 0, "type": "MonoCut"}
    return entry | {"supervisions": [speech], "recording": recording} | changes


def test_plain_line_with_everything(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {
            "path": "anna/1.wav",
            "speaker": "anna",
            "id": "a1",
            "start": 1,
            "duration": 2.5,
            "age": 6,
            "gender": "f",
        },
    )
    assert read_manifest(path) == [
        Utterance("a1", tmp_path / "anna/1.wav", "anna", "anna/1.wav", 1.0, 2.5, {"age": 6, "gender": "f"})
    ]


def test_plain_line_with_the_least(tmp_path: Path) -> None:
    path = write(tmp_path, {"path": "/abs/1.wav", "speaker": 1034}, "", "  ")
    assert read_manifest(path) == [Utterance("/abs/1.wav", Path("/abs/1.wav"), "1034", "/abs/1.wav")]


def test_cut(tmp_path: Path) -> None:
    speech = cut()["supervisions"][0] | {"gender": "f", "text": None, "custom": {"age": 30}}
    path = write(tmp_path, cut(supervisions=[speech], custom={"audio_hash": "00ff"}))
    fields = {"gender": "f", "age": 30, "audio_hash": "00ff"}
    assert read_manifest(path) == [Utterance("call-7-1", Path("/far/call-7.wav"), "anna", "call-7", 1.5, 2.5, fields)]


def test_relative_source_of_a_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = cut()
    entry["recording"]["sources"][0]["source"] = "wav/1.wav"
    (tmp_path / "sets").mkdir()
    path = write(tmp_path / "sets", entry)
    monkeypatch.chdir(tmp_path)
    assert read_manifest(path)[0].path == tmp_path / "sets/wav/1.wav"
    (tmp_path / "wav").mkdir()
    (tmp_path / "wav/1.wav").touch()
    assert read_manifest(path)[0].path == Path("wav/1.wav")


def test_all_channels_are_read_as_one_recording(tmp_path: Path) -> None:
    entry = cut(type="MultiCut", channel=[0, 1])
    entry["recording"]["sources"][0]["channels"] = [0, 1]
    assert read_manifest(write(tmp_path, entry))[0].speaker == "anna"


def test_one_of_two_channels_is_refused(tmp_path: Path) -> None:
    entry = cut(channel=1)
    entry["recording"]["sources"][0]["channels"] = [0, 1]
    with pytest.raises(BadManifest, match=r"line 1: channel 1 of a recording with channels \[0, 1\]"):
        read_manifest(write(tmp_path, entry))


def test_both_forms_gzipped_with_byte_order_mark(tmp_path: Path) -> None:
    plain = {"path": "é.wav", "speaker": "zoë"}
    path = tmp_path / "set.jsonl.gz"
    path.write_bytes(gzip.compress(f"{json.dumps(plain, ensure_ascii=False)}\n{json.dumps(cut())}".encode("utf-8-sig")))
    assert [utterance.speaker for utterance in read_manifest(path)] == ["zoë", "anna"]


def with_source(**changes: Any) -> dict[str, Any]:
    entry = cut()
    entry["recording"]["sources"][0] |= changes
    return entry


def with_recording(**changes: Any) -> dict[str, Any]:
    return cut(recording=cut()["recording"] | changes)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON: .* at column 2"),
        ("[" * 100_000, "not JSON"),
        ("[1]", r"the line is list \[1\]; a JSON object is expected"),
        ({"path": "a.wav"}, "no 'speaker'; found are path"),
        ({"path": "a.wav", "speakr": "x"}, "no 'speaker'; did you mean 'speakr'?"),
        ({"speaker": "x", "file_path": "a.wav"}, "no 'path'; did you mean 'file_path'?"),
        ({}, "no 'path'; found are no keys"),
        ({"path": "", "speaker": "x"}, "path is ''; text is expected"),
        ({"path": "a", "speaker": None}, "speaker is None"),
        ({"path": "a", "speaker": True}, "speaker is True"),
        ({"path": "a", "speaker": "x", "start": -1}, "start is -1"),
        ({"path": "a", "speaker": "x", "start": "1"}, "start is '1'"),
        ('{"path": "a", "speaker": "x", "start": NaN}', "start is nan"),
        ({"path": "a", "speaker": "x", "duration": 0}, "duration is 0"),
        (cut(type="MixedCut"), "type 'MixedCut'; MonoCut and MultiCut are read"),
        (cut(supervisions=[]), r"exactly one speaker, this one has 0 \(none\)"),
        (cut(supervisions=[{"speaker": "b"}, {"speaker": "a"}]), r"has 2 \(a, b\)"),
        (cut(supervisions=[{"text": "hm"}]), "no 'speaker'"),
        (cut(supervisions="anna"), "supervisions is 'anna'; a list"),
        (cut(custom=3), "'custom' is int 3"),
        (cut(recording=None), "'recording' is NoneType None"),
        (with_source(type="url"), "source of type 'url'; sources of type 'file' are read"),
        (with_source(source=None), "source is None"),
        (with_recording(sources=[{}, {}]), "a recording of 2 sources"),
        (with_recording(transforms=[{"name": "Speed", "kwargs": {"factor": 0.9}}]), "transform 'Speed'"),
        ({key: value for key, value in cut().items() if key != "recording"}, "no 'recording'"),
    ],
)
def test_bad_line_is_named(tmp_path: Path, line: object, reason: str) -> None:
    path = write(tmp_path, {"path": "good.wav", "speaker": "x"}, line)
    with pytest.raises(BadManifest, match=reason) as caught:
        read_manifest(path)
    assert (caught.value.path, caught.value.line) == (path, 2)


def test_resampled_recording_is_taken(tmp_path: Path) -> None:
    entry = with_recording(transforms=[{"name": "Resample", "kwargs": {}}])
    assert read_manifest(write(tmp_path, entry))[0].recording == "call-7"


def test_duplicate_id_names_both_lines(tmp_path: Path) -> None:
    path = write(tmp_path, {"path": "a", "speaker": "x"}, "", {"path": "a", "speaker": "y"})
    with pytest.raises(BadManifest, match="line 3: id 'a' is already that of line 1"):
        read_manifest(path)


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    path.write_bytes(b'{"path": "a", "speaker": "x"}\n{"path": "\xff"}')
    with pytest.raises(BadManifest, match="line 2: not UTF-8: byte 0xff at column 11"):
        read_manifest(path)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("set.jsonl", None, "there is no such file"),
        ("set.jsonl", b"\n \n", "no utterances"),
        ("set.jsonl.gz", b"{}", "cannot be read: Not a gzipped file"),
        ("set.jsonl.gz", gzip.compress(b'{"path": "a", "speaker": "x"}', mtime=0)[:-4], "cannot be read"),
    ],
)
def test_file_as_a_whole(tmp_path: Path, name: str, content: bytes | None, reason: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadManifest, match=reason) as caught:
        read_manifest(tmp_path / name)
    assert caught.value.line is None


def test_folder_is_not_a_manifest(tmp_path: Path) -> None:
    with pytest.raises(BadManifest, match="cannot be read"):
        read_manifest(tmp_path)


json_values = st.sampled_from(
    [
        None,
        True,
        0,
        -1.5,
        2.5,
        1e400,
        "",
        "x",
        "\ud800",
        [],
        ["x"],
        [0],
        [{}],
        [{"speaker": "b"}],
        {},
        {"id": "x"},
    ]
)
keys = (
    "id",
    "start",
    "duration",
    "channel",
    "type",
    "supervisions",
    "recording",
    "custom",
    "path",
    "speaker",
)


@given(changes=st.dictionaries(st.sampled_from(keys), json_values), line=st.sampled_from([cut(), {}]))
def test_any_json_is_an_utterance_or_bad_manifest(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[str, Any], line: dict[str, Any]
) -> None:
    path = write(tmp_path_factory.getbasetemp(), line | changes)
    with contextlib.suppress(BadManifest):
        (utterance,) = read_manifest(path)
        assert utterance.id
        assert utterance.speaker
        assert utterance.start >= 0


@pytest.mark.speech
def test_shared_manifests(shared: Path) -> None:
    utterances = read_manifest(shared / "data/speechocean762.dev.jsonl")
    assert len(utterances) == 637
    assert len({utterance.speaker for utterance in utterances}) == 30
    assert all(utterance.path.is_file() for utterance in utterances)


def test_recordings_need_no_speaker(tmp_path: Path) -> None:
    path = write(tmp_path, {"path": "a.wav", "room": 3}, {"path": "b.wav", "speaker": "bo", "start": 1, "duration": 2})
    first, second = read_recordings(path)
    assert (first.path, first.start, first.duration, first.fields) == (tmp_path / "a.wav", 0.0, None, {"room": 3})
    (named,) = read_manifest(write(tmp_path, {"path": "b.wav", "speaker": "bo", "start": 1, "duration": 2}))
    assert second == named
    with pytest.raises(BadManifest, match="speaker"):
        read_manifest(write(tmp_path, {"path": "a.wav"}))


@pytest.mark.parametrize("line", ["{", '{"speaker": "bo"}', '{"path": ""}', '{"path": "a.wav", "speaker": ""}'])
def test_recordings_are_checked_like_utterances(line: str, tmp_path: Path) -> None:
    with pytest.raises(BadManifest, match="line 1: "):
        read_recordings(write(tmp_path, line))


def test_recordings_that_come_twice_or_not_at_all(tmp_path: Path) -> None:
    for lines in ([{"path": "a.wav"}, {"path": "a.wav"}], []):
        with pytest.raises(BadManifest):
            read_recordings(write(tmp_path, *lines))
