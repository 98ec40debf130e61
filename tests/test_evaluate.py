from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from acanet.audio import Waveform, content_hash, decode
from acanet.errors import BadAudio, BadTrials, SeenInTraining, TooShort
from acanet.evaluation import evaluate as module
from acanet.evaluation.evaluate import evaluate
from acanet.evaluation.metrics import error_rates
from acanet.evaluation.plots import det_curve_png, histogram_png
from acanet.evaluation.report import Card, summary, write_report

RATE = 8000
PITCH = {"anna": 300, "bo": 700, "cleo": 1100, "dan": 1500}
LIST = "test.trials"


@dataclass(frozen=True)
class Spectrum:
    """An embedder without weights: the energy in 40 bands of 100 Hz."""

    name: str = "spectrum"
    rate: int = RATE
    needed_seconds: float = 0.02
    fingerprint: str = "0123456789abcdef"
    training_speakers: frozenset[str] = frozenset()
    training_audio: frozenset[str] = frozenset()
    batches: list[list[int]] = field(default_factory=list)

    def embed_waveforms(self, waveforms: list[Waveform]) -> NDArray[np.float32]:
        self.batches.append([len(waveform) for waveform in waveforms])
        bands = [np.abs(np.fft.rfft(waveform, 80))[:40] for waveform in waveforms]
        return np.array([band / np.linalg.norm(band) for band in bands], np.float32)


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
    result = evaluate(encoder, corpus / LIST, manifest=corpus / "test.jsonl", replicates=20, seed=5)
    card = result.card
    assert (card.model, card.fingerprint, card.trial_list) == ("spectrum", encoder.fingerprint, LIST)
    assert card.trial_list_sha256 == hashlib.sha256((corpus / LIST).read_bytes()).hexdigest()
    counts = card.counts
    assert (counts.trials, counts.targets, counts.nontargets) == (66, 12, 54)
    assert (counts.utterances, counts.speakers) == (12, 4)
    assert (card.speakers_from, card.scoring, card.seen) == ("manifest", "cosine", False)
    assert (card.replicates, card.seed) == (20, 5)
    assert card.eer.value == 0 == card.min_dcf_001.value
    assert card.audio_hours * 3600 * RATE == pytest.approx(sum(sum(batch) for batch in encoder.batches))
    assert {"acanet", "python", "numpy"} <= card.versions.keys()


def test_each_score_is_that_of_its_own_pair(corpus: Path) -> None:
    encoder = Spectrum()
    result = evaluate(encoder, corpus / LIST, manifest=corpus / "test.jsonl", replicates=5)
    for row in (0, 7, 40, 65):
        one, other = (result.trials.names[side[row]] for side in (result.trials.enrol, result.trials.test))
        a, b = encoder.embed_waveforms([decode(corpus / one)[0], decode(corpus / other)[0]])
        assert result.scores[row] == pytest.approx(float(a @ b), abs=1e-6)


def test_an_audio_root_gives_the_same_figures(corpus: Path) -> None:
    known = evaluate(Spectrum(), corpus / LIST, manifest=corpus / "test.jsonl", replicates=20)
    guessed = evaluate(Spectrum(), corpus / LIST, audio_root=corpus, replicates=20)
    assert guessed.card.speakers_from == "target trials"
    assert guessed.card.counts == known.card.counts
    assert guessed.card.eer == known.card.eer
    np.testing.assert_array_equal(guessed.scores, known.scores)


