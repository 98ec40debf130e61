"""Training batches: functions of seed and step alone, with speakers as often as asked."""

from __future__ import annotations

import multiprocessing
import operator
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from acanet.data.augment.chain import Banks, Chain
from acanet.data.augment.effects import Augment, Range
from acanet.data.augment.rooms import build_rooms
from acanet.data.augment.voices import Voice
from acanet.data.feed.batches import Phase, Purpose, TrainingBatches, generator
from acanet.data.feed.cache import AudioCache

RATE = 16000
PLAIN = Phase(steps=20, batch=4, crop_samples=(1600, 1600), augment=Augment())
EVERYTHING = replace(
    PLAIN,
    crop_samples=(1200, 2000),
    augment=Augment.parse(
        {
            "speed": 0.5,
            "room": 0.5,
            "babble": {"probability": 0.5, "speakers": [2, 3]},
            "music": 0.5,
            "noise": 0.5,
            "clip": 0.5,
            "level": 0.5,
            "telephone": 0.5,
            "opus": 0.2,
        },
        "everything",
    ),
)


@pytest.fixture(scope="session")
def banks(tmp_path_factory):
    """Rooms, and recordings of noise."""
    folder = tmp_path_factory.mktemp("banks")
    rooms = build_rooms(folder, RATE, count=3, t60=(0.2, 0.4), seed=0, workers=0)
    noise = write_cache(folder, [np.random.default_rng(0).normal(0, 500, 3000)])
    return Banks(rooms=rooms, noise=noise)


def write_cache(folder, utterances):
    """A cache of those utterances, int16 each."""
    path = folder / "audio.i16"
    path.write_bytes(np.concatenate(utterances).astype("<i2").tobytes())
    offsets = np.cumsum([0, *(len(utterance) for utterance in utterances)])
    return AudioCache(path, tuple(int(offset) for offset in offsets), tuple(map(str, range(len(utterances)))))


@pytest.fixture
def speech(tmp_path):
    """Noise: 11 utterances of 6 speakers, and who speaks each."""
    rng = np.random.default_rng(0)
    speakers = [0, 1, 2, 2, 3, 3, 3, 4, 5, 0, 1]
    lengths = rng.integers(800, 5000, len(speakers))
    return write_cache(tmp_path, [rng.normal(0, 2000, length) for length in lengths]), speakers


@pytest.fixture
def numbered(tmp_path):
    """Utterances of which every sample is the utterance's number from 1: 7 of 3 speakers."""
    speakers = [0, 0, 0, 1, 2, 2, 2]
    return write_cache(tmp_path, [np.full(2000 + i, i + 1) for i in range(7)]), speakers


def utterances_of(waveforms):
    """Numbers of the utterances in a batch from `numbered`."""
    return [round(float(row[0]) * 32768) - 1 for row in waveforms]


def batches_of(audio, phase, seed, steps, **how):
    """The batches of one phase."""
    return TrainingBatches(*audio, [replace(phase, steps=steps)], seed=seed, rate=RATE, **how)


def with_effects(phase=PLAIN, **effects):
    """That phase with other effects."""
    return replace(phase, augment=Augment.parse(effects, "the test's effects"))


