"""Utterances joined to tests of different lengths: which ones, how they are cut, and that nothing is shared."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from acanet.data.lists.manifest import Utterance
from acanet.data.lists.sides import Sides, find_sides
from acanet.data.lists.trials import read_trials
from acanet.evaluation.conditions import lengths
from acanet.evaluation.conditions.lengths import measure_lengths, orders, utterances_by_speaker
from acanet.evaluation.conditions.rows import Bootstrap
from acanet.evaluation.embedding import embed_utterances
from acanet.scoring.cosine import cosine
from support.embedders import Level

RATE = 4000


def utterances(*spans):
    return [
        Utterance(id=f"{row:03}", path=Path(path), speaker="a", recording=path, start=start, duration=duration)
        for row, (path, start, duration) in enumerate(spans)
    ]


@pytest.fixture
def short(monkeypatch):
    """Lengths for tests: enrolments of 0.2 s, tests of 0.1, 0.4 and 5 s."""
    monkeypatch.setattr(lengths, "ENROLMENT", 0.2)
    monkeypatch.setattr(lengths, "LENGTHS", (0.1, 0.4, 5.0))
    monkeypatch.setattr(lengths, "ORDERS", 3)


@pytest.fixture
def corpus(tmp_path):
    """Six speakers with six utterances of a constant level, 0.15 s each, the last speaker with three."""
    entries = []
    for speaker in range(6):
        for take in range(3 if speaker == 5 else 6):
            name = f"{speaker}-{take}.wav"
            level = 0.1 + 0.15 * speaker + 0.001 * take
            soundfile.write(tmp_path / name, np.full(600, level), RATE, subtype="FLOAT")
            entries.append({"path": name, "speaker": f"s{speaker}"})
    (tmp_path / "list.jsonl").write_text("\n".join(map(json.dumps, entries)))
    names = [entry["path"] for entry in entries]
    pairs = [f"{one[0] == other[0]:d} {one} {other}" for one in names for other in names if one < other]
    (tmp_path / "list.trials").write_text("\n".join(pairs))
    return tmp_path


def measured(corpus, encoder, trials="list.trials", seed=0):
    sides = find_sides(read_trials(corpus / trials), manifest=corpus / "list.jsonl")
    embedded = embed_utterances(encoder, sides.utterances)
    encoder.batches.clear()
    return measure_lengths(encoder, sides, embedded, scoring=cosine, bootstrap=Bootstrap(20, seed))


def test_orders_by_hand():
    samples = np.array([50, 60, 30, 40])
    ways = orders([0, 1, 2, 3], utterances(*[(f"{row}.wav", 0, None) for row in range(4)]), samples, 100, seed=0)
    found = {order.enrol[0]: order for order in ways}
    assert [(found[row].enrol, found[row].test, found[row].left) for row in range(4)] == [
        ((0, 1), (2, 3), 70),
        ((1, 2, 3), (0,), 50),
        ((2, 3, 0), (1,), 60),
        ((3, 0, 1), (2,), 30),
    ]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=12), st.integers(1, 100), st.integers(0, 3))
def test_enrolment_and_test_share_no_utterance(samples, need, seed):
    held = utterances(*[(f"{row}.wav", 0, None) for row in range(len(samples))])
    ways = orders(range(len(samples)), held, np.array(samples), need, seed)
    assert {order.enrol[0] for order in ways} == set(range(len(samples)))
    for order in ways:
        assert sorted(order.enrol + order.test) == list(range(len(samples)))
        assert order.left == sum(samples[row] for row in order.test)
        if order.test:
            assert sum(samples[row] for row in order.enrol) >= need
            assert sum(samples[row] for row in order.enrol[:-1]) < need


def test_of_overlapping_utterances_the_first_is_taken():
    held = utterances(("a", 0, 2.0), ("a", 1.5, 2.0), ("a", 2.0, 1.0), ("b", 0, None), ("b", 5.0, 1.0))
    sides = Sides(held, [np.array([row]) for row in range(5)], np.zeros(5, np.intp), "manifest")
    assert utterances_by_speaker(sides) == [[0, 2, 3]]


@pytest.mark.usefixtures("short")
def test_every_length_has_the_same_trials_of_cut_audio(corpus):
    encoder = Level()
    condition, rows = measured(corpus, encoder)
    # 0.9 s less two utterances for the enrolment leave 0.6 s; the last speaker has 0.45 s, and 0.15 s left.
    assert [(row.group, row.side, row.trials, row.targets, row.speakers) for row in rows] == [
        ("0.1 s", "test", 75, 15, 5),
        ("0.4 s", "test", 75, 15, 5),
        ("5 s", "test", 0, 0, 0),
    ]
    assert [row.eer is None for row in rows] == [False, False, True]
    assert rows[2].note == "0 speakers have enough audio, 5 are needed"
    assert "5 speakers, the other 1 have too little audio" in condition.about
    assert sorted(len(waveform) for waveform in encoder.heard) == [400] * 15 + [800] * 15 + [1600] * 15
    assert rows[0].eer.value == 0  # a level of its own tells each speaker


@pytest.mark.usefixtures("short")
def test_tests_begin_alike_and_hold_nothing_of_the_enrolment(corpus):
    encoder = Level()
    measured(corpus, encoder)
    by_length = {size: [wave for wave in encoder.heard if len(wave) == size] for size in (400, 800, 1600)}
    for enrol, short_test, long_test in zip(by_length[800], by_length[400], by_length[1600], strict=True):
        np.testing.assert_array_equal(short_test, long_test[:400])
        assert not np.intersect1d(enrol, long_test).size  # no two utterances share a level


@pytest.mark.usefixtures("short")
def test_any_order_of_the_list_gives_the_same(corpus):
    lines = (corpus / "list.trials").read_text().splitlines()
    (corpus / "shuffled.trials").write_text("\n".join(np.random.default_rng(0).permutation(lines)))
    one, other = Level(), Level()
    assert measured(corpus, one) == measured(corpus, other, "shuffled.trials")
    for waveform, again in zip(one.heard, other.heard, strict=True):
        np.testing.assert_array_equal(waveform, again)


@pytest.mark.usefixtures("short")
def test_the_seed_draws_the_orders(corpus):
    one, other = Level(), Level()
    measured(corpus, one, seed=0)
    measured(corpus, other, seed=1)
    assert any(not np.array_equal(a, b) for a, b in zip(one.heard, other.heard, strict=True))


@pytest.mark.usefixtures("short")
def test_lengths_below_what_the_model_needs_have_no_figure(corpus):
    _, rows = measured(corpus, Level(needed_seconds=0.14))
    assert (rows[0].eer, rows[0].note) == (None, "the model needs 0.14 s")
    assert rows[1].eer is not None


def test_a_list_without_enough_audio_has_no_figures(corpus):
    encoder = Level()
    condition, rows = measured(corpus, encoder)
    assert [row.eer for row in rows] == [None] * 4
    assert encoder.heard == []
    assert "the other 6 have too little audio" in condition.about
