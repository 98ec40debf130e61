"""Recordings -> embeddings: the same for a path, bytes and an array, alone and in company."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from acanet import encoder as module
from acanet.audio import sources
from acanet.encoder import Encoder
from acanet.errors import AcanetError, BadAudio, ModelMismatch, NoSpeech, NotCalibrated, TooShort
from acanet.models.registry import model_names
from acanet.runtime.bundle import BUNDLES, TRAINABLE, Bundle, write_bundle
from acanet.speech.detector import find_speech

RATE = 16000


@pytest.fixture(scope="module")
def encoder(tiny_bundle):
    return Encoder.load(tiny_bundle)


@pytest.fixture(scope="module")
def recordings(voices):
    return [voices / speaker / f"00{take}.wav" for speaker in ("s000", "s001", "s004") for take in (0, 1)]


def samples(path):
    return soundfile.read(path, dtype="float32")[0]


def test_an_embedding_is_float32_of_unit_length(encoder, recordings):
    embedding = encoder.embed(recordings[0])
    assert (embedding.dtype, embedding.shape) == (np.float32, (16,))
    assert encoder.dim == 16
    assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-6)


def test_path_bytes_and_array_give_the_same_embedding(encoder, recordings):
    path = recordings[0]
    expected = encoder.embed(path)
    pcm = soundfile.read(path, dtype="int16")[0]
    for source in (str(path), path.read_bytes(), samples(path), pcm, np.stack([samples(path)] * 2)):
        np.testing.assert_array_equal(encoder.embed(source), expected)


def test_an_array_has_the_rate_that_is_said(encoder, recordings):
    waveform = samples(recordings[0])
    np.testing.assert_array_equal(encoder.embed(waveform, rate=RATE), encoder.embed(waveform))
    assert np.abs(encoder.embed(waveform, rate=RATE * 3 // 2) - encoder.embed(waveform)).max() > 1e-3


def test_alone_and_in_a_batch_of_mixed_lengths(encoder, recordings):
    waveforms = [samples(path)[: 9000 + 4001 * i] for i, path in enumerate(recordings)]
    together = encoder.embed_waveforms(waveforms)
    alone = np.stack([encoder.embed_waveforms([waveform])[0] for waveform in waveforms])
    assert len({len(waveform) for waveform in waveforms}) == len(waveforms)
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)
    np.testing.assert_allclose(encoder.embed_waveforms(waveforms[::-1]), alone[::-1], rtol=0, atol=1e-5)


def test_two_loads_embed_alike(encoder, tiny_bundle, recordings):
    again = Encoder.load(str(tiny_bundle))
    for _ in range(2):
        np.testing.assert_array_equal(again.embed(recordings[1]), encoder.embed(recordings[1]))
    assert again.fingerprint == encoder.fingerprint


def test_trimming_embeds_speech_only(tiny_bundle, recordings):
    plain, trimming = Encoder.load(tiny_bundle), Encoder.load(tiny_bundle, trim=True)
    waveform = samples(recordings[0])
    silence = np.zeros(2 * RATE, dtype=np.float32)
    padded = np.concatenate([silence, waveform, silence, silence])
    speech = find_speech(padded, RATE).trim(padded, RATE)
    assert len(speech) < len(padded) - 4 * RATE
    np.testing.assert_array_equal(trimming.embed(padded), plain.embed_waveforms([speech])[0])
    assert trimming.embed(padded) @ trimming.embed(waveform) > plain.embed(padded) @ plain.embed(waveform)
    assert trimming.fingerprint != plain.fingerprint
    assert trimming.fingerprint == Encoder.load(tiny_bundle, trim=True).fingerprint
    with pytest.raises(NoSpeech):
        trimming.embed(silence)
    (from_many,) = trimming.embed_many([padded])
    np.testing.assert_allclose(from_many, trimming.embed(padded), atol=1e-5)


def test_a_model_that_was_changed_is_not_run(tmp_path):
    """Its scores would look like any others."""
    folder = tmp_path / "changed"
    shutil.copytree(BUNDLES / "default", folder)
    with (folder / "weights.bin").open("r+b") as file:
        file.seek(5_000_003)
        byte = file.read(1)
        file.seek(5_000_003)
        file.write(bytes([byte[0] ^ 0x40]))
    with pytest.raises(AcanetError, match=r"weights\.bin: the model is damaged"):
        Encoder.load(folder)


@pytest.mark.parametrize("threshold", [-3.0, 1.5, float("nan")])
def test_an_impossible_threshold_is_refused(encoder, recordings, threshold):
    with pytest.raises(AcanetError, match="a cosine, from -1 to 1, is expected"):
        encoder.verify(recordings[0], recordings[1], threshold=threshold)


def test_what_cannot_be_asked_of_an_encoder(encoder, tiny_bundle):
    with pytest.raises(AcanetError, match="threads is 0"):
        Encoder.load(tiny_bundle, threads=0)
    with pytest.raises(AcanetError, match="no list of recordings; `embed` takes one"):
        list(encoder.embed_many("enrolment.wav"))


def test_verify_is_the_cosine_and_symmetric(encoder, recordings):
    one, other = recordings[0], recordings[2]
    score = encoder.verify(one, other).score
    assert score == pytest.approx(float(encoder.embed(one) @ encoder.embed(other)), abs=1e-6)
    assert score == encoder.verify(other, one).score
    assert score < 0.99999


def test_a_recording_is_like_itself(encoder, recordings):
    result = encoder.verify(recordings[0], recordings[0].read_bytes(), threshold=0.999)
    assert result.score == pytest.approx(1, abs=1e-6)
    assert result.score <= 1
    assert result.same


def test_a_decision_needs_a_threshold(encoder, recordings):
    undecided = encoder.verify(recordings[0], recordings[2])
    with pytest.raises(NotCalibrated, match="--threshold"):
        bool(undecided.same)
    score = undecided.score
    assert encoder.verify(recordings[0], recordings[2], threshold=score).same
    assert not encoder.verify(recordings[0], recordings[2], threshold=float(np.nextafter(score, 2))).same


@pytest.mark.parametrize(
    ("source", "error", "named"),
    [
        (np.zeros(2 * RATE, np.float32), NoSpeech, r"<array \(32000,\)>: no speech in 2\.00 s"),
        (np.random.default_rng(0).normal(0, 0.1, 2 * RATE).astype(np.float32), NoSpeech, "no speech"),
        (np.random.default_rng(0).normal(0, 0.1, 800), TooShort, r"0\.05 s of speech, at least 0\.50 s"),
        (np.full(RATE, np.nan, np.float32), BadAudio, "array"),
        (np.zeros(0, np.float32), BadAudio, "array"),
        (np.array(["speech"]), BadAudio, "array"),
        (b"RIFF", BadAudio, "bytes, 4"),
        ("nowhere.wav", BadAudio, r"nowhere\.wav"),
    ],
    ids=["silence", "noise", "0.05 s", "NaN", "empty", "text", "cut off", "missing"],
)
def test_what_has_no_embedding_says_why(encoder, source, error, named):
    with pytest.raises(error, match=named):
        encoder.embed(source)
    with pytest.raises(error, match=named):
        encoder.verify(source, source, threshold=-1.0)


def test_many_recordings_are_embedded_as_each_alone(recordings):
    shipped = Encoder.load()
    sources = [*recordings, recordings[0].read_bytes(), samples(recordings[1])]
    found = list(shipped.embed_many(sources))
    expected = [shipped.embed(source) for source in sources]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    for workers in (1, 5):
        np.testing.assert_allclose(list(shipped.embed_many(sources, workers=workers)), expected, rtol=0, atol=1e-5)
    assert list(shipped.embed_many([])) == []


def test_a_recording_is_opened_once(recordings, tmp_path, monkeypatch):
    """However long it is, and whatever is asked of it."""
    shipped, opened, open_ = Encoder.load(), [], sources._open
    monkeypatch.setattr(sources, "_open", lambda path, name: opened.append(Path(path)) or open_(path, name))
    long = tmp_path / "long.wav"
    soundfile.write(long, np.tile(samples(recordings[0]), 40), RATE)
    for path in (recordings[0], long):
        for use in (
            shipped.embed,
            shipped.hear,
            lambda path: list(shipped.embed_many([path])),
            lambda path: shipped.embed_windows(path, 1.0, 1.0),
            Encoder.load(trim=True).embed,
        ):
            use(path)
            assert opened == [path]
            opened.clear()
    shipped.verify(recordings[0], long)
    assert opened == [recordings[0], long]


def test_a_recording_that_was_fed_to_its_end(recordings):
    shipped = Encoder.load()
    with shipped.recording(recordings[0]) as recording:
        np.testing.assert_array_equal(recording.waveform, samples(recordings[0]))
        assert recording.samples == len(recording.waveform) == recording.seconds * RATE
        np.testing.assert_array_equal(np.concatenate(list(recording.blocks())), recording.waveform)
        assert recording.speech() == find_speech(recording.waveform, RATE)
        np.testing.assert_array_equal(recording.embedding(), shipped.embed(recordings[0]))
    with pytest.raises(AcanetError, match="is closed"):
        recording.speech()
    with shipped.recording(recordings[0], start=0.5, duration=0.25) as piece:
        np.testing.assert_array_equal(piece.waveform, samples(recordings[0])[8000:12000])


def test_an_error_takes_the_place_of_its_recording(recordings):
    shipped = Encoder.load()
    silence = np.zeros(2 * RATE, np.float32)
    first, missing, nobody, last = shipped.embed_many([recordings[0], "nowhere.wav", silence, recordings[1]])
    np.testing.assert_allclose([first, last], [shipped.embed(path) for path in recordings[:2]], rtol=0, atol=1e-5)
    assert isinstance(missing, BadAudio)
    assert "nowhere.wav" in str(missing)
    assert isinstance(nobody, NoSpeech)


def test_few_recordings_are_decoded_ahead(recordings, monkeypatch):
    shipped, begun, largest = Encoder.load(), [], []
    embed_waveforms = shipped.embed_waveforms
    monkeypatch.setattr(module, "_GROUP_SECONDS", 4.0)
    monkeypatch.setattr(shipped, "embed_waveforms", lambda given: largest.append(len(given)) or embed_waveforms(given))

    def endless():
        while True:
            begun.append(None)
            yield recordings[len(begun) % len(recordings)]

    found = shipped.embed_many(endless(), workers=2)
    for _ in range(20):
        next(found)
    found.close()
    assert max(largest) <= 3  # 4 s are reached with the third recording of 1.6 s or more
    assert len(begun) <= 20 + 3 + 8


@pytest.mark.parametrize("source", ["path", "bytes", "array"])
def test_torch_and_onnx_agree(source, recordings):
    given = {"path": recordings[0], "bytes": recordings[0].read_bytes(), "array": samples(recordings[0])}[source]
    plain = Encoder.load(TRAINABLE / "default")
    np.testing.assert_allclose(Encoder.load().embed(given), plain.embed(given), rtol=0, atol=1e-5)
    np.testing.assert_allclose(Encoder.load(threads=2).embed(given), plain.embed(given), rtol=0, atol=1e-5)
    assert plain.fingerprint == Encoder.load().fingerprint


def test_threads_and_device_of_torch(tiny_bundle):
    import torch

    before = torch.get_num_threads()
    try:
        Encoder.load(tiny_bundle, threads=1)
        assert torch.get_num_threads() == 1
        Encoder.load(tiny_bundle)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    with pytest.raises(AcanetError, match="unknown device 'tpu'"):
        Encoder.load(tiny_bundle, device="tpu")
    if not torch.cuda.is_available():
        with pytest.raises(AcanetError, match="device cuda: torch finds none"):
            Encoder.load(tiny_bundle, device="cuda")


def test_an_encoder_tells_what_it_is(encoder, tiny_bundle):
    assert encoder.name == "acanet-local"
    assert encoder.name in model_names()
    assert (encoder.rate, encoder.needed_seconds) == (RATE, 0.5)
    assert encoder.training_speakers == {"zoe"}
    assert encoder.training_audio == {"00ff"}
    assert encoder.fingerprint == Bundle.load(tiny_bundle).fingerprint


def test_a_model_with_other_needs(tiny_bundle, tmp_path, recordings):
    bundle = Bundle.load(tiny_bundle)
    config = bundle.config.model_copy(update={"needed_speech_seconds": 30.0})
    write_bundle(tmp_path / "strict", config, bundle.weights(), bundle.provenance, "")
    with pytest.raises(TooShort, match=r"at least 30\.00 s"):
        Encoder.load(tmp_path / "strict").embed(recordings[0])


def test_weights_of_another_size_are_refused(tiny_bundle, tmp_path):
    bundle = Bundle.load(tiny_bundle)
    weights = bundle.weights()
    weights["aggregator.latents"] = weights["aggregator.latents"][:2]
    write_bundle(tmp_path / "cut", bundle.config, weights, bundle.provenance, "")
    with pytest.raises(ModelMismatch, match=r"aggregator\.latents"):
        Encoder.load(tmp_path / "cut")


@pytest.mark.parametrize("damage", ["cut off", "gone"])
def test_damaged_weights_are_named(tiny_bundle, tmp_path, damage):
    folder = shutil.copytree(tiny_bundle, tmp_path / "damaged")
    path = folder / "model.safetensors"
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(AcanetError, match=r"model\.safetensors: "):
        Encoder.load(folder)