def assert_same(batch, other):
    for ours, theirs in zip(batch, other, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("plan", [PLAIN, EVERYTHING], ids=["plain", "everything"])
def test_a_batch_is_crops_of_one_length(speech, plan, banks):
    batches = batches_of(speech, plan, seed=1, steps=20, banks=banks)
    assert len(batches) == 20
    lengths = set()
    for step in range(20):
        waveforms, classes = batches[step][:2]
        assert (waveforms.dtype, classes.dtype) == (np.float32, np.int64)
        assert len(waveforms) == len(classes) == plan.batch
        assert np.isfinite(waveforms).all()
        assert plan.crop_samples[0] <= waveforms.shape[1] <= plan.crop_samples[1]
        assert 0 <= classes.min() <= classes.max() < batches.classes
        lengths.add(waveforms.shape[1])
    assert (len(lengths) > 5) == (plan is EVERYTHING)


def test_a_step_gives_the_same_batch_in_any_order(speech, banks):
    forwards = batches_of(speech, EVERYTHING, seed=1, steps=30, banks=banks)
    backwards = batches_of(speech, EVERYTHING, seed=1, steps=30, banks=banks)
    first = [forwards[step] for step in range(30)]
    for step in reversed(range(30)):
        assert_same(backwards[step], first[step])


def test_a_step_gives_the_same_batch_in_any_process(speech, banks):
    batches = batches_of(speech, EVERYTHING, seed=1, steps=30, banks=banks)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        for step, there in zip((7, 2), pool.map(operator.getitem, [batches, batches], (7, 2)), strict=True):
            assert_same(there, batches[step])


def test_steps_and_seeds_differ(speech, banks):
    plan = replace(EVERYTHING, crop_samples=(1600, 1600))
    batches = batches_of(speech, plan, seed=1, steps=12, banks=banks)
    other = batches_of(speech, plan, seed=2, steps=12, banks=banks)
    seen = [batches[step][0] for step in range(12)] + [other[step][0] for step in range(12)]
    assert len({waveforms.tobytes() for waveforms in seen}) == 24


def test_every_speaker_comes_once_in_every_round(speech):
    batches = batches_of(speech, PLAIN, seed=3, steps=9)
    classes = np.concatenate([batches[step][1] for step in range(9)]).reshape(6, 6)
    assert all(sorted(turn) == list(range(6)) for turn in classes.tolist())
    assert len({tuple(turn) for turn in classes.tolist()}) > 1


def test_a_speakers_utterances_come_equally_often(numbered):
    cache, speakers = numbered
    batches = batches_of((cache, speakers), PLAIN, seed=3, steps=9)  # 12 rounds of 3 speakers
    seen = Counter()
    for step in range(9):
        waveforms, classes, utterances = batches[step][:3]
        found = utterances_of(waveforms)
        assert [speakers[utterance] for utterance in found] == classes.tolist()
        assert found == utterances.tolist()
        seen.update(found)
    assert seen == {0: 4, 1: 4, 2: 4, 3: 12, 4: 4, 5: 4, 6: 4}


@pytest.mark.parametrize(("power", "turns"), [(0.0, [1, 1, 1]), (0.5, [1, 2, 3]), (1.0, [1, 4, 9])])
def test_more_speech_is_heard_more_often(tmp_path, power, turns):
    seconds = [2, 8, 9, 9]
    audio = write_cache(tmp_path, [np.full(RATE * length, i + 1) for i, length in enumerate(seconds)])
    batches = TrainingBatches(
        audio, [0, 1, 2, 2], [replace(PLAIN, steps=sum(turns), batch=2)], seed=0, rate=RATE, power=power
    )
    heard = [batches[step] for step in range(sum(turns))]
    assert Counter(int(label) for batch in heard for label in batch.classes) == dict(enumerate(2 * t for t in turns))
    third = Counter(number for batch in heard for number in utterances_of(batch.waveforms) if number in (2, 3))
    assert third == {2: turns[2], 3: turns[2]}


def test_little_speech_counts_as_a_second(tmp_path):
    audio = write_cache(tmp_path, [np.ones(RATE // 100), np.ones(2 * RATE)])
    batches = TrainingBatches(audio, [0, 1], [replace(PLAIN, steps=1, batch=3)], seed=0, rate=RATE, power=1.0)
    assert sorted(batches[0][1]) == [0, 1, 1]


def test_crops_come_from_anywhere_in_an_utterance(tmp_path):
    cache = write_cache(tmp_path, [np.arange(1000), np.arange(1000)])
    plan = replace(PLAIN, crop_samples=(900, 900))
    batches = batches_of((cache, [0, 1]), plan, seed=0, steps=300)
    starts = {round(float(row[0]) * 32768) for step in range(300) for row in batches[step][0]}
    assert starts == set(range(101))


def test_short_utterances_begin_anywhere_and_repeat(tmp_path):
    cache = write_cache(tmp_path, [np.arange(70), np.arange(70)])
    batches = batches_of((cache, [0, 1]), PLAIN, seed=0, steps=100)
    starts = set()
    for step in range(100):
        rows = np.rint(batches[step][0] * 32768).astype(int)
        starts.update(rows[:, 0])
        np.testing.assert_array_equal(np.diff(rows, axis=1) % 70, 1)
        np.testing.assert_array_equal(rows[:, 70:], rows[:, :-70])
    assert starts == set(range(70))


def test_a_speaker_at_another_speed_is_another_class(tmp_path):
    hz = [400, 800, 1600]
    tones = [8000 * np.sin(2 * np.pi * f * np.arange(16000) / 16000) for f in hz]
    plan = with_effects(replace(PLAIN, crop_samples=(8000, 8000)), speed=0.6)
    batches = batches_of((write_cache(tmp_path, tones), [0, 1, 2]), plan, seed=0, steps=30)
    assert batches.classes == 9
    seen = Counter()
    for step in range(30):
        batch = batches[step]
        for waveform, label, drawn in zip(batch.waveforms, batch.classes, batch.voices, strict=True):
            speed, speaker = divmod(int(label), 3)
            assert drawn == speed
            loudest = np.abs(np.fft.rfft(waveform * np.hanning(8000))).argmax() * 2
            assert loudest == pytest.approx(hz[speaker] * (1.0, 0.9, 1.1)[speed], abs=3)
            seen[speed] += 1
    assert seen[0] / 120 == pytest.approx(0.4, abs=0.15)
    assert min(seen[1], seen[2]) > 15


def test_other_formants_are_other_classes_too(tmp_path):
    """The own voice, two speeds, and other formants at each of the three."""
    noise = np.random.default_rng(0).normal(0, 3000, (2, 16000))
    plan = with_effects(replace(PLAIN, crop_samples=(4000, 4000)), speed={"probability": 0.8, "formants": [1.2]})
    batches = batches_of((write_cache(tmp_path, noise), [0, 1]), plan, seed=0, steps=40)
    assert batches.voices == (Voice(0.9), Voice(1.1), Voice(1.0, 1.2), Voice(0.9, 1.2), Voice(1.1, 1.2))
    assert batches.classes == 2 * 6
    drawn = [batches[step] for step in range(40)]
    assert all((batch.classes == 2 * batch.voices + batch.utterances).all() for batch in drawn)
    assert {*np.concatenate([batch.voices for batch in drawn]).tolist()} == set(range(6))


def test_speakers_without_a_name_have_no_class(numbered):
    """They come in rounds as all others do, and other speeds of them have no class either."""
    audio, _ = numbered
    plan = with_effects(PLAIN, speed=0.5)
    batches = TrainingBatches(audio, [0, 1, 1, 2, 3, 4, 5], [replace(plan, steps=9, batch=6)], 0, RATE, named=2)
    assert batches.classes == 2 * 3
    drawn = [batches[step] for step in range(9)]
    speeds, labels, utterances = (
        np.concatenate([getattr(batch, name) for batch in drawn]).tolist()
        for name in ("voices", "classes", "utterances")
    )
    seen = list(zip(speeds, labels, utterances, strict=True))
    assert {label for _, label, utterance in seen if utterance > 2} == {-1}
    assert {(speed, label) for speed, label, utterance in seen if utterance in (1, 2)} == {(0, 1), (1, 3), (2, 5)}
    assert Counter(utterance for *_, utterance in seen)[3] == 9


def test_clean_crops_come_beside_the_spoilt_ones_when_they_are_asked_for(speech, banks):
    loud = with_effects(PLAIN, speed=0.5, noise=1.0)
    plain = with_effects(PLAIN, speed=0.5)

    def batch(plan, **how):
        return TrainingBatches(*speech, [replace(plan, steps=1)], seed=0, rate=RATE, **how)[0]

    asked = batch(loud, clean=True)
    np.testing.assert_array_equal(asked.clean, batch(plain).waveforms)
    np.testing.assert_array_equal(asked.waveforms, batch(loud).waveforms)
    assert not np.isclose(asked.clean, asked.waveforms).all(axis=1).any()
    assert batch(loud).clean is None


def test_without_other_speeds_classes_are_speakers(speech):
    assert batches_of(speech, PLAIN, seed=0, steps=1).classes == 6


def test_an_effect_that_never_happens_changes_no_other(speech):
    """So a recipe keeps its crops when an effect is added to acanet."""
    few = with_effects(babble=0.5, noise=0.5, level=0.5)
    more = with_effects(room=0.0, babble=0.5, music=0.0, noise=0.5, clip=0.0, level=0.5, opus=0.0)
    one, other = batches_of(speech, few, seed=0, steps=9), batches_of(speech, more, seed=0, steps=9)
    for step in range(9):
        assert_same(one[step], other[step])


def test_babble_has_every_number_of_speakers_as_often():
    counts = [Range(low=3, high=5).draw_count(np.random.default_rng(seed)) for seed in range(300)]
    assert [counts.count(n) / 300 for n in (3, 4, 5)] == pytest.approx([1 / 3] * 3, abs=0.08)
    assert len(counts) == sum(counts.count(n) for n in (3, 4, 5))


def test_babble_is_other_speakers(tmp_path):
    hz = [400, 800, 1600, 3200]
    tones = [8000 * np.sin(2 * np.pi * f * np.arange(16000) / 16000) for f in hz]
    babble = {"probability": 1.0, "snr_db": [10, 10], "speakers": [2, 3]}
    plan = with_effects(replace(PLAIN, crop_samples=(8000, 8000)), babble=babble)
    batches = batches_of((write_cache(tmp_path, tones), [0, 1, 2, 3]), plan, seed=0, steps=10)
    for step in range(10):
        for waveform, label in zip(*batches[step][:2], strict=True):
            powers = np.abs(np.fft.rfft(waveform))[[f // 2 for f in hz]] ** 2
            own, others = powers[label], np.delete(powers, label)
            others = others[others > 1e-4 * own]
            assert len(others) in (2, 3)
            np.testing.assert_allclose(others, others[0], rtol=0.02)
            assert own / others.sum() == pytest.approx(10.0, rel=0.02)


@pytest.mark.parametrize(("change", "expected"), [({"probability": 1.0, "db": [-6, -6]}, -6.0), (0.0, 0.0)])
def test_the_level_is_changed_when_asked(numbered, change, expected):
    plain = batches_of(numbered, PLAIN, seed=0, steps=3)
    changed = batches_of(numbered, with_effects(level=change), seed=0, steps=3)
    for step in range(3):
        np.testing.assert_allclose(changed[step][0], plain[step][0] * 10 ** (expected / 20), rtol=1e-5)


@pytest.mark.parametrize("world", [2, 3, 4])
def test_parts_together_are_the_batch(speech, world, banks):
    whole = batches_of(speech, EVERYTHING, seed=1, steps=5, banks=banks)
    parts = [batches_of(speech, EVERYTHING, seed=1, steps=5, banks=banks, part=(rank, world)) for rank in range(world)]
    for step in range(5):
        for rank, part in enumerate(parts):
            assert_same(part[step][:4], [values[rank::world] for values in whole[step][:4]])


def test_phases_follow_each_other_in_one_sequence_of_crops(numbered):
    """The second phase goes on where the first ended: every speaker still comes once in every round."""
    phases = [replace(PLAIN, steps=4, batch=4), replace(PLAIN, steps=7, batch=2, crop_samples=(800, 800))]
    batches = TrainingBatches(*numbered, phases, seed=0, rate=RATE)
    assert len(batches) == 11
    found = [batches[step] for step in range(11)]
    assert [batch.waveforms.shape for batch in found] == [(4, 1600)] * 4 + [(2, 800)] * 7
    classes = np.concatenate([batch.classes for batch in found]).reshape(10, 3)
    assert all(sorted(turn) == [0, 1, 2] for turn in classes.tolist())
    with pytest.raises(IndexError, match="11 steps"):
        batches[11]


def test_a_phase_without_speeds_keeps_the_classes(tmp_path):
    audio = write_cache(tmp_path, [np.full(4000, 1), np.full(4000, 2)]), [0, 1]
    phases = [with_effects(replace(PLAIN, steps=5), speed=1.0), replace(PLAIN, steps=5)]
    batches = TrainingBatches(*audio, phases, seed=0, rate=RATE)
    assert batches.classes == 6
    assert min(label for step in range(5) for label in batches[step][1]) >= 2
    assert max(label for step in range(5, 10) for label in batches[step][1]) == 1


def test_changes_of_an_utterance_are_those_of_the_chain_and_each_is_another(speech, banks):
    whole = speech[0].read(3, 0, 1600)

    def changed(seed, number, part=(0, 1), step=None):
        batches = TrainingBatches(*speech, [PLAIN], seed=seed, rate=RATE, part=part)
        if step is not None:
            batches[step]
        return batches.changed(whole, 3, Chain(EVERYTHING.augment, banks, RATE), number)

    np.testing.assert_array_equal(changed(0, 1, part=(1, 2), step=4), changed(0, 1))
    assert not np.array_equal(changed(0, 1), changed(0, 2))
    assert not np.array_equal(changed(0, 1), changed(1, 1))
    batches = TrainingBatches(*speech, [EVERYTHING], seed=0, rate=RATE, banks=banks)
    np.testing.assert_array_equal(batches.changed(whole, 3, Chain(PLAIN.augment, Banks(), RATE), 0), whole)


def test_draws_for_different_purposes_differ():
    draws = {generator(0, purpose, 5).random() for purpose in Purpose}
    assert len(draws) == len(Purpose)
    assert generator(0, Purpose.CROP, 5).random() == generator(0, Purpose.CROP, 5).random()
