"""Decoded audio on disk: built once, built anew when a file changes, never half there."""

from __future__ import annotations

import os
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from acanet.audio.recording import content_hash, read_audio
from acanet.data.feed import cache as module
from acanet.data.feed.cache import LeftOutWarning, build_cache, warn_of_failures
from acanet.data.lists import recording
from acanet.data.lists.manifest import Utterance
from acanet.errors import BadAudio

RATE = 16000
LENGTHS = (1000, 700, 1300)


def ramp(number, length):
    """int16 samples that differ between recordings, loud enough for nobody to call them silent."""
    return (np.arange(length) * 7 + 1000 * number).astype(np.int16)


@pytest.fixture
def utterances(tmp_path):
    found = []
    for number, length in enumerate(LENGTHS):
        path = tmp_path / "audio" / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, ramp(number, length), RATE, subtype="PCM_16")
        found.append(Utterance(str(number), path, "s", str(number)))
    return found


def pcm(waveform):
    """Back to 16 bit, exactly."""
    scaled = waveform * 32768
    np.testing.assert_array_equal(scaled, np.rint(scaled))
    return scaled.astype(np.int16)


@pytest.mark.parametrize("workers", [0, 2])
def test_what_is_read_is_what_was_recorded(utterances, tmp_path, workers):
    audio = build_cache(utterances, tmp_path / "cache", RATE, workers)
    for number, length in enumerate(LENGTHS):
        assert audio.samples(number) == length
        waveform = audio.read(number, 0, length)
        assert waveform.dtype == np.float32
        np.testing.assert_array_equal(pcm(waveform), ramp(number, length))
        np.testing.assert_array_equal(pcm(audio.read(number, 100, 50)), ramp(number, length)[100:150])
        assert audio.hashes[number] == content_hash(read_audio(utterances[number].path)[0])


def test_an_utterance_that_ends_begins_again(utterances, tmp_path):
    audio = build_cache(utterances, tmp_path / "cache", RATE, 0)
    expected = np.tile(ramp(1, 700), 4)
    np.testing.assert_array_equal(pcm(audio.read(1, 650, 2000)), expected[650:2650])
    np.testing.assert_array_equal(pcm(audio.read(1, 699, 2)), expected[699:701])
    np.testing.assert_array_equal(pcm(audio.read(1, 0, 700)), expected[:700])


def test_the_second_time_nothing_is_decoded(utterances, tmp_path, monkeypatch):
    first = build_cache(utterances, tmp_path / "cache", RATE, 0)

    def decoded(*_):
        raise AssertionError("decoded again")

    monkeypatch.setattr(module, "_decode", decoded)
    again = build_cache(utterances, tmp_path / "cache", RATE, 0)
    assert (again.path, again.offsets, again.hashes) == (first.path, first.offsets, first.hashes)


def test_a_file_that_changed_is_decoded_again(utterances, tmp_path):
    first = build_cache(utterances, tmp_path / "cache", RATE, 0)
    path, before = utterances[0].path, utterances[0].path.stat()
    soundfile.write(path, ramp(5, LENGTHS[0]), RATE, subtype="PCM_16")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert path.stat().st_size == before.st_size
    audio = build_cache(utterances, tmp_path / "cache", RATE, 0)
    assert audio.path != first.path
    np.testing.assert_array_equal(pcm(audio.read(0, 0, 1000)), ramp(5, 1000))
    np.testing.assert_array_equal(pcm(first.read(0, 0, 1000)), ramp(0, 1000))


def test_other_utterances_and_rates_have_caches_of_their_own(utterances, tmp_path):
    built = [
        build_cache(utterances, tmp_path / "cache", RATE, 0),
        build_cache(utterances[::-1], tmp_path / "cache", RATE, 0),
        build_cache(utterances[:2], tmp_path / "cache", RATE, 0),
        build_cache(utterances, tmp_path / "cache", RATE // 2, 0),
    ]
    assert len({audio.path for audio in built}) == 4
    assert built[1].samples(0) == LENGTHS[2]
    assert built[3].samples(0) == LENGTHS[0] // 2


def test_pieces_of_a_recording(utterances, tmp_path):
    path = utterances[0].path
    pieces = [
        Utterance("middle", path, "s", "0", start=100 / RATE, duration=300 / RATE),
        Utterance("end", path, "s", "0", start=600 / RATE),
    ]
    audio = build_cache(pieces, tmp_path / "cache", RATE, 0)
    np.testing.assert_array_equal(pcm(audio.read(0, 0, audio.samples(0))), ramp(0, 1000)[100:400])
    np.testing.assert_array_equal(pcm(audio.read(1, 0, audio.samples(1))), ramp(0, 1000)[600:])
    assert audio.hashes[0] != audio.hashes[1]


def test_other_rates_and_channels_become_the_models(tmp_path):
    time = np.arange(24000) / 48000
    tone = 0.5 * np.sin(2 * np.pi * 440 * time)
    soundfile.write(tmp_path / "stereo.flac", np.stack([tone, tone], axis=1), 48000)
    audio = build_cache([Utterance("a", tmp_path / "stereo.flac", "s", "a")], tmp_path / "cache", RATE, 0)
    assert audio.samples(0) == 8000
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / RATE)
    np.testing.assert_allclose(audio.read(0, 0, 8000)[200:-200], expected[200:-200], atol=1e-3)


