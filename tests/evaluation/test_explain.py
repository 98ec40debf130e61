from __future__ import annotations

import json
import shutil
import sys

import numpy as np
import pytest
import soundfile

from acanet.data.lists.manifest import Utterance
from acanet.encoder import Encoder
from acanet.errors import AcanetError, NoSpeech, TooShort
from acanet.evaluation.explain import Attended, Explainer, Explanation, Shares, log_mel, mel
from acanet.runtime.bundle import BUNDLES, Bundle
from acanet.runtime.front_end import FrontEndConfig
from acanet.runtime.stream import RecordedStream
from acanet.speech.speech import Speech
from support.commands import acanet

RATE = 16000


class Looking:
    """A network whose latents look at the loud frames alone; one frame for every two of the features."""

    rate, dim = RATE, 1

    def attention(self, waveform):
        frames = 1 + (len(waveform) - 400) // 160
        power = np.array([np.square(waveform[320 * frame :][:400]).sum() for frame in range((frames + 1) // 2)])
        return np.tile(power / power.sum(), (4, 1)).astype(np.float32)


def noise(samples: int) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal(samples, np.float32)


@pytest.fixture(scope="module")
def explainer() -> Explainer:
    return Explainer.load()


@pytest.fixture
def looking(monkeypatch) -> Explainer:
    """Speech is from 1 s to 2 s."""
    monkeypatch.setattr(RecordedStream, "speech", lambda *_: Speech([(1.0, 2.0)]))
    return Explainer(Encoder(Bundle.load(), Looking()), FrontEndConfig())


def test_shares_by_hand():
    attention = np.array([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]], np.float32)
    times = np.array([0.1, 0.3, 0.5, 0.7])
    heard = Explanation("x", np.zeros(RATE, np.float32), FrontEndConfig(), attention, times, [(0.3, 0.4), (0.5, 0.7)])
    assert heard.spoken.tolist() == [False, True, True, False]
    assert heard.shares.seconds == 1.0
    assert heard.shares.speech == 0.5
    assert heard.shares.attended == pytest.approx((0.2 + 0.3 + 0.1 + 0.1) / 2)
    silent = Explanation("x", np.zeros(RATE, np.float32), FrontEndConfig(), attention, times, [])
    assert (silent.shares.speech, silent.shares.attended) == (0, 0)


def test_the_mean_of_utterances():
    shares = [Shares(name="x", seconds=9, speech=speech, attended=0.8) for speech in (0.5, 0.7)]
    attended = Attended(utterances=tuple(shares))
    assert (attended.speech, attended.attended) == (pytest.approx(0.6), pytest.approx(0.8))


@pytest.mark.parametrize("length", [8000, 16000, 16161, 48000, 159_999])
def test_frames_know_their_time(looking, length):
    """A network of stride 2 has a frame every 20 ms, the first in the middle of the first window."""
    heard = looking.recording(noise(length))
    assert len(heard.times) == heard.attention.shape[1]
    np.testing.assert_allclose(heard.times, 0.0125 + 0.02 * np.arange(len(heard.times)))
    assert heard.times[-1] < heard.seconds == length / RATE


def test_attention_falls_where_the_sound_is(looking):
    waveform = np.zeros(4 * RATE, np.float32)
    waveform[RATE + 400 : 2 * RATE - 400] = noise(RATE - 800)
    shares = looking.recording(waveform).shares
    assert shares.speech == pytest.approx(0.25, abs=0.01)
    assert shares.attended == pytest.approx(1.0, abs=1e-6)


def test_utterances_are_spread_over_the_list(looking, tmp_path):
    utterances = []
    for number in range(7):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, np.full(8000 * (1 + number % 3), 0.1), 8000)
        utterances.append(Utterance(str(path), path, "anna", path.name, start=0.25, duration=0.5 + number % 3 / 2))
    found = looking.utterances(utterances, most=3)
    assert {heard.name for heard in found} == {"0.wav", "3.wav", "6.wav"}
    assert len(looking.utterances(utterances, most=99)) == 7
    middle = looking.utterances(utterances[:3])[0]
    assert (middle.name, middle.seconds) == ("1.wav", 1.0)


@pytest.mark.parametrize("hertz", [200, 1000, 5000])
def test_a_tone_is_where_its_frequency_is(hertz):
    tone = np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE).astype(np.float32)
    picture = log_mel(tone, FrontEndConfig())
    assert picture.shape == (98, 80)
    assert (picture.max(), picture.min()) == (0, pytest.approx(-80))
    centre = np.linspace(mel(20), mel(8000), 82)[1:-1][picture.mean(axis=0).argmax()]
    assert centre == pytest.approx(mel(hertz), abs=mel(8000) / 81)


