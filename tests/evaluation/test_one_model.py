from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from acanet.audio.recording import content_hash, read_audio
from acanet.data.lists import recording
from acanet.errors import BadAudio, BadTrials, SeenInTraining, TooShort
from acanet.evaluation import embedding
from acanet.evaluation.one_model import evaluate_model
from acanet.evaluation.report.report_folder import summary
from support.embedders import Spectrum

RATE = 8000
PITCH = {"anna": 300, "bo": 700, "cleo": 1100, "dan": 1500}
LIST = "test.trials"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Four speakers with three tones each, of different lengths, a manifest, and all pairs as trials."""
    generator = np.random.default_rng(0)
    manifest, names = [], []
    for speaker, pitch in PITCH.items():
        (tmp_path / speaker).mkdir()
        for take in range(3):
            name = f"{speaker}/{take}.wav"
            time = np.arange(round(RATE * generator.uniform(0.1, 0.5))) / RATE
            wave = 0.3 * np.sin(2 * np.pi * (pitch + 30 * take) * time) + 0.01 * generator.normal(size=len(time))
            soundfile.write(tmp_path / name, wave, RATE, subtype="PCM_16")
            manifest.append(json.dumps({"path": name, "speaker": speaker}))
            names.append(name)
    (tmp_path / "test.jsonl").write_text("\n".join(manifest))
    pairs = [(a, b) for index, a in enumerate(names) for b in names[index + 1 :]]
    lines = [f"{a.split('/')[0] == b.split('/')[0]:d} {a} {b}" for a, b in pairs]
    (tmp_path / LIST).write_text("\n".join(lines) + "\n")
    return tmp_path


def test_the_card_says_what_was_done(corpus: Path) -> None:
    encoder = Spectrum()
    result = evaluate_model(encoder, corpus / LIST, manifest=corpus / "test.jsonl", replicates=20, seed=5)
    card = result.card
    assert (card.model, card.fingerprint, card.trial_list) == ("spectrum", encoder.fingerprint, LIST)
    assert card.trial_list_sha256 == hashlib.sha256((corpus / LIST).read_bytes()).hexdigest()
    counts = card.counts
    assert (counts.trials, counts.targets, counts.nontargets) == (66, 12, 54)
    assert (counts.utterances, counts.speakers) == (12, 4)
    assert (card.speakers_from, card.scoring, card.seen) == ("manifest", "cosine", False)
    assert (card.replicates, card.seed) == (20, 5)
    assert card.eer.value == 0 == card.figures["min_dcf(0.01)"].value
    assert card.audio_hours * 3600 * RATE == pytest.approx(sum(map(len, encoder.heard)))
    assert {"acanet", "python", "numpy"} <= card.versions.keys()


def test_each_score_is_that_of_its_own_pair(corpus: Path) -> None:
    encoder = Spectrum()
    result = evaluate_model(encoder, corpus / LIST, manifest=corpus / "test.jsonl", replicates=5)
    for row in (0, 7, 40, 65):
        one, other = (result.trials.names[side[row]] for side in (result.trials.enrol, result.trials.test))
        a, b = encoder.embed_waveforms([read_audio(corpus / one)[0], read_audio(corpus / other)[0]])
        assert result.scores[row] == pytest.approx(float(a @ b), abs=1e-6)


def test_an_audio_root_gives_the_same_figures(corpus: Path) -> None:
    known = evaluate_model(Spectrum(), corpus / LIST, manifest=corpus / "test.jsonl", replicates=20)
    guessed = evaluate_model(Spectrum(), corpus / LIST, audio_root=corpus, replicates=20)
    assert guessed.card.speakers_from == "target trials"
    assert guessed.card.counts == known.card.counts
    assert guessed.card.eer == known.card.eer
    np.testing.assert_array_equal(guessed.scores, known.scores)


def test_every_utterance_is_embedded_once_in_bounded_batches(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Spectrum()
    monkeypatch.setattr(embedding, "BATCH_SECONDS", 1.0)
    evaluate_model(encoder, corpus / LIST, audio_root=corpus, replicates=5)
    lengths = [len(waveform) for waveform in encoder.heard]
    assert len(lengths) == 12
    assert lengths == sorted(lengths)
    assert len(encoder.batches) > 2
    assert all(sum(map(len, batch)) <= RATE for batch in encoder.batches)


def test_a_waveform_longer_than_a_batch_goes_alone() -> None:
    waves = [np.zeros(size, np.float32) for size in (3, 4, 20, 5, 5)]
    assert [[len(wave) for wave in batch] for batch in embedding._batches(waves, 10)] == [[3, 4], [20], [5, 5]]


def test_pieces_of_a_recording_at_another_rate(corpus: Path) -> None:
    encoder = Spectrum(rate=2 * RATE)
    entries = [
        {"id": "a1", "path": "anna/0.wav", "speaker": "anna", "duration": 0.05},
        {"id": "a2", "path": "anna/0.wav", "speaker": "anna", "start": 0.05, "duration": 0.03},
        {"id": "b1", "path": "bo/0.wav", "speaker": "bo", "start": 0.01, "duration": 0.04},
    ]
    (corpus / "cuts.jsonl").write_text("\n".join(map(json.dumps, entries)))
    (corpus / "cuts.trials").write_text("a1 a2 target\na1 b1 nontarget\n")
    evaluate_model(encoder, corpus / "cuts.trials", manifest=corpus / "cuts.jsonl", replicates=5)
    assert [[len(waveform) for waveform in batch] for batch in encoder.batches] == [[480, 640, 800]]


def test_speakers_of_the_training_are_refused_before_decoding(corpus: Path) -> None:
    for wav in corpus.glob("*/*.wav"):
        wav.write_bytes(b"not audio")
    encoder = Spectrum(training_speakers=frozenset({"bo", "anna", "zoe"}))
    with pytest.raises(SeenInTraining, match=r"2 speakers \(anna, bo\) of this trial list"):
        evaluate_model(encoder, corpus / LIST, manifest=corpus / "test.jsonl")


def test_audio_of_the_training_is_refused(corpus: Path) -> None:
    heard = content_hash(read_audio(corpus / "cleo/1.wav")[0])
    with pytest.raises(SeenInTraining, match=r"cleo/1\.wav"):
        evaluate_model(Spectrum(training_audio=frozenset({heard})), corpus / LIST, audio_root=corpus)


def test_seen_data_can_be_reported_and_the_card_says_so(corpus: Path) -> None:
    heard = content_hash(read_audio(corpus / "cleo/1.wav")[0])
    encoder = Spectrum(training_speakers=frozenset({"bo"}), training_audio=frozenset({heard}))
    card = evaluate_model(encoder, corpus / LIST, manifest=corpus / "test.jsonl", seen=True, replicates=5).card
    assert card.seen
    assert "seen: " in summary(card)[-1]


def test_unreadable_audio_is_named(corpus: Path) -> None:
    (corpus / "dan/2.wav").write_bytes(b"RIFF, or so it says")
    with pytest.raises(BadAudio, match=r"dan/2\.wav"):
        evaluate_model(Spectrum(), corpus / LIST, manifest=corpus / "test.jsonl")


def test_a_manifest_that_contradicts_the_list(corpus: Path) -> None:
    manifest = corpus / "test.jsonl"
    text = manifest.read_text().replace('"anna/1.wav", "speaker": "anna"', '"anna/1.wav", "speaker": "bo"')
    manifest.write_text(text)
    with pytest.raises(BadTrials, match=r"line 1: a target trial, but 'anna/0\.wav' and"):
        evaluate_model(Spectrum(), corpus / LIST, manifest=manifest)


def test_a_recording_too_short_for_the_model_is_named(corpus):
    encoder = Spectrum(needed_seconds=10.0)
    with pytest.raises(TooShort, match=r"\.wav: 0\.\d+ s of speech, at least 10\.00 s"):
        evaluate_model(encoder, corpus / LIST, manifest=corpus / "test.jsonl")


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), struct.error("odd"), MemoryError()])
def test_whatever_a_file_does_is_an_error_that_names_it(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def read(path: Path, **how: float) -> object:
        if path.parent.name == "cleo":
            raise error
        return read_audio(path, **how)

    monkeypatch.setattr(recording, "read_audio", read)
    with pytest.raises(BadAudio, match=rf"cleo/\d\.wav: cannot be read \({type(error).__name__}: "):
        evaluate_model(Spectrum(), corpus / LIST, audio_root=corpus)


@pytest.mark.parametrize("container", ["wav", "flac", "aiff"])
def test_a_copy_is_refused_as_compared_with_itself(corpus: Path, container: str) -> None:
    samples, rate = soundfile.read(corpus / "bo" / "1.wav", dtype="int16")
    soundfile.write(corpus / "bo" / f"copy.{container}", samples, rate, subtype="PCM_16")
    with (corpus / LIST).open("a") as file:
        file.write(f"1 bo/1.wav bo/copy.{container}\n")
    with pytest.raises(BadTrials, match=rf"test\.trials, line 67: 'bo/copy\.{container}' is compared with itself"):
        evaluate_model(Spectrum(), corpus / LIST, audio_root=corpus, replicates=5)


def test_what_is_only_alike_is_no_copy(corpus: Path) -> None:
    samples, rate = soundfile.read(corpus / "bo" / "1.wav", dtype="int16")
    samples[7] += 1
    soundfile.write(corpus / "bo" / "other.wav", samples, rate, subtype="PCM_16")
    with (corpus / LIST).open("a") as file:
        file.write("1 bo/1.wav bo/other.wav\n")
    assert len(evaluate_model(Spectrum(), corpus / LIST, audio_root=corpus, replicates=5).scores) == 67