def test_samples_beyond_full_scale_are_clipped(tmp_path):
    soundfile.write(tmp_path / "loud.wav", np.array([1.5, -1.5, 0.25] * 400), RATE, subtype="FLOAT")
    audio = build_cache([Utterance("a", tmp_path / "loud.wav", "s", "a")], tmp_path / "cache", RATE, 0)
    assert pcm(audio.read(0, 0, 3)).tolist() == [32767, -32768, 8192]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_file_is_left_out(utterances, tmp_path, workers):
    utterances[1].path.write_text("not audio")
    audio = build_cache(utterances * 9, tmp_path / "cache", RATE, workers)
    assert [place for place, _ in audio.failures] == list(range(1, 27, 3))
    assert all("not a recording" in reason for _, reason in audio.failures)
    assert audio.kept == [place for place in range(27) if place % 3 != 1]
    assert len(audio) == len(audio.hashes) == 18
    np.testing.assert_array_equal(pcm(audio.read(1, 0, 1300)), ramp(2, 1300))
    with pytest.warns(LeftOutWarning, match=r"9 of 27 recordings cannot be read, and are left out: .*/1\.wav \(not a"):
        warn_of_failures(audio, utterances * 9)


@pytest.mark.parametrize(
    "error", [OSError(5, "Input/output error"), PermissionError(13, "no"), struct.error("odd"), MemoryError()]
)
def test_whatever_a_file_does_is_an_error_of_that_file(utterances, tmp_path, monkeypatch, error):
    def read(path, **_):
        raise error

    undisturbed = recording.read_audio
    monkeypatch.setattr(
        recording, "read_audio", lambda path, **how: (read if path.stem == "0" else undisturbed)(path, **how)
    )
    audio = build_cache(utterances, tmp_path / "cache", RATE, 0)
    assert audio.failures == ((0, f"cannot be read ({type(error).__name__}: {error})"),)
    monkeypatch.undo()
    assert not build_cache(utterances, tmp_path / "cache", RATE, 0).failures, "it is tried again"
    np.testing.assert_array_equal(
        pcm(build_cache(utterances, tmp_path / "cache", RATE, 0).read(2, 0, 1300)), ramp(2, 1300)
    )


def test_what_still_cannot_be_read_is_not_a_reason_to_decode_all(utterances, tmp_path, monkeypatch):
    utterances[2].path.unlink()
    first = build_cache(utterances, tmp_path / "cache", RATE, 0)
    monkeypatch.setattr(module, "_decode_all", None)
    assert build_cache(utterances, tmp_path / "cache", RATE, 0) == first
    assert [reason for _, reason in first.failures] == ["there is no such file"]


def test_where_nothing_can_be_read_nothing_is_left_behind(utterances, tmp_path):
    for utterance in utterances:
        utterance.path.write_text("not audio")
    with pytest.raises(BadAudio, match=r"0\.wav: .*none of 3 recordings can be read"):
        build_cache(utterances, tmp_path / "cache", RATE, 0)
    assert list((tmp_path / "cache").iterdir()) == []


def test_names_that_no_system_takes_are_errors_of_their_files(utterances, tmp_path):
    odd = [replace(utterances[0], path=Path(name), id=name) for name in ("a" * 300, "a\0b", "x/" * 3000, "\udcff.wav")]
    audio = build_cache([*utterances, *odd], tmp_path / "cache", RATE, 0)
    assert [place for place, _ in audio.failures] == [3, 4, 5, 6]


def test_a_build_that_was_killed_is_done_again(utterances, tmp_path):
    """Audio without its index is what a kill between the two leaves."""
    whole = build_cache(utterances, tmp_path / "cache", RATE, 0)
    whole.path.with_suffix(".json").unlink()
    whole.path.write_bytes(b"half")
    audio = build_cache(utterances, tmp_path / "cache", RATE, 0)
    np.testing.assert_array_equal(pcm(audio.read(2, 0, 1300)), ramp(2, 1300))