def test_a_long_recording_has_no_more_columns_than_a_picture_shows():
    assert len(log_mel(np.ones(3600 * 1000, np.float32), FrontEndConfig(rate=1000))) <= 3000
    assert np.isfinite(log_mel(np.zeros(RATE, np.float32), FrontEndConfig())).all()


def test_what_ships_listens_to_speech_more_than_to_silence(explainer, voices):
    """A frame sees half a second, so that those beside speech are worth hearing too."""
    voice, _ = soundfile.read(voices / "s004" / "000.wav", dtype="float32")
    padded = np.concatenate([np.zeros(RATE, np.float32), voice, np.zeros(RATE, np.float32)])
    heard = explainer.recording(padded)
    assert heard.shares.speech < 0.7
    assert heard.shares.attended > heard.shares.speech + 0.1
    np.testing.assert_allclose(heard.attention.sum(axis=1), 1, atol=1e-5)


def test_what_the_model_would_refuse_is_not_explained(explainer):
    with pytest.raises(NoSpeech):
        explainer.recording(np.zeros(2 * RATE, np.float32))
    with pytest.raises(TooShort):
        explainer.recording(np.zeros(RATE // 10, np.float32))


def test_the_command_draws_and_tells_the_shares(voices, tmp_path):
    picture = tmp_path / "picture.png"
    answer = acanet("explain", voices / "s004" / "000.wav", "-o", picture)
    assert answer.code == 0
    heard = Explainer.load().recording(voices / "s004" / "000.wav").shares
    assert f"speech: {heard.speech:.1%} of {heard.seconds:.2f} s, {heard.attended:.1%} of the attention" in answer.out
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert [file.name for file in tmp_path.iterdir()] == ["picture.png"]


def test_the_command_says_what_is_wrong(voices, tmp_path, tiny_bundle, monkeypatch):
    voice, picture = voices / "s004" / "000.wav", tmp_path / "picture.png"
    (tmp_path / "text.wav").write_text("not audio")
    soundfile.write(tmp_path / "silence.wav", np.zeros(2 * RATE), RATE)
    model = shutil.copytree(BUNDLES / "default", tmp_path / "model")
    config = json.loads((model / "config.json").read_text())
    config["onnx"]["stages"].remove("attention")
    (model / "config.json").write_text(json.dumps(config))

    def refused(*arguments):
        answer = acanet("explain", *arguments)
        assert not picture.exists()
        return answer.code, answer.err

    for arguments, code, words in (
        ((tmp_path / "text.wav", "-o", picture), 2, "text.wav"),
        ((tmp_path / "none.wav", "-o", picture), 2, "none.wav"),
        ((tmp_path / "silence.wav", "-o", picture), 3, "no speech"),
        ((voice, "-o", tmp_path / "picture.jpg"), 2, "does not end in .png"),
        ((voice, "-o", tmp_path / "none" / "picture.png"), 2, "there is no folder"),
        ((voice, "-o", picture, "--model", model), 2, "no asymmetric cross attention"),
        ((voice, "-o", picture, "--model", tiny_bundle), 2, "not an exported bundle"),
        ((voice, "-o", picture, "--model", tmp_path), 2, "no model there"),
    ):
        found, err = refused(*arguments)
        assert (found, words in err) == (code, True), err
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    code, err = refused(voice, "-o", picture)
    assert (code, "matplotlib" in err) == (2, True), err


def test_real_speech_gets_more_attention_than_its_share(explainer, shared):
    files = sorted((shared / "data" / "speechocean762").glob("so*/*.opus"))[:400:40]
    utterances = [Utterance(file.name, file, "", file.name) for file in files]
    attended = Attended(utterances=tuple(heard.shares for heard in explainer.utterances(utterances)))
    assert attended.attended > attended.speech + 0.1


def test_errors_are_typed(explainer):
    with pytest.raises(AcanetError):
        Explainer.load("nowhere")
