"""Conditions that are made: what happens to the audio, and that figures are those of the changed audio."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from acanet.data.augment import degrade
from acanet.data.augment.degrade import babble, babble_voices, crop, opus_line, room, telephone_line, white_noise
from acanet.data.augment.rooms import build_rooms
from acanet.data.lists.manifest import read_manifest
from acanet.errors import AcanetError, BadConfig, BadManifest
from acanet.evaluation.conditions import changes
from acanet.evaluation.conditions.breakdown import measure_conditions
from acanet.evaluation.conditions.rows import Bootstrap, Pairs, Resampled
from acanet.evaluation.conditions.tables import Condition, Conditions, Row
from acanet.evaluation.embedding import embed_utterances
from acanet.evaluation.figures.intervals import measure
from acanet.evaluation.figures.metrics import eer
from acanet.evaluation.one_model import evaluate_model
from acanet.scoring.measure import Measure
from support.embedders import Spectrum

RATE = 8000
PITCH = {"anna": 300, "bo": 340, "cleo": 380, "dan": 420, "eve": 1500, "finn": 1600}
REPLICATES = 20


def write_speakers(folder, pitches, takes=3, seed=0):
    """Tones in noise, 0.1 to 0.5 s, one folder a speaker, and a manifest that says who is a woman."""
    rng = np.random.default_rng(seed)
    entries = []
    for speaker, pitch in pitches.items():
        (folder / speaker).mkdir(parents=True)
        for take in range(takes):
            time = np.arange(round(RATE * rng.uniform(0.1, 0.5))) / RATE
            wave = 0.3 * np.sin(2 * np.pi * (pitch + 30 * take) * time) + 0.01 * rng.normal(size=len(time))
            soundfile.write(folder / speaker / f"{take}.wav", wave, RATE, subtype="PCM_16")
            entries.append({"path": f"{speaker}/{take}.wav", "speaker": speaker, "gender": "fm"[speaker[0] in "bdf"]})
    (folder / "list.jsonl").write_text("\n".join(map(json.dumps, entries)))
    return folder / "list.jsonl"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """Six speakers with three tones each, all pairs as trials, and six others to make babble of. Read only."""
    folder = tmp_path_factory.mktemp("tones")
    write_speakers(folder, PITCH)
    names = [f"{speaker}/{take}.wav" for speaker in PITCH for take in range(3)]
    pairs = [(a, b) for index, a in enumerate(names) for b in names[index + 1 :]]
    lines = [f"{a.split('/')[0] == b.split('/')[0]:d} {a} {b}" for a, b in pairs]
    (folder / "list.trials").write_text("\n".join(lines) + "\n")
    (folder / "shuffled.trials").write_text("\n".join(np.random.default_rng(1).permutation(lines)) + "\n")
    write_speakers(folder / "others", {f"other{pitch}": pitch for pitch in range(500, 1100, 100)}, takes=2, seed=1)
    return folder


@pytest.fixture(scope="module")
def voices(corpus, tmp_path_factory):
    return babble_voices(corpus / "others/list.jsonl", tmp_path_factory.mktemp("voices"), RATE, seed=0, without=())


def evaluated(corpus, encoder, trials="list.trials"):
    return evaluate_model(encoder, corpus / trials, manifest=corpus / "list.jsonl", replicates=REPLICATES)


def conditions(corpus, names, encoder=None, trials="list.trials", **how):
    encoder = encoder or Spectrum()
    result = evaluated(corpus, encoder, trials)
    encoder.batches.clear()
    return measure_conditions(encoder, result, names, replicates=REPLICATES, **how)


def speech(seconds=0.5, seed=0):
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(round(seconds * RATE)) * np.hanning(round(seconds * RATE))).astype(np.float32)


def snr_db(clean, noisy):
    noise = noisy.astype(np.float64) - clean
    return 10 * np.log10(np.mean(clean.astype(np.float64) ** 2) / np.mean(noise**2))


@given(st.sampled_from(changes.SNRS), st.floats(0.05, 3.0), st.integers(0, 5))
@settings(deadline=None, max_examples=20)
def test_noise_is_at_the_ratio_that_was_asked(ratio, seconds, seed):
    clean = speech(seconds, seed)
    assert snr_db(clean, white_noise(ratio)(clean, seed, "a")) == pytest.approx(ratio, abs=0.1)


@pytest.mark.parametrize("ratio", changes.SNRS)
def test_babble_is_at_the_ratio_that_was_asked(voices, ratio):
    clean = speech(2.0)
    assert snr_db(clean, babble(voices, ratio)(clean, 0, "a")) == pytest.approx(ratio, abs=0.1)


def test_white_noise_is_white():
    clean = speech(4.0)
    noise = white_noise(0)(clean, 0, "a") - clean
    power = np.abs(np.fft.rfft(noise)) ** 2
    low, high = power[: len(power) // 2].mean(), power[len(power) // 2 :].mean()
    assert low / high == pytest.approx(1, abs=0.05)


def test_levels_of_a_kind_share_their_draws():
    clean = speech()
    quiet, loud = (white_noise(ratio)(clean, 0, "a") - clean for ratio in (20, 0))
    np.testing.assert_allclose(10 * quiet, loud, atol=1e-5)
    long = crop(RATE, 0.3)(clean, 0, "a")
    assert len(long) == 2400
    assert len(crop(RATE, 0.1)(clean, 0, "a")) == 800


def test_every_utterance_seed_and_kind_has_draws_of_its_own(voices):
    clean = speech(1.0)
    made = [
        degradation(clean, seed, utterance) - clean
        for degradation in (white_noise(0), babble(voices, 0))
        for seed in (0, 1)
        for utterance in ("a", "b")
    ]
    for row, one in enumerate(made):
        for other in made[row + 1 :]:
            assert not np.allclose(one, other)
    np.testing.assert_array_equal(made[0], white_noise(0)(clean, 0, "a") - clean)


def test_silence_stays_silent(voices):
    silence = np.zeros(800, np.float32)
    for degradation in (white_noise(0), babble(voices, 0)):
        np.testing.assert_array_equal(degradation(silence, 0, "a"), silence)


def test_crops_are_pieces_from_all_over_the_utterance():
    ramp = np.arange(RATE, dtype=np.float32)
    starts = []
    for utterance in range(40):
        piece = crop(RATE, 0.25)(ramp, 0, str(utterance))
        assert len(piece) == RATE // 4
        np.testing.assert_array_equal(piece, np.arange(piece[0], piece[0] + len(piece)))
        starts.append(piece[0])
    assert min(starts) < 0.1 * RATE
    assert max(starts) > 0.65 * RATE


@pytest.mark.parametrize("seconds", [1.0, 3.0])
def test_an_utterance_that_is_not_longer_than_a_crop_is_taken_whole(seconds):
    wave = speech(1.0)
    np.testing.assert_array_equal(crop(RATE, seconds)(wave, 0, "a"), wave)


def test_lines_keep_the_length():
    wave = speech(0.3)
    for line in (telephone_line(RATE), opus_line(RATE, 8)):
        heard = line(wave, 0, "a")
        assert heard.shape == wave.shape
        assert not np.array_equal(heard, wave)


def test_each_utterance_has_its_room(tmp_path):
    pytest.importorskip("pyroomacoustics")
    bank = build_rooms(tmp_path, RATE, count=2, t60=(0.2, 0.3), seed=0, workers=1)
    click = np.zeros(2000, np.float32)
    click[0] = 1
    heard = {room(bank, "any")(click, 0, str(name)).tobytes() for name in range(12)}
    assert len(heard) == 2


def test_babble_is_of_others(corpus, tmp_path):
    listed = read_manifest(corpus / "list.jsonl")
    complaint = r"list\.jsonl: 18 of its utterances \(anna/0\.wav, .*, \.\.\.\) are of speakers of the trial list"
    with pytest.raises(BadManifest, match=complaint):
        babble_voices(corpus / "list.jsonl", tmp_path, RATE, seed=0, without=listed)
    renamed = tmp_path / "renamed.jsonl"
    renamed.write_text(json.dumps({"path": str(listed[0].path), "speaker": "someone else"}))
    with pytest.raises(BadManifest, match="1 of its utterances"):
        babble_voices(renamed, tmp_path, RATE, seed=0, without=listed)


def test_babble_needs_five_speakers(corpus, tmp_path):
    entries = (corpus / "others/list.jsonl").read_text().splitlines()[:8]
    (corpus / "others/few.jsonl").write_text("\n".join(entries))
    with pytest.raises(BadManifest, match="4 speakers; babble is 5 of them at once"):
        babble_voices(corpus / "others/few.jsonl", tmp_path, RATE, seed=0, without=())


def test_voices_are_one_stretch_a_speaker(corpus, voices, tmp_path, monkeypatch):
    assert len(voices) == 6
    monkeypatch.setattr(degrade, "POOL", 5)
    monkeypatch.setattr(degrade, "POOL_SECONDS", 0.05)
    few = babble_voices(corpus / "others/list.jsonl", tmp_path, RATE, seed=0, without=())
    assert [few.samples(voice) for voice in range(len(few))] == [400] * 5


def test_figures_are_those_of_the_changed_audio(corpus):
    encoder = Spectrum()
    result = evaluated(corpus, encoder)
    found = measure_conditions(encoder, result, ["noise"], replicates=REPLICATES, seed=3)
    ids = [utterance.id for utterance in result.sides.utterances]
    scorer, before = result.scorer, result.embedded.embeddings
    for number, ratio in enumerate(changes.SNRS):
        again = embed_utterances(
            encoder,
            result.sides.utterances,
            change=lambda wave, place, ratio=ratio: white_noise(ratio)(wave, 3, ids[place]),
        ).embeddings
        for row, scores in zip(
            found.rows[2 * number : 2 * number + 2], (scorer(before, again), scorer(again, again)), strict=True
        ):
            assert row.eer.value == eer(scores, result.trials.target)
            assert (row.trials, row.targets, row.speakers) == (153, 18, 6)
    assert [(row.group, row.side) for row in found.rows[:3]] == [
        ("20 dB", "test"),
        ("20 dB", "both"),
        ("10 dB", "test"),
    ]


def test_one_embedding_serves_both_sides(corpus):
    encoder = Spectrum()
    conditions(corpus, ["noise"], encoder)
    assert len(encoder.heard) == 4 * 18


def test_any_order_of_the_list_gives_the_same(corpus):
    names = ["noise", "crop", "gender"]
    one, other = conditions(corpus, names), conditions(corpus, names, trials="shuffled.trials")
    assert [row.model_dump() for row in one.rows] == [row.model_dump() for row in other.rows]
    assert conditions(corpus, ["noise"], seed=1).rows != one.rows[:8]


def test_everything_that_can_be_made_is_made(corpus, monkeypatch):
    pytest.importorskip("pyroomacoustics")
    monkeypatch.setattr(changes, "ROOMS", 2)
    monkeypatch.setattr(changes, "T60", ((0.2, 0.3), (0.3, 0.4)))
    names = ["snr", "codec", "crop", "silence", "damage", "room", "duration", "gender", "length", "noise", "gate"]
    found = conditions(corpus, names, babble=corpus / "others/list.jsonl")
    silence, damage = ["zeros", "hiss", "gate", "packets"], ["level", "overdrive", "low-pass", "one-room"]
    made = ["noise", "babble", "telephone", "opus", "crop", *silence, *damage, "room"]
    order = [*made, "duration", "gender", "length"]
    assert set(made) == set(changes.MADE)
    assert [condition.name for condition in found.conditions] == order
    kinds = [condition.kind for condition in found.conditions]
    assert kinds == ["change"] * 14 + ["field"] * 2 + ["length"]
    rows = (8, 8, 2, 2, 8, 14, 30, 6, 6, 2, 2, 2, 2, 4, 1, 2, 4)
    for name, count in zip(order, rows, strict=True):
        assert len(found.rows_of(name)) == count, name
    assert Conditions.parse(json.loads(found.as_json()), "conditions.json") == found


def test_crops_that_are_not_shorter_are_counted(corpus, monkeypatch):
    monkeypatch.setattr(changes, "CROPS", (0.3, 0.01))
    encoder = Spectrum()
    result = evaluated(corpus, encoder)
    long, _, short, both = measure_conditions(encoder, result, ["crop"], replicates=REPLICATES).rows
    whole = int((result.embedded.seconds <= 0.3).sum())
    assert 0 < whole < 18
    assert long.note == f"{whole} utterances are not longer, taken whole"
    assert long.eer is not None
    assert (short.eer, short.note, short.trials) == (None, "the model needs 0.02 s", 153)
    assert (both.side, both.eer) == ("both", None)


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (
            ["gendre"],
            r"unknown condition 'gendre', did you mean 'gender'\?; the manifest has gender, besides duration,",
        ),
        (["noise", "qqq"], r"unknown condition 'qqq'; the manifest has gender, besides duration, noise, babble,"),
        (["babble"], r"give their manifest \(--babble\)"),
        (["snr"], r"give their manifest \(--babble\)"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_embedded(corpus, names, complaint):
    encoder = Spectrum()
    with pytest.raises(BadConfig, match=complaint):
        conditions(corpus, names, encoder)
    assert encoder.heard == []


def test_without_a_manifest_there_are_no_fields(corpus):
    encoder = Spectrum()
    result = evaluate_model(encoder, corpus / "list.trials", audio_root=corpus, replicates=REPLICATES)
    with pytest.raises(AcanetError, match="unknown condition 'gender'; there are no fields of a manifest, besides"):
        measure_conditions(encoder, result, ["gender"])
    assert measure_conditions(encoder, result, ["telephone"], replicates=REPLICATES).rows[0].eer is not None


def test_a_field_of_the_manifest_goes_before_what_could_be_made(corpus, tmp_path):
    entries = map(json.loads, (corpus / "list.jsonl").read_text().splitlines())
    renamed = [
        json.dumps(each | {"path": str(corpus / each["path"]), "id": each["path"], "codec": "pcm"}) for each in entries
    ]
    (tmp_path / "codec.jsonl").write_text("\n".join(renamed))
    encoder = Spectrum()
    result = evaluate_model(encoder, corpus / "list.trials", manifest=tmp_path / "codec.jsonl", replicates=REPLICATES)
    found = measure_conditions(encoder, result, ["codec"], replicates=REPLICATES)
    assert [(row.name, row.group, row.trials) for row in found.rows] == [("codec", "pcm", 153)]
    assert found.rows[0].eer.value == result.card.eer.value == found.clean.value


@pytest.mark.parametrize("digits", [1, 3, 8])
def test_intervals_are_those_of_all_figures(digits):
    rng = np.random.default_rng(digits)
    enrol, test = np.indices((9, 9, 4)).reshape(3, -1)[:2]
    pairs = Pairs(enrol == test, enrol, test)
    scores = np.round(rng.normal(size=len(enrol)) + 1.5 * pairs.target, digits)
    found = Bootstrap(50, seed=digits).eer(scores, pairs).measure()
    expected = measure(scores, pairs.target, enrol, test, replicates=50, seed=digits)["eer"]
    assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))


def test_ratios_by_hand():
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(8, [1 / 8] * 8, size=200).astype(np.float64)
    tenth = Resampled(0.1, np.full(200, 0.1), drawn, 2)
    twice = Resampled(0.2, 0.2 + 0.01 * (drawn[:, 0] - drawn[:, 1]), drawn, 2)
    ratio = twice.ratio(tenth)
    assert ratio.value == pytest.approx(2.0)
    assert 1.4 < ratio.low < 2 < ratio.high < 2.6
    assert twice.ratio(Resampled(0.0, tenth.found, drawn, 2)) is None
    assert twice.ratio(Resampled(0.1, np.append(0.0, tenth.found[1:]), drawn, 2)) is None


def test_the_ratio_of_unchanged_audio_is_one():
    rng = np.random.default_rng(0)
    enrol, test = np.indices((12, 12)).reshape(2, -1)
    pairs = Pairs(enrol == test, enrol, test)
    figure = Bootstrap(30, 0).eer(rng.normal(size=144) + pairs.target, pairs)
    ratio = figure.ratio(figure)
    assert (ratio.value, ratio.low, ratio.high) == (1, 1, 1)


def measured(name, group, rate, side="both"):
    rates = None if rate is None else Measure(value=rate, low=rate / 2, high=2 * rate)
    return Row(name=name, group=group, side=side, trials=20, targets=5, nontargets=15, speakers=6, eer=rates, note="")


def test_the_worst_to_best_ratio_by_hand():
    rows = [measured("x", "a", 0.04), measured("x", "b", 0.1), measured("x", "c", None), measured("y", "a", 0.5)]
    rows += [measured("z", "a", 0.0), measured("z", "b", 0.1)]
    found = Conditions(
        clean=Measure(value=0.05, low=0.04, high=0.06),
        replicates=10,
        seed=0,
        conditions=tuple(
            Condition(name=name, kind="field", about=f"by {name}", mixed=3 if name == "x" else 0) for name in "xyz"
        ),
        rows=tuple(rows),
    )
    assert found.worst_to_best("x") == pytest.approx(2.5)
    assert found.worst_to_best("y") is None
    assert found.worst_to_best("z") is None
    text = found.table()
    assert "| (clean) | | both | | | | 5.00 [4.00, 6.00] | | | | | |" in text
    assert "| x | b | both | 5 | 15 | 6 | 10.00 [5.00, 20.00] |  |  |  |  |  |" in text
    assert "x: left out: 3 trials of two groups, 0 of an unknown one" in text
    assert "x: worst to best 2.50;" in text
    assert "y: worst" not in text
