"""The models that ship: what their cards and the README say of them is so."""

from __future__ import annotations

import re

import pytest

from acanet import Encoder, SeenInTraining
from acanet.data.lists.manifest import read_manifest
from acanet.evaluation.one_model import evaluate_model
from acanet.runtime.bundle import BUNDLES, SHIPPED, TRAINABLE, Bundle
from support.paths import ROOT

MEGABYTE = 2**20
PROTOCOLS = "protocols/speechocean762"


@pytest.fixture(scope="module", params=SHIPPED)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def encoder(name):
    return Encoder.load(name)


@pytest.fixture(scope="module")
def card(name):
    """The text of the model card."""
    return (BUNDLES / name / "README.md").read_text("utf-8")


def published(card, trials):
    """EER and interval in per cent, as a model card has them for a trial list."""
    row = re.search(rf"\| `{trials}` \|.*?([\d.]+) \[([\d.]+), ([\d.]+)\]", card)
    return tuple(map(float, row.groups()))


def calibrated(card, trials):
    """The cells of a trial list in a card's table of calibration, without intervals."""
    (row,) = re.findall(rf"^\| `{trials}` \| (.*) \|$", card[card.index("## Calibration") :], re.MULTILINE)
    return [float(cell.split()[0]) for cell in row.split(" | ")]


def test_they_are_small_together():
    files = [file for name in SHIPPED for file in (BUNDLES / name).iterdir()]
    assert sum(file.stat().st_size for file in files) < 20 * MEGABYTE


def test_it_is_complete(name, encoder, card):
    graphs = {f"{stage}.onnx" for stage in encoder.bundle.graphs.stages}
    assert {file.name for file in (BUNDLES / name).iterdir()} == graphs | {
        "README.md",
        "calibration.json",
        "config.json",
        "golden.npz",
        "provenance.json",
        "weights.bin",
    }
    assert encoder.fingerprint in card
    assert "CC BY 4.0" in card
    for limit in ("spoofing", "small training set"):
        assert limit in card.lower()


def test_its_torch_form_is_the_same_model(name, encoder, card):
    shipped, plain = encoder.bundle, Bundle.load(TRAINABLE / name)
    assert shipped.fingerprint == plain.fingerprint
    assert shipped.provenance == plain.provenance
    assert shipped.calibration == plain.calibration
    assert card.startswith((TRAINABLE / name / "README.md").read_text("utf-8"))


def test_its_card_tells_its_calibration(encoder, card):
    made = encoder.calibration
    assert made is not None
    data, threshold, cosine = made.data, made.threshold, made.whole_threshold
    assert f"{data.speakers} speakers of speechocean762, {data.utterances} utterances" in " ".join(card.split())
    assert f"{data.targets + data.nontargets:,} trials" in card
    assert f"{threshold.value:.2f} [{threshold.low:.2f}, {threshold.high:.2f}]" in card
    assert f"{cosine.value:.3f} [{cosine.low:.3f}, {cosine.high:.3f}] at {made.whole_speech:.1f} s" in card
    (row,) = (line for line in card.splitlines() if line.startswith("| `dev.trials`, crops"))
    for cell, name in zip(row.split(" | ")[1:5], ("cllr", "min_cllr", "act_dcf(0.01)", "act_dcf(0.05)"), strict=True):
        figure = made.figures[name]
        assert cell == f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"


def test_its_card_tells_the_cosine_at_other_lengths(encoder, card):
    made = encoder.calibration
    table = card[card.index("| speech on both sides") :].splitlines()
    lengths, cosines = ([re.findall(r"[\d.]+", cell) for cell in table[line].split("|")[2:-1]] for line in (0, 2))
    assert len(lengths) == len(cosines) == 8
    ends = {0: made.ratio.shortest, 7: made.ratio.longest}
    for place, ((length,), (cosine,)) in enumerate(zip(lengths, cosines, strict=True)):
        seconds = ends.get(place, float(length))
        assert seconds == pytest.approx(float(length), abs=0.05)
        assert f"{made.ratio.score(made.threshold.value, seconds, seconds):.3f}" == cosine


def test_it_says_whom_it_heard(encoder):
    provenance = encoder.bundle.provenance
    assert len(provenance.speakers) == 417
    assert len(provenance.audio) >= 4000


def test_it_tells_synthetic_voices_apart(encoder, voices):
    one, other = sorted(path for path in voices.iterdir() if path.is_dir())[:2]
    first, second = sorted(one.iterdir())[:2]
    assert encoder.verify(first, second).score > encoder.verify(first, sorted(other.iterdir())[0]).score


@pytest.mark.parametrize("trials", ["test.trials", "test.hard.trials"])
def test_the_readme_and_the_card_agree(card, trials):
    eer, low, high = published(card, trials)
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
        evaluate_model(encoder, trials, manifest=manifest)
    with pytest.raises(SeenInTraining, match="opus"):
        evaluate_model(encoder, trials, audio_root=shared / "data")


@pytest.mark.slow
@pytest.mark.speech
@pytest.mark.parametrize("trials", ["test.trials", "test.hard.trials"])
def test_its_published_figures_are_reproduced(shared, encoder, card, trials):
    eer, low, high = published(card, trials)
    result = evaluate_model(encoder, shared / PROTOCOLS / trials, audio_root=shared / "data")
    measured, target = result.card, result.trials.target
    assert 100 * measured.eer.value == pytest.approx(eer, abs=0.02)
    assert 100 * measured.eer.low == pytest.approx(low, abs=0.05)
    assert 100 * measured.eer.high == pytest.approx(high, abs=0.05)
    accepted = result.llrs >= encoder.calibration.threshold.value
    names = ("cllr", "min_cllr", "act_dcf(0.01)", "act_dcf(0.05)")
    *figures, false_accepts, false_rejects = calibrated(card, trials)
    assert [measured.figures[name].value for name in names] == pytest.approx(figures, abs=0.005)
    assert 100 * accepted[~target].mean() == pytest.approx(false_accepts, abs=0.1)
    assert 100 * (~accepted[target]).mean() == pytest.approx(false_rejects, abs=0.1)