def test_every_utterance_is_embedded_once_in_bounded_batches(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Spectrum()
    monkeypatch.setattr(module, "BATCH_SECONDS", 1.0)
    evaluate(encoder, corpus / LIST, audio_root=corpus, replicates=5)
    lengths = [length for batch in encoder.batches for length in batch]
    assert len(lengths) == 12
    assert lengths == sorted(lengths)
    assert len(encoder.batches) > 2
    assert all(sum(batch) <= RATE for batch in encoder.batches)


def test_a_waveform_longer_than_a_batch_goes_alone() -> None:
    waves = [np.zeros(size, np.float32) for size in (3, 4, 20, 5, 5)]
    assert [[len(wave) for wave in batch] for batch in module._batches(waves, 10)] == [[3, 4], [20], [5, 5]]


def test_pieces_of_a_recording_at_another_rate(corpus: Path) -> None:
    encoder = Spectrum(rate=2 * RATE)
    entries = [
        {"id": "a1", "path": "anna/0.wav", "speaker": "anna", "duration": 0.05},
        {"id": "a2", "path": "anna/0.wav", "speaker": "anna", "start": 0.05, "duration": 0.03},
        {"id": "b1", "path": "bo/0.wav", "speaker": "bo", "start": 0.01, "duration": 0.04},
    ]
    (corpus / "cuts.jsonl").write_text("\n".join(map(json.dumps, entries)))
    (corpus / "cuts.trials").write_text("a1 a2 target\na1 b1 nontarget\n")
    evaluate(encoder, corpus / "cuts.trials", manifest=corpus / "cuts.jsonl", replicates=5)
    assert encoder.batches == [[480, 640, 800]]


def test_speakers_of_the_training_are_refused_before_decoding(corpus: Path) -> None:
    for wav in corpus.glob("*/*.wav"):
        wav.write_bytes(b"not audio")
    encoder = Spectrum(training_speakers=frozenset({"bo", "anna", "zoe"}))
    with pytest.raises(SeenInTraining, match=r"2 speakers \(anna, bo\) of this trial list"):
        evaluate(encoder, corpus / LIST, manifest=corpus / "test.jsonl")


def test_audio_of_the_training_is_refused(corpus: Path) -> None:
    heard = content_hash(decode(corpus / "cleo/1.wav")[0])
    with pytest.raises(SeenInTraining, match=r"cleo/1\.wav"):
        evaluate(Spectrum(training_audio=frozenset({heard})), corpus / LIST, audio_root=corpus)


def test_seen_data_can_be_reported_and_the_card_says_so(corpus: Path) -> None:
    heard = content_hash(decode(corpus / "cleo/1.wav")[0])
    encoder = Spectrum(training_speakers=frozenset({"bo"}), training_audio=frozenset({heard}))
    card = evaluate(encoder, corpus / LIST, manifest=corpus / "test.jsonl", seen=True, replicates=5).card
    assert card.seen
    assert "seen: " in summary(card)[-1]


def test_unreadable_audio_is_named(corpus: Path) -> None:
    (corpus / "dan/2.wav").write_bytes(b"RIFF, or so it says")
    with pytest.raises(BadAudio, match=r"dan/2\.wav"):
        evaluate(Spectrum(), corpus / LIST, manifest=corpus / "test.jsonl")


def test_a_manifest_that_contradicts_the_list(corpus: Path) -> None:
    manifest = corpus / "test.jsonl"
    text = manifest.read_text().replace('"anna/1.wav", "speaker": "anna"', '"anna/1.wav", "speaker": "bo"')
    manifest.write_text(text)
    with pytest.raises(BadTrials, match=r"line 1: a target trial, but 'anna/0\.wav' and"):
        evaluate(Spectrum(), corpus / LIST, manifest=manifest)


def test_the_report_is_complete_and_reads_back(corpus: Path) -> None:
    result = evaluate(Spectrum(), corpus / LIST, manifest=corpus / "test.jsonl", replicates=5)
    folder = corpus / "results" / "spectrum"
    for _ in range(2):  # the second replaces the first
        write_report(folder, result)
    assert sorted(file.name for file in folder.iterdir()) == [
        "card.json",
        "det.png",
        "histogram.png",
        "scores.txt.gz",
    ]
    assert Card.parse(json.loads((folder / "card.json").read_text()), "card.json") == result.card
    lines = gzip.decompress((folder / "scores.txt.gz").read_bytes()).decode().splitlines()
    assert [line.rpartition(" ")[0] for line in lines] == (corpus / LIST).read_text().splitlines()
    scores = np.array([line.rpartition(" ")[2] for line in lines], np.float64).astype(np.float32)
    np.testing.assert_array_equal(scores, result.scores)
    for picture in ("det.png", "histogram.png"):
        assert (folder / picture).read_bytes().startswith(b"\x89PNG")


def test_a_report_that_fails_leaves_nothing_new(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = evaluate(Spectrum(), corpus / LIST, audio_root=corpus, replicates=5)
    monkeypatch.setattr("acanet.evaluation.report.histogram_png", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_report(corpus / "results", result)
    assert list((corpus / "results").iterdir()) == []


def test_the_summary_is_in_per_cent_with_intervals(corpus: Path) -> None:
    card = evaluate(Spectrum(), corpus / LIST, audio_root=corpus, replicates=5).card
    eer = card.eer.model_copy(update={"value": 0.0512, "low": 0.042, "high": 0.061})
    text = "\n".join(summary(card.model_copy(update={"eer": eer})))
    assert "EER          5.12 % [4.20, 6.10]" in text
    assert "minDCF(0.01) 0.000 [0.000, 0.000]" in text
    assert "66 (12 target, 54 nontarget) of 12 utterances, 4 speakers (from the target trials)" in text


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scores", [[0.1, 0.2, 0.8, 0.9], [0.9, 0.8, 0.2, 0.1], [0.5, 0.5, 0.5, 0.5]])
def test_pictures_of_extreme_scores(tmp_path: Path, scores: list[float]) -> None:
    values, target = np.array(scores, np.float32), np.array([False, False, True, True])
    _, fmr, fnmr = error_rates(values, target)
    det_curve_png(tmp_path / "det.png", {"extreme": (fmr, fnmr)})
    histogram_png(tmp_path / "histogram.png", values, target, 0.5)
    assert {file.name for file in tmp_path.iterdir()} == {"det.png", "histogram.png"}


def test_a_recording_too_short_for_the_model_is_named(corpus):
    encoder = Spectrum(needed_seconds=10.0)
    with pytest.raises(TooShort, match=r"\.wav: 0\.\d+ s of speech, at least 10\.00 s"):
        evaluate(encoder, corpus / LIST, manifest=corpus / "test.jsonl")
