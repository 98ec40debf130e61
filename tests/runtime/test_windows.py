"""Embeddings over time: each window is what `embed` gives of these samples, and silence has none."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from acanet.audio import soundfiles
from acanet.audio.quality import AudioWarning
from acanet.audio.recording import load
from acanet.audio.resample import resample
from acanet.encoder import Encoder
from acanet.errors import AcanetError, BadAudio, NoSpeech, TooShort
from acanet.runtime import stream
from acanet.runtime import windows as module
from acanet.runtime.detector import find_speech
from acanet.runtime.stream import RecordedStream
from acanet.runtime.windows import cover, embed_spans
from acanet.speech.speech import Speech
from support.commands import acanet

RATE = 16000


@pytest.fixture(scope="module")
def conversation(voices):
    """Two voices, four seconds of silence, another voice: (samples,)."""
    first, second, third = (soundfile.read(voices / name / "000.wav", dtype="float32")[0] for name in SPEAKERS)
    return np.concatenate([first, second, np.zeros(4 * RATE, np.float32), third])


SPEAKERS = ("s003", "s004", "s005")


@pytest.fixture(scope="module", params=["default", "small", "torch"])
def encoder(request, tiny_bundle):
    """Exported models, and one without stages."""
    return Encoder.load(tiny_bundle if request.param == "torch" else request.param)


@pytest.mark.parametrize(("window", "hop"), [(2.0, 1.0), (0.7, 0.33)])
def test_a_window_is_what_embed_gives_of_it(encoder, conversation, window, hop):
    found = encoder.embed_windows(conversation, window, hop)
    assert len(found) == len(found.ends) == len(found.embeddings) == len(found.speech)
    assert found.embedded.sum() > 3
    for start, end, embedding in zip(
        *(part[found.embedded] for part in (found.starts, found.ends)), found.embeddings[found.embedded], strict=True
    ):
        stretch = conversation[round(start * RATE) : round(end * RATE)]
        np.testing.assert_allclose(embedding, encoder.embed_waveforms([stretch])[0], rtol=0, atol=1e-4)
    clear = int(np.argmax(found.speech))
    stretch = conversation[round(found.starts[clear] * RATE) : round(found.ends[clear] * RATE)]
    np.testing.assert_allclose(found.embeddings[clear], encoder.embed(stretch), rtol=0, atol=1e-4)


def test_silence_between_voices_is_marked(encoder, conversation):
    found = encoder.embed_windows(conversation, 2.0, 0.5)
    silent = found.speech == 0
    assert silent.any()
    assert not found.embedded[silent].any()
    np.testing.assert_array_equal(found.embedded, found.speech >= 0.5)
    assert np.isnan(found.embeddings[silent]).all()
    np.testing.assert_allclose(np.linalg.norm(found.embeddings[found.embedded], axis=1), 1, atol=1e-5)


def test_paths_bytes_and_other_rates(conversation, tmp_path):
    encoder, path = Encoder.load(), tmp_path / "48.wav"
    soundfile.write(path, np.repeat(conversation, 3), 3 * RATE, subtype="FLOAT")
    one, other = encoder.embed_windows(path), encoder.embed_windows(path.read_bytes())
    np.testing.assert_array_equal(one.embeddings, other.embeddings)
    assert one.ends[-1] == pytest.approx(len(conversation) / RATE, abs=1e-4)
    third = encoder.embed_windows(np.repeat(conversation, 3), rate=3 * RATE)
    np.testing.assert_allclose(third.embeddings, one.embeddings, atol=1e-4)


def test_speech_adds_up(conversation):
    found = Encoder.load().embed_windows(conversation, 1.0, 1.0)
    assert found.segments == find_speech(conversation, RATE).segments
    whole = sum(end - start for start, end in found.segments)
    overlap = Speech(found.segments).within(found.starts[-1:], found.ends[-2:-1])[0]  # the last window ends at the end
    assert found.speech.sum() - overlap == pytest.approx(whole)


def test_a_recording_shorter_than_a_window_is_one(conversation):
    encoder = Encoder.load()
    found = encoder.embed_windows(conversation, 60.0, 30.0)
    assert (found.starts.tolist(), found.ends.tolist()) == ([0.0], [len(conversation) / RATE])
    np.testing.assert_allclose(found.embeddings[0], encoder.embed(conversation), rtol=0, atol=1e-4)


def test_progress_rises_to_one(conversation, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 2)
    told = []
    Encoder.load().embed_windows(conversation, 1.0, 0.5, progress=told.append)
    assert len(told) > 5
    assert told == sorted(told)
    assert told[-1] == 1.0


@given(start=st.integers(0, 50), length=st.integers(1, 300), window=st.integers(1, 120), hop=st.integers(1, 120))
def test_windows_cover_everything(start, length, window, hop):
    hop = min(hop, window)
    spans = cover(start, start + length, window, hop)
    heard = np.zeros(start + length, bool)
    for first, end in spans:
        assert end - first == min(window, length)
        heard[first:end] = True
    assert heard[start:].all()
    assert not heard[:start].any()
    firsts = [first for first, _ in spans]
    assert firsts == sorted(set(firsts))
    assert all((first - start) % hop == 0 for first in firsts[:-1])
    assert len(spans) == 1 + max(0, -(-(length - window) // hop))


class Echo:
    """Embeds a stretch as its first and last sample and its length."""

    rate, dim, needed_seconds = 10, 3, 0.1

    def __init__(self):
        self.together, self.cut_from = [], []

    def embed_waveforms(self, waveforms):
        self.together.append(sum(map(len, waveforms)))
        self.cut_from += [each.size if each.base is None else each.base.size for each in waveforms]
        return np.array([(each[0], each[-1], len(each)) for each in waveforms], np.float32)


@given(
    sizes=st.lists(st.integers(0, 400), max_size=12),
    steps=st.lists(st.integers(1, 500), min_size=1, max_size=30),
    window=st.integers(1, 900),
    held=st.integers(1, 60),
)
@settings(deadline=None)
def test_stretches_are_cut_from_blocks(sizes, steps, window, held):
    """Whatever the blocks are, and with gaps; those that the recording does not hold are left out."""
    recording, starts, echo = np.arange(3000, dtype=np.float32), np.cumsum(steps) - steps[0], Echo()
    spans = np.stack([starts, starts + window], axis=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_HELD", held)
        patch.setattr(module, "_BLOCK", 4)
        found = embed_spans(echo, np.split(recording, np.minimum(np.cumsum(sizes, dtype=int), 3000)), spans)
    expected = [(start, end - 1, end - start) for start, end in spans]
    np.testing.assert_array_equal(found, np.reshape(expected[: len(found)], (-1, 3)))
    assert len(found) == len(spans) or spans[len(found) : len(found) + 4, 1].max() > len(recording)
    assert all(samples <= 4 * max(window, 10 * held) for samples in echo.together)


def test_only_a_part_of_a_long_recording_is_held(monkeypatch):
    """Of 10 minutes in blocks of a second, with speech in the first and the last: what stretches are cut from."""
    monkeypatch.setattr(module, "_HELD", 5.0)
    echo = Echo()
    spans = np.array(cover(0, 60 * 10, 30, 10) + cover(540 * 10, 600 * 10, 30, 10))
    found = embed_spans(echo, (np.full(10, second, np.float32) for second in range(600)), spans)
    np.testing.assert_array_equal(found[:, 0], spans[:, 0] // 10)
    assert max(echo.cut_from) <= 60 + 2 * 10


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_long_recordings_have_the_windows_of_short_ones(conversation, tmp_path, monkeypatch, rate):
    """A file in small blocks, with speech looked for in few seconds, against stretches of the whole waveform."""
    encoder, path = Encoder.load(), tmp_path / "talk.flac"
    samples = resample(np.tile(conversation, 2), RATE, rate)
    soundfile.write(path, np.stack([samples, samples / 2], axis=1), rate, subtype="PCM_24")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AudioWarning)
        whole = load(path, RATE)
        for reader in (soundfiles, stream):
            monkeypatch.setattr(reader, "BLOCK", 5000)
        monkeypatch.setattr(module, "_HELD", 4.0)
        found = encoder.embed_windows(path, 1.5, 0.5)
    spans = np.array(cover(0, len(whole), round(1.5 * RATE), RATE // 2))
    np.testing.assert_array_equal(np.stack([found.starts, found.ends], axis=1), spans / RATE)
    np.testing.assert_allclose(found.segments, find_speech(whole, RATE).segments, rtol=0, atol=1e-4)
    expected = embed_spans(encoder.network, [whole], spans[found.embedded])
    np.testing.assert_allclose(found.embeddings[found.embedded], expected, rtol=0, atol=1e-4)
    assert 5 < found.embedded.sum() < len(found)


def test_warnings_are_those_of_embed(conversation):
    loud = np.clip(20 * conversation, -0.5, 0.5)
    with pytest.warns(AudioWarning, match="clipped") as told:
        Encoder.load().embed_windows(loud)
    assert len(told) == 1


def inside(segments, times):
    return np.any([(start <= times) & (times < end) for start, end in segments], axis=0)


@pytest.mark.parametrize(
    ("window", "hop", "words"),
    [(0.3, 0.1, "needs 0.5 s"), (float("nan"), 1, "needs"), (2, 0, "hop is 0 s"), (2, 2.5, "at most the window"),
     (2, float("nan"), "hop"), (float("inf"), 1, "window is inf")],
)  # fmt: skip
def test_windows_that_make_no_sense(conversation, window, hop, words):
    with pytest.raises(AcanetError, match=words):
        Encoder.load().embed_windows(conversation, window, hop)


def test_what_has_no_windows_says_why(tmp_path, conversation):
    encoder = Encoder.load()
    with pytest.raises(NoSpeech, match="no speech in 5"):
        encoder.embed_windows(np.zeros(5 * RATE, np.float32))
    with pytest.raises(TooShort):
        encoder.embed_windows(np.zeros(RATE // 10, np.float32))
    with pytest.raises((NoSpeech, TooShort)):
        encoder.embed_windows(np.concatenate([conversation[8000:12000], np.zeros(3 * RATE, np.float32)]))
    with pytest.raises(BadAudio):
        encoder.embed_windows(tmp_path / "none.wav")
    with pytest.raises(AcanetError, match="without trim"):
        Encoder.load(trim=True).embed_windows(conversation)


def test_where_no_window_holds_enough_all_are_marked(conversation, monkeypatch):
    monkeypatch.setattr(RecordedStream, "speech", lambda *_: Speech([(1.0, 1.3), (4.0, 4.3)]))
    found = Encoder.load().embed_windows(conversation, 2.0, 1.0)
    assert not found.embedded.any()
    assert found.embeddings.shape == (len(found), 51)
    assert found.speech.max() == pytest.approx(0.3)


# The command


def test_the_command_writes_windows(conversation, voices, tmp_path):
    soundfile.write(tmp_path / "talk.wav", conversation, RATE)
    files = [tmp_path / "talk.wav", voices / "s000" / "000.wav"]
    answer = acanet("embed", *files, "--windows", "2", "--hop", "0.5", "-o", tmp_path / "out.npz")
    assert answer.code == 0, answer.err
    encoder = Encoder.load()
    found = [encoder.embed_windows(file, 2.0, 0.5) for file in files]
    with np.load(tmp_path / "out.npz") as saved:
        assert set(saved) == {"embeddings", "files", "fingerprint", "starts", "ends", "speech"}
        np.testing.assert_allclose(saved["embeddings"], np.concatenate([f.embeddings for f in found]), atol=1e-5)
        for name in ("starts", "ends", "speech"):
            np.testing.assert_allclose(saved[name], np.concatenate([getattr(f, name) for f in found]))
        assert saved["files"].tolist() == [
            str(f) for f, windows in zip(files, found, strict=True) for _ in windows.ends
        ]
        assert saved["fingerprint"] == encoder.fingerprint
    without = sum(int((~windows.embedded).sum()) for windows in found)
    assert without > 0
    assert f"{sum(map(len, found))} windows of 2 files in {tmp_path / 'out.npz'}" in answer.out
    assert f"{without} of them hold less than 0.5 s of speech" in answer.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.npz", "talk.wav"]


def test_the_hop_is_half_a_window_if_nobody_says(voices, tmp_path):
    assert acanet("embed", voices / "s000" / "000.wav", "--windows", "0.8", "-o", tmp_path / "out.npz").code == 0
    with np.load(tmp_path / "out.npz") as saved:
        assert saved["starts"][:3].tolist() == [0.0, 0.4, 0.8]


def test_one_window_is_not_many(voices, tmp_path):
    voice, output = voices / "s000" / "000.wav", tmp_path / "out.npz"
    assert f"1 window in {output}" in acanet("embed", voice, "--windows", "900", "-o", output).out
    assert "1 embedding of 51 numbers" in acanet("embed", voice, "-o", output, "--force").out


def test_the_command_names_what_it_cannot_do(voices, tmp_path):
    voice, output = voices / "s000" / "000.wav", tmp_path / "out.npz"
    soundfile.write(tmp_path / "silence.wav", np.zeros(2 * RATE), RATE)
    for arguments, code, words in (
        ((voice, "--hop", "1"), 2, "--windows"),
        ((voice, "--windows", "1", "--hop", "2"), 2, "at most the window"),
        ((voice, "--windows", "0.1"), 2, "needs 0.5 s"),
        ((voice, "--windows", "1", "--trim"), 2, "without trim"),
        ((tmp_path / "silence.wav", "--windows", "1"), 3, "no speech"),
        ((tmp_path / "none.wav", "--windows", "1"), 2, "no such file"),
    ):
        answer = acanet("embed", *arguments, "-o", output)
        assert (answer.code, words in answer.err) == (code, True), answer.err
        assert not output.exists()
    answer = acanet("embed", tmp_path / "silence.wav", voice, "--windows", "1", "-o", output)
    assert answer.code == 3
    assert "1 of 2 files could not be embedded" in answer.err
    with np.load(output) as saved:
        assert set(saved["files"].tolist()) == {str(voice)}
