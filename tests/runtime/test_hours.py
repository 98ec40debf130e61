"""Long recordings: in pieces as in one, from any source, with the errors and warnings of short ones."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest
import soundfile

from acanet import encoder as module
from acanet.audio.quality import AudioWarning
from acanet.data.synthetic import SyntheticVoice, synthesise
from acanet.encoder import Encoder
from acanet.errors import AcanetError, BadAudio, NoSpeech, TooLong, TooShort
from acanet.runtime import onnx as runtime
from acanet.runtime import spill
from acanet.runtime import stream as stream_module
from acanet.runtime.bundle import BUNDLES, SHIPPED
from acanet.runtime.pieces import Piecewise

RATE = 16000


@pytest.fixture(scope="module", params=SHIPPED)
def shipped(request):
    return Encoder.load(request.param)


@pytest.fixture(scope="module")
def encoder():
    return Encoder.load()


@pytest.fixture(scope="module")
def talk():
    """Seven voices, 42 s."""
    return np.concatenate([synthesise(SyntheticVoice.draw(5, n), 6.0, [5, n]) for n in range(7)]).astype(np.float32)


@pytest.fixture
def long_from_a_second(monkeypatch):
    """Recordings beyond 1 s go in pieces."""
    monkeypatch.setattr(stream_module, "WHOLE_SECONDS", 1.0)


def in_one(encoder, waveform):
    """The embedding by the graph of the whole."""
    return encoder.network.run("whole", waveforms=waveform[None], lengths=np.array([len(waveform)]))[0][0]


@pytest.mark.parametrize("seconds", [1, 10, 60, pytest.param(600, marks=pytest.mark.slow)])
@pytest.mark.parametrize("piece", [10, 333, 3000])
def test_in_pieces_as_in_one(shipped, talk, seconds, piece):
    waveform = np.resize(talk, seconds * RATE)
    with shipped.network.in_pieces(piece=piece, memory=2**16) as piecewise:
        piecewise.feed(waveform)
        found = piecewise.embedding()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, in_one(shipped, waveform), rtol=0, atol=1e-4 / 2)


def test_an_embedding_on_the_way_changes_nothing_after_it(encoder, talk):
    with encoder.network.in_pieces(piece=100) as piecewise:
        piecewise.feed(talk[:50000])
        on_the_way = piecewise.embedding(rest=talk[50000:50700])
        piecewise.feed(talk[50000:90000])
        found = piecewise.embedding()
    whole = encoder.embed_waveforms([talk[:50700], talk[:90000]])
    np.testing.assert_allclose([on_the_way, found], whole, rtol=0, atol=1e-5)
    assert np.abs(on_the_way - found).max() > 1e-3


def test_less_than_a_window_has_no_embedding(encoder):
    with encoder.network.in_pieces() as piecewise:
        piecewise.feed(np.zeros(399, np.float32))
        with pytest.raises(AcanetError, match="less than 400 samples"):
            piecewise.embedding()


def test_more_than_a_minute_goes_in_pieces(encoder, talk, monkeypatch):
    waveform = np.resize(talk, 61 * RATE)
    whole = in_one(encoder, waveform)
    np.testing.assert_allclose(encoder.embed_waveforms([waveform])[0], whole, rtol=0, atol=1e-4 / 2)
    monkeypatch.setattr(encoder.network, "embed_waveforms", None)
    np.testing.assert_allclose(encoder.embed(waveform), whole, rtol=0, atol=1e-4 / 2)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_any_source_and_rate(encoder, talk, rate, tmp_path, long_from_a_second, monkeypatch):
    from acanet.audio.resample import resample

    samples = resample(talk[: 5 * RATE], RATE, rate)
    path = tmp_path / "talk.flac"
    soundfile.write(path, np.stack([samples, 0.5 * samples], axis=1), rate, subtype="PCM_24")
    stereo = soundfile.read(path, dtype="float32")[0]
    sources = [(path, None), (path.read_bytes(), None), (stereo, rate)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AudioWarning)
        found = [encoder.embed(source, rate=given) for source, given in sources]
        many = list(encoder.embed_many([path, path.read_bytes(), talk[:14400], path]))
        monkeypatch.setattr(stream_module, "WHOLE_SECONDS", 60.0)
        whole, short = encoder.embed(path), encoder.embed(talk[:14400])
    np.testing.assert_allclose(found, [whole] * 3, rtol=0, atol=1e-5)
    np.testing.assert_allclose(many, [whole, whole, short, whole], rtol=0, atol=1e-5)


def test_verify_answers_alike(encoder, talk, long_from_a_second, monkeypatch):
    sides = talk[: 4 * RATE], talk[4 * RATE : 30 * RATE]
    found = encoder.verify(*sides)
    monkeypatch.setattr(stream_module, "WHOLE_SECONDS", 60.0)
    whole = encoder.verify(*sides)
    assert found.score == pytest.approx(whole.score, abs=1e-5)
    assert (found.enrolment_speech, found.test_speech) == pytest.approx((whole.enrolment_speech, whole.test_speech))
    assert found.test_speech > 6


@pytest.mark.filterwarnings("ignore:.*telephone:acanet.audio.quality.AudioWarning")
def test_errors_and_warnings_are_those_of_short_recordings(encoder, talk, tmp_path, long_from_a_second):
    silence = np.zeros(2 * RATE, np.float32)
    word = np.concatenate([silence, talk[RATE : RATE + 4000], silence])
    with pytest.raises(NoSpeech, match=r"<array \(32000,\)>: no speech in 2.00 s"):
        encoder.embed(silence)
    with pytest.raises((TooShort, NoSpeech)):
        encoder.embed(word)
    broken = talk.copy()
    broken[40 * RATE] = np.nan
    with pytest.raises(BadAudio, match="not finite"):
        encoder.embed(broken)
    with pytest.warns(AudioWarning, match="clipped"):
        encoder.embed(np.clip(talk, -0.06, 0.06))
    soundfile.write(tmp_path / "talk.wav", talk, RATE, subtype="PCM_16")
    whole = (tmp_path / "talk.wav").read_bytes()
    with pytest.raises(BadAudio, match="cut off"):
        encoder.embed(whole[: len(whole) // 2])
    results = list(encoder.embed_many([silence, talk[: 2 * RATE]]))
    assert isinstance(results[0], NoSpeech)
    assert isinstance(results[1], np.ndarray)


def test_models_that_take_it_whole_have_a_limit(tiny_bundle, tmp_path, talk, long_from_a_second, monkeypatch):
    monkeypatch.setattr(module, "MOST_SECONDS", 3.0)
    folder = shutil.copytree(BUNDLES / "default", tmp_path / "global")
    config = json.loads((folder / "config.json").read_text())
    config["onnx"]["pieces"] = None
    (folder / "config.json").write_text(json.dumps(config))
    twin = shutil.copytree(folder, tmp_path / "twin")
    config["onnx"]["precision"] = "int8"
    (twin / "config.json").write_text(json.dumps(config))
    for encoder, reason in (
        (Encoder.load(folder), "looks at the whole recording at once"),
        (Encoder.load(twin), "a twin in int8 has no stages"),
        (Encoder.load(tiny_bundle), "acanet export"),
    ):
        with pytest.raises(TooLong, match=reason) as caught:
            encoder.embed(talk[: 4 * RATE])
        assert (caught.value.seconds, caught.value.limit, caught.value.exit_code) == (4.0, 3.0, 2)
        assert "at most 3 s" in str(caught.value)
        (in_company,) = encoder.embed_many([talk[: 4 * RATE]])
        assert isinstance(in_company, TooLong)
        assert encoder.embed(talk[: 2 * RATE]).shape == (encoder.dim,)


def test_without_pauses_any_length_too(talk, long_from_a_second, monkeypatch):
    monkeypatch.setattr(module, "MOST_SECONDS", 3.0)
    trimming = Encoder.load(trim=True)
    found = trimming.embed(talk)
    monkeypatch.setattr(runtime, "WHOLE_SECONDS", 1.0)
    np.testing.assert_allclose(trimming.embed(talk), found, rtol=0, atol=1e-5)


def test_waveforms_that_are_long_go_in_pieces_among_others(encoder, talk, monkeypatch):
    waveforms = [talk[: 2 * RATE], talk[: 6 * RATE], talk[RATE : 3 * RATE], talk[: 5 * RATE]]
    whole = encoder.embed_waveforms(waveforms)
    monkeypatch.setattr(runtime, "WHOLE_SECONDS", 3.0)
    asked = []
    run = encoder.network.run
    monkeypatch.setattr(
        encoder.network, "run", lambda stage, **given: asked.append((stage, given)) or run(stage, **given)
    )
    np.testing.assert_allclose(encoder.embed_waveforms(waveforms), whole, rtol=0, atol=1e-5)
    assert [given["lengths"].tolist() for stage, given in asked if stage == "whole"] == [[2 * RATE, 2 * RATE]]
    assert [stage for stage, _ in asked].count("readout") == 2


def test_a_mean_that_is_not_removed_is_not_removed():
    import torch

    from acanet.export.stages import pieces, stages
    from acanet.models.extractor import Extractor
    from acanet.models.folding import fold
    from support.networks import runner, small

    config = small("acanet-local").config
    config = config.model_copy(update={"front_end": config.front_end.model_copy(update={"remove_mean": False})})
    torch.manual_seed(0)
    model = fold(Extractor(config).eval())
    waveform = np.random.default_rng(0).normal(0, 0.1, 9000).astype(np.float32)
    with Piecewise(runner(stages(model)), pieces(model), config.front_end, None, piece=20) as piecewise:
        piecewise.feed(waveform)
        found = piecewise.embedding()
    with torch.no_grad():
        whole = model.embed(torch.from_numpy(waveform)[None])[0].numpy()
    np.testing.assert_allclose(found, whole, rtol=0, atol=1e-5)


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is a disk without room")
def test_a_disk_without_room_is_told(encoder, talk, monkeypatch):
    monkeypatch.setattr(spill.tempfile, "SpooledTemporaryFile", lambda **_: io.FileIO("/dev/full", "r+"))
    with encoder.network.in_pieces(piece=100) as piecewise, pytest.raises(AcanetError, match="TMPDIR"):
        piecewise.feed(talk)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
@pytest.mark.parametrize(
    ("heard", "few", "many"),
    [
        pytest.param("encoder.embed(recording)", 10, 20, id="file", marks=pytest.mark.slow),
        pytest.param("fed(recording)", 3, 10, id="stream"),
    ],
)
def test_more_minutes_take_no_more_memory(heard, few, many, tmp_path):
    """In pieces, in one process: samples, features and frames of seven more minutes would be 70 MB, and the work 400.

    Before, the few minutes are heard twice, as the allocator takes 25 MB more at its second turn, or later.
    """
    script = f"""
        import numpy as np
        import soundfile
        from pathlib import Path
        from acanet import Encoder
        from acanet.data.synthetic import SyntheticVoice, synthesise

        def fed(recording):
            with encoder.stream(memory=2**20) as stream, soundfile.SoundFile(recording) as file:
                while len(samples := file.read(16000, dtype="float32")):
                    stream.feed(samples)
                stream.embedding()

        encoder = Encoder.load()
        talk = np.concatenate([synthesise(SyntheticVoice.draw(5, n), 6.0, [5, n]) for n in range(3)])
        peaks = []
        for minutes in ({few}, {many}):
            recording = f"{{minutes}}.wav"
            with soundfile.SoundFile(recording, "w", 16000, 1) as file:
                for _ in range(0, minutes * 60, 18):
                    file.write(talk)
        for minutes in ({few}, {few}, {few}, {many}):
            recording = f"{{minutes}}.wav"
            {heard}
            peaks.append(int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]))
        print(peaks[-1] - peaks[-2])
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert int(done.stdout) < 36 * 1024
