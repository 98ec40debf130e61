"""The model that ships: what its card and the README say of it is so."""

from __future__ import annotations

import re

import pytest

from acanet import Encoder, SeenInTraining
from acanet.bundle import DEFAULT, DEFAULT_TRAINABLE, Bundle
from acanet.data.manifest import read_manifest
from acanet.evaluation.evaluate import evaluate
from conftest import ROOT

MEGABYTE = 2**20
PROTOCOLS = "protocols/speechocean762"


@pytest.fixture(scope="module")
def encoder():
    return Encoder.load()


def published(trials):
    """EER and interval in per cent, as the bundle's card has them for a trial list."""
    row = re.search(rf"\| `{trials}` \|.*?([\d.]+) \[([\d.]+), ([\d.]+)\]", (DEFAULT / "README.md").read_text("utf-8"))
    return tuple(map(float, row.groups()))


def test_it_is_small_and_complete():
    assert sum(file.stat().st_size for file in DEFAULT.iterdir()) < 20 * MEGABYTE
    graphs = {f"{stage}.onnx" for stage in Bundle.load().graphs.stages}
    assert {file.name for file in DEFAULT.iterdir()} == graphs | {
        "README.md",
        "config.json",
        "golden.npz",
        "provenance.json",
        "weights.bin",
    }
    card = (DEFAULT / "README.md").read_text("utf-8")
    assert Bundle.load().fingerprint in card
    assert "CC BY 4.0" in card
    for limit in ("spoofing", "small training set"):
        assert limit in card.lower()


def test_its_torch_form_is_the_same_model():
    shipped, plain = Bundle.load(), Bundle.load(DEFAULT_TRAINABLE)
    assert shipped.fingerprint == plain.fingerprint
    assert shipped.provenance == plain.provenance
    assert (DEFAULT / "README.md").read_text("utf-8").startswith((DEFAULT_TRAINABLE / "README.md").read_text("utf-8"))


def test_it_says_whom_it_heard():
    provenance = Bundle.load().provenance
    assert len(provenance.speakers) == 417
    assert len(provenance.audio) >= 4000


def test_it_tells_synthetic_voices_apart(encoder, voices):
    one, other = sorted(path for path in voices.iterdir() if path.is_dir())[:2]
    first, second = sorted(one.iterdir())[:2]
    assert encoder.verify(first, second).score > encoder.verify(first, sorted(other.iterdir())[0]).score


@pytest.mark.parametrize("trials", ["test.trials", "test.hard.trials"])
def test_the_readme_and_the_card_agree(trials):
    eer, low, high = published(trials)
    assert f"{eer:.2f} [{low:.2f}, {high:.2f}]" in (ROOT / "README.md").read_text("utf-8")


@pytest.mark.speech
def test_none_of_its_voices_is_in_dev_or_test(shared, encoder):
    for part in ("dev", "test"):
        speakers = {utterance.speaker for utterance in read_manifest(shared / f"data/speechocean762.{part}.jsonl")}
        assert not speakers & encoder.training_speakers


@pytest.mark.speech
def test_it_refuses_to_be_evaluated_on_its_training_speech(shared, encoder, tmp_path):
    manifest = shared / "data/speechocean762.train.jsonl"
    first, second = (utterance.id for utterance in read_manifest(manifest)[:2])
    last = read_manifest(manifest)[-1].id
    trials = tmp_path / "trials"
    trials.write_text(f"1 {first} {second}\n0 {first} {last}\n", encoding="utf-8")
    with pytest.raises(SeenInTraining, match="speakers"):
        evaluate(encoder, trials, manifest=manifest)
    with pytest.raises(SeenInTraining, match="opus"):
        evaluate(encoder, trials, audio_root=shared / "data")


@pytest.mark.slow
@pytest.mark.speech
@pytest.mark.parametrize("trials", ["test.trials", "test.hard.trials"])
def test_its_published_figures_are_reproduced(shared, encoder, trials):
    eer, low, high = published(trials)
    card = evaluate(encoder, shared / PROTOCOLS / trials, audio_root=shared / "data").card
    assert 100 * card.eer.value == pytest.approx(eer, abs=0.02)
    assert 100 * card.eer.low == pytest.approx(low, abs=0.05)
    assert 100 * card.eer.high == pytest.approx(high, abs=0.05)
